"""ROIPooling: the largest value in each bin of a region."""

import math

import numpy as np

from netdef.errors import ExportError
from netdef.layer import Blob, Block, Field, Shape
from netdef_rcnn.regions import POOLED, OfRegions, bins, images, rounded, rows, stop, within

Array = np.ndarray
SIDE = 7
"""Height and width of the maps that R-C3D pools whole, whatever the region."""


class ROIPooling(OfRegions):
    """The largest value in each of pooled_h x pooled_w bins of every region; 0 in a bin that lies outside the image.

    A region's corners are rounded to the map (times spatial_scale) and both are part of it; bins share a row where
    they do not divide it. With pooled_l, as in R-C3D, maps have an axis of time and regions are (image, first, last):
    bins of pooled_l x pooled_h x pooled_w of that time and of the map's first 7 x 7, as its authors fix it. Regions get
    a gradient of 0.
    """

    type = "ROIPooling"
    reads = ()
    options = Block(
        "roi_pooling_param",
        [
            *POOLED,
            Field("pooled_l", "uint32", 0, doc="R-C3D: bins along the time."),
            Field("temporal_scale", "float", 1.0, doc="R-C3D: frames of the map for each frame of the input."),
        ],
        message="ROIPoolingParameter",
    )

    @property
    def in_time(self) -> bool:
        return bool(self.param.HasField("pooled_l"))

    @property
    def axes(self) -> tuple[str, ...]:
        return ("pooled_l",) * self.in_time + super().axes

    def edges(self, rois: Array, image: Shape) -> list[tuple[Array, Array]]:
        """Begin and end of the bins (N, count) along each axis of the map."""
        if self.in_time:
            zero = np.zeros(len(rois), rois.dtype)
            time = self._bins(rois[:, 1], rois[:, 2], self.param.temporal_scale, self.sizes[0])
            space = [bins(zero, zero + SIDE, n) for n in self.sizes[1:]]
            found = [time, *space]
        else:
            columns = ((2, 4), (1, 3))
            corners = [(rois[:, low], rois[:, high]) for low, high in columns]
            found = [self._bins(*c, self.param.spatial_scale, n) for c, n in zip(corners, self.sizes, strict=True)]
        return [within(edges, length) for edges, length in zip(found, image, strict=True)]

    def _bins(self, low: Array, high: Array, scale: float, many: int) -> tuple[Array, Array]:
        low, high = rounded(low * low.dtype.type(scale)), rounded(high * low.dtype.type(scale))
        begin, end = bins(np.zeros_like(low), np.maximum(high - low + 1, 1), many)
        first = low.astype(np.intp)[:, None]
        return begin + first, end + first

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from netdef_rcnn.kernels import largest  # compiled, so when it is first needed

        x, y = bottom[0].data, top[0].data
        rois = rows(bottom[1], 3 if self.in_time else 5)
        edges = [np.stack(both) for both in self.edges(rois, x.shape[2:])]
        self.place = np.empty(y.shape, np.int64)
        if not self.in_time:
            x, y, edges = x[:, :, None], y[:, :, None], [np.array([[[0]], [[1]]]).repeat(len(rois), 1), *edges]
        largest(x, images(rois, len(x)), *edges, y, self.place.reshape(y.shape))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            from netdef_rcnn.kernels import give_back

            bottom[0].diff[...] = 0
            give_back(top[0].diff.reshape(-1), self.place.reshape(-1), bottom[0].diff.reshape(-1))
        stop(propagate_down, bottom, 1)

    def to_onnx(self, graph, inputs):
        if self.in_time:
            raise ExportError("ROIPooling with pooled_l has no ONNX form: MaxRoiPool pools images, not time")
        rois = inputs[1]
        if math.prod(graph.shape(rois)[1:]) != 5:
            raise ExportError(f"regions of shape {graph.shape(rois)}; want N x 5: give their input that shape, --shape")
        if len(graph.shape(rois)) != 2:
            rois = graph.op("Reshape", [rois, graph.const(np.array([-1, 5]))])
        scale = self.param.spatial_scale
        return [graph.op("MaxRoiPool", [inputs[0], rois], pooled_shape=self.sizes, spatial_scale=scale)]
