"""ROIAlign: the mean of interpolated values in each bin of a region, nothing rounded."""

import numpy as np

from netdef.layer import Blob, Block, Shape
from netdef_rcnn.bilinear import resample, weights
from netdef_rcnn.regions import POOLED, OfRegions, images, rows, stop

Array = np.ndarray


class ROIAlign(OfRegions):
    """The mean, in each of pooled_h x pooled_w bins of a region, of values interpolated at a grid of places.

    A region is x1 to x2 times spatial_scale, at least 1 long. Each bin has ceil(length / pooled) places along an axis;
    a place more than a pixel outside the map is 0. This is ROIAlign as Mask R-CNN's authors and ONNX have it. Caffe
    forks gave the name to several others that differ from it and from each other, the CPU from the GPU of one of them.
    Regions get a gradient of 0.
    """

    type = "ROIAlign"
    reads = ()
    options = Block("roi_align_param", POOLED, message="ROIAlignParameter")

    def _grids(self, rois: Array, image: Shape) -> list[tuple[Array, Array]]:
        """The two matrices of each region."""
        corners = rois[:, 1:] * rois.dtype.type(self.param.spatial_scale)
        return [tuple(self._grid(c[1 - k], c[3 - k], image[k], self.sizes[k]) for k in (0, 1)) for c in corners]

    def _grid(self, low: float, high: float, length: int, many: int) -> Array:
        """[many, length]: the mean of each bin's places."""
        size = max(high - low, low.dtype.type(1))
        places = max(1, int(np.ceil(size / many)))
        at = low + (np.arange(many * places, dtype=low.dtype) + low.dtype.type(0.5)) * (size / (many * places))
        return weights(at, length, 1.0).reshape(many, places, length).mean(axis=1)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, rois, y = bottom[0].data, rows(bottom[1]), top[0].data
        image = images(rois, len(x))
        self.maps = list(zip(image, self._grids(rois, x.shape[2:]), strict=True))
        for n, (i, grids) in enumerate(self.maps):
            y[n] = resample(x[i], *grids)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        stop(propagate_down, bottom, 1)
        if not propagate_down[0]:
            return
        dx = bottom[0].diff
        dx[...] = 0
        for dy, (i, grids) in zip(top[0].diff, self.maps, strict=True):
            dx[i] += resample(dy, *(grid.T for grid in grids))

    def to_onnx(self, graph, inputs):
        x, rois = inputs
        if len(graph.shape(rois)) != 2:
            rois = graph.op("Reshape", [rois, graph.const(np.array([-1, 5]))])
        image, corners = graph.op("Split", [rois, graph.const(np.array([1, 4]))], axis=1, outputs=2)
        image = graph.op("Cast", [graph.op("Reshape", [image, graph.const(np.array([-1]))])], to=7)
        how = {"coordinate_transformation_mode": "output_half_pixel", "mode": "avg", "sampling_ratio": 0}
        height, width = self.sizes
        scale = self.param.spatial_scale
        y = graph.op(
            "RoiAlign", [x, corners, image], output_height=height, output_width=width, spatial_scale=scale, **how
        )
        return [y]
