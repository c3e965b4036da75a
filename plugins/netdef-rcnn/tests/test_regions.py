"""Features of regions, forward against plain loops in float64."""

import math

import numpy as np
import pytest
from rcnn_nets import RNG, c_round, clip, net, regions, run, warped


@pytest.mark.parametrize("pooled", [(1, 1), (3, 2), (7, 7)])
def test_roi_pooling(pooled):
    x, rois, scale = np.maximum(RNG.normal(size=(2, 3, 9, 11)), 0), regions(20, 2, 40), 0.25
    options = f"roi_pooling_param {{ pooled_h: {pooled[0]} pooled_w: {pooled[1]} spatial_scale: {scale} }}"
    made = net("ROIPooling", options, x, rois)
    dy = RNG.normal(size=made.blobs["y0"].shape)
    made.blobs["y0"].diff[...] = dy
    made.backward()
    want, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, c, ph, pw in np.ndindex(want.shape):
        x1, y1, x2, y2 = (c_round(v * scale) for v in rois[n, 1:])
        high, wide = max(y2 - y1 + 1, 1) / pooled[0], max(x2 - x1 + 1, 1) / pooled[1]
        rows = range(clip(y1 + math.floor(ph * high), 9), clip(y1 + math.ceil((ph + 1) * high), 9))
        columns = range(clip(x1 + math.floor(pw * wide), 11), clip(x1 + math.ceil((pw + 1) * wide), 11))
        best = None
        for h in rows:
            for w in columns:
                if best is None or x[int(rois[n, 0]), c, h, w] > x[(*best,)]:
                    best = (int(rois[n, 0]), c, h, w)
        if best:
            want[n, c, ph, pw] = x[best]
            dx[best] += dy[n, c, ph, pw]
    np.testing.assert_array_equal(made.blobs["y0"].data, want)
    np.testing.assert_allclose(made.blobs["x0"].diff, dx, atol=1e-12)


def test_roi_pooling_in_time():
    x = RNG.normal(size=(2, 2, 12, 8, 6))
    rois = np.array([[0, 0, 30], [1, 9.9, 50.1], [1, 80, 200], [0, 40, 10]], np.float64)
    options = "roi_pooling_param { pooled_l: 3 pooled_h: 4 pooled_w: 2 temporal_scale: 0.125 }"
    y = run("ROIPooling", options, x, rois)
    for n, c, pl, ph, pw in np.ndindex(y.shape):
        first, last = c_round(rois[n, 1] * 0.125), c_round(rois[n, 2] * 0.125)
        length = max(last - first + 1, 1) / 3
        a, b = clip(first + math.floor(pl * length), 12), clip(first + math.ceil((pl + 1) * length), 12)
        top, bottom = clip(math.floor(ph * 7 / 4), 8), clip(math.ceil((ph + 1) * 7 / 4), 8)
        left, right = clip(math.floor(pw * 7 / 2), 6), clip(math.ceil((pw + 1) * 7 / 2), 6)
        part = x[int(rois[n, 0]), c, a:b, top:bottom, left:right]
        assert y[n, c, pl, ph, pw] == (part.max() if part.size else 0)


def test_psroi_pooling():
    x, rois, scale = RNG.normal(size=(2, 18, 8, 10)), regions(15, 2, 30), 0.25
    y = run("PSROIPooling", f"psroi_pooling_param {{ spatial_scale: {scale} output_dim: 2 group_size: 3 }}", x, rois)
    for n, d, ph, pw in np.ndindex(y.shape):
        x1, y1 = c_round(rois[n, 1]) * scale, c_round(rois[n, 2]) * scale
        wide = max((c_round(rois[n, 3]) + 1) * scale - x1, 0.1) / 3
        high = max((c_round(rois[n, 4]) + 1) * scale - y1, 0.1) / 3
        top, bottom = clip(math.floor(ph * high + y1), 8), clip(math.ceil((ph + 1) * high + y1), 8)
        left, right = clip(math.floor(pw * wide + x1), 10), clip(math.ceil((pw + 1) * wide + x1), 10)
        values = [
            x[int(rois[n, 0]), (d * 3 + ph) * 3 + pw, h, w] for h in range(top, bottom) for w in range(left, right)
        ]
        assert y[n, d, ph, pw] == pytest.approx(sum(values) / len(values) if values else 0, abs=1e-12)


def interpolated(x: np.ndarray, v: float, u: float) -> float:
    """The value of an image at row v and column u: 0 more than a pixel outside."""
    if v < -1 or v > x.shape[0] or u < -1 or u > x.shape[1]:
        return 0.0
    v, u = min(max(v, 0), x.shape[0] - 1), min(max(u, 0), x.shape[1] - 1)
    h, w = min(int(v), x.shape[0] - 2), min(int(u), x.shape[1] - 2)
    rows = [x[h, k] + (v - h) * (x[h + 1, k] - x[h, k]) for k in (w, w + 1)]
    return rows[0] + (u - w) * (rows[1] - rows[0])


def test_roi_align():
    x, rois, scale = RNG.normal(size=(2, 2, 7, 9)), regions(12, 2, 30), 0.25
    y = run("ROIAlign", f"roi_align_param {{ pooled_h: 2 pooled_w: 3 spatial_scale: {scale} }}", x, rois)
    for n, c, ph, pw in np.ndindex(y.shape):
        x1, y1, x2, y2 = rois[n, 1:] * scale
        high, wide = max(y2 - y1, 1) / 2, max(x2 - x1, 1) / 3
        rows, columns = math.ceil(high), math.ceil(wide)
        values = [
            interpolated(
                x[int(rois[n, 0]), c], y1 + (ph + (i + 0.5) / rows) * high, x1 + (pw + (j + 0.5) / columns) * wide
            )
            for i in range(rows)
            for j in range(columns)
        ]
        assert y[n, c, ph, pw] == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_mask_resize():
    x = RNG.normal(size=(2, 1, 4, 3))
    y = run("MaskResize", "mask_resize_param { output_height: 11 output_width: 2 }", x)
    for n, c, h, w in np.ndindex(y.shape):
        v, u = h * 4 / 11, w * 3 / 2
        want = 0 if v > 3.5 or u > 2.5 else interpolated(x[n, c], v, u)
        assert y[n, c, h, w] == pytest.approx(want, abs=1e-6)


def test_roi_warping():
    x = RNG.normal(size=(2, 3, 7, 9))
    rois = np.array([[0, 2, 1, 13, 9], [1, 0, 0, 22, 20], [1, 5, 5, 5, 5], [0, -3, 2, 9, 30]], float)
    y = run("ROIWarping", "roi_warping_param { pooled_h: 4 pooled_w: 5 spatial_scale: 0.5 }", x, rois)
    for n, roi in enumerate(rois):
        np.testing.assert_allclose(y[n], warped(x[int(roi[0])], roi[1:], 0.5, (4, 5), c_round), atol=1e-12)
