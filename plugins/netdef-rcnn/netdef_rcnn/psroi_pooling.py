"""PSROIPooling: every bin of a region has channels of its own."""

from typing import NamedTuple

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_rcnn.regions import bins, count, images, pooled, rounded, rows, stop, within

Array = np.ndarray


class Bins(NamedTuple):
    """Bins of all regions, ready to index maps [images, output_dim, group, group, height + 1, width + 1]."""

    image: Array
    top: Array
    bottom: Array
    left: Array
    right: Array

    @property
    def area(self) -> Array:
        """(regions, 1, group, group); 1 where a bin is empty, so that nothing is divided by 0."""
        return np.maximum((self.bottom - self.top) * (self.right - self.left), 1)

    def corners(self) -> list[tuple[Array, Array, int]]:
        """Row, column and sign of what adds up to a bin's sum in a table of sums."""
        t, b, l, r = self.top, self.bottom, self.left, self.right
        return [(b, r, 1), (t, r, -1), (b, l, -1), (t, l, 1)]


class PSROIPooling(ParameterFree):
    """The mean of each bin of a region, bin (i, j) of output d in channel (d * group_size + i) * group_size + j.

    Corners are rounded in the input image and then scaled, the second one 1 pixel further; a side is at least 0.1. A
    bin outside the image gives 0. Sums are differences of a table of sums in float64. Regions get a
    gradient of 0.
    """

    type = "PSROIPooling"
    no_onnx = "no operation there pools a region's bins from channels apart"
    bottoms = 2
    reads = ()
    options = Block(
        "psroi_pooling_param",
        [
            Field("spatial_scale", "float", doc="Pixels of the map for each pixel of the input; it must be given."),
            Field("output_dim", "int32", doc="Channels of the top; it must be given."),
            Field("group_size", "int32", doc="Bins along height and width; it must be given."),
        ],
        message="PSROIPoolingParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.outputs, self.group = pooled(self.param, "output_dim", "group_size")
        if not self.param.spatial_scale > 0:
            raise LayerError(f"spatial_scale is {self.param.spatial_scale:g}; want more than 0, such as 0.0625")

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, rois = shapes
        want = self.outputs * self.group**2
        if len(x) != 4 or x[1] != want:
            raise LayerError(f"maps of shape {x}; want {want} channels: output_dim * group_size^2")
        return [(count(rois), self.outputs, self.group, self.group)]

    def _bins(self, rois: Array, x: Shape) -> Bins:
        scale = rois.dtype.type(self.param.spatial_scale)
        low, high = rounded(rois[:, 1:3]) * scale, (rounded(rois[:, 3:5]) + 1) * scale
        size = np.maximum(high - low, rois.dtype.type(0.1))
        across, down = (within(bins(low[:, k], size[:, k], self.group), x[3 - k]) for k in (0, 1))
        top, bottom = (edge[:, None, :, None] for edge in (down[0], np.maximum(*down)))
        left, right = (edge[:, None, None, :] for edge in (across[0], np.maximum(*across)))
        return Bins(images(rois, x[0])[:, None, None, None], top, bottom, left, right)

    def _grid(self) -> tuple[Array, Array, Array]:
        return np.ogrid[: self.outputs, : self.group, : self.group]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data
        self.bins = found = self._bins(rows(bottom[1]), x.shape)
        sums = np.zeros((len(x), self.outputs, self.group, self.group, x.shape[2] + 1, x.shape[3] + 1))
        inner = sums[..., 1:, 1:]
        inner[...] = x.reshape(inner.shape)
        np.cumsum(inner, axis=-1, out=inner)
        np.cumsum(inner, axis=-2, out=inner)
        total = sum(sign * sums[(found.image, *self._grid(), row, column)] for row, column, sign in found.corners())
        top[0].data[...] = total / found.area

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        stop(propagate_down, bottom, 1)
        if not propagate_down[0]:
            return
        (n, _, height, width), found = bottom[0].shape, self.bins
        marks = np.zeros((n, self.outputs, self.group, self.group, height + 1, width + 1))
        dy = top[0].diff / found.area.astype(np.float64)
        for row, column, sign in found.corners():  # the sums below spread each mark over its bin
            np.add.at(marks, (found.image, *self._grid(), row, column), sign * dy)
        np.cumsum(marks, axis=-1, out=marks)
        np.cumsum(marks, axis=-2, out=marks)
        bottom[0].diff[...] = marks[..., :-1, :-1].reshape(bottom[0].shape)
