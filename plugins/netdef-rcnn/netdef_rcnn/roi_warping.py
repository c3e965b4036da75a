"""ROIWarping: a region as a small map, with a gradient for its corners too."""

import numpy as np

from netdef.layer import Blob, Block
from netdef_rcnn.bilinear import resample, weights
from netdef_rcnn.regions import POOLED, OfRegions, images, rounded, rows

Array = np.ndarray


class ROIWarping(OfRegions):
    """y[v, u] = x at (y1 + v (y2 - y1) / pooled_h, x1 + u (x2 - x1) / pooled_w), interpolated; MNC's (Dai et al. 2016).

    Corners are multiplied by spatial_scale and rounded; a place more than half a pixel outside the map is 0. Regions
    get a gradient as if nothing were rounded: that of the places, which lie between the corners. Along an axis it is 0
    at and behind the map's last pixel.

    Other than MNC: a pixel's gradient is that of all places that it counts for, where the fork leaves out what lies a
    pixel outside the region.
    """

    type = "ROIWarping"
    no_onnx = "RoiAlign takes the middle of each bin, not its start"
    options = Block("roi_warping_param", POOLED, message="ROIWarpingParameter")

    def places(self, region: Array, axis: int) -> Array:
        """Where along an axis, 0 down and 1 across, the top's pixels are from."""
        low, high = (rounded(region[k] * region.dtype.type(self.param.spatial_scale)) for k in (2 - axis, 4 - axis))
        return low + np.arange(self.sizes[axis], dtype=region.dtype) * (max(high - low, 0) / self.sizes[axis])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, rois = bottom[0].data, rows(bottom[1])
        for n, i in enumerate(images(rois, len(x))):
            down, across = (weights(self.places(rois[n], k), x.shape[2 + k], 0.5) for k in (0, 1))
            top[0].data[n] = resample(x[i], down, across)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        x, rois = bottom[0].data, rows(bottom[1])
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff[...] = 0
        drois = bottom[1].diff.reshape(rois.shape) if propagate_down[1] else None
        for n, i in enumerate(images(rois, len(x))):
            at = [self.places(rois[n], k) for k in (0, 1)]
            down, across = (weights(at[k], x.shape[2 + k], 0.5) for k in (0, 1))
            dy = top[0].diff[n]
            if propagate_down[0]:
                bottom[0].diff[i] += resample(dy, down.T, across.T)
            if drois is not None:
                steep_down, steep_across = (slopes(at[k], x.shape[2 + k]) for k in (0, 1))
                self.move(drois[n], 0, (dy * resample(x[i], steep_down, across)).sum(axis=(0, 2)))
                self.move(drois[n], 1, (dy * resample(x[i], down, steep_across)).sum(axis=(0, 1)))

    def move(self, dregion: Array, axis: int, dplaces: Array) -> None:
        """The corners' gradient from that of the places along an axis: each lies part of the way between them."""
        part = np.arange(self.sizes[axis]) / self.sizes[axis]
        dregion[2 - axis] = self.param.spatial_scale * (dplaces * (1 - part)).sum()
        dregion[4 - axis] = self.param.spatial_scale * (dplaces * part).sum()


def slopes(at: Array, length: int) -> Array:
    """[places, length]: what interpolation changes by for each pixel that a place moves; 0 from the last pixel on."""
    found = np.zeros((len(at), length), at.dtype)
    inside = np.flatnonzero((at >= 0) & (at < length - 1))
    low = at[inside].astype(np.intp)
    found[inside, low], found[inside, low + 1] = -1, 1
    return found
