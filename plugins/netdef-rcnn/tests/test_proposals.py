"""Proposals: anchors, moves and what overlaps, against plain loops in float64."""

import math

import numpy as np
import pytest
from rcnn_nets import RNG, net, warped


def jaccard(a: list[float], b: list[float]) -> float:
    """Overlap of boxes that contain both corners."""
    sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + 1 for k in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return shared / (area[0] + area[1] - shared)


def test_anchors():
    """Those of Faster R-CNN, which anybody who has used it knows by heart."""
    from netdef_rcnn.proposal import anchors

    assert anchors(16, [0.5, 1, 2], [8, 16, 32]).tolist() == [
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ]


@pytest.mark.parametrize("info", [[50, 60, 1], [50, 60, 1, 2, 0, 0]])
def test_proposal(info):
    from netdef_rcnn.proposal import anchors

    ratios, scales = [0.5, 2.0], [2.0, 1.0, 4.0]
    scores, moves = RNG.uniform(size=(2, 12, 5, 6)), RNG.normal(0, 0.4, (2, 24, 5, 6))
    want = []
    for image in range(2):
        found = []
        for h, w, k in np.ndindex(5, 6, 6):
            x1, y1, x2, y2 = anchors(16, ratios, scales)[k]
            wide, high, (dx, dy, dw, dh) = x2 - x1 + 1, y2 - y1 + 1, moves[image, 4 * k : 4 * k + 4, h, w]
            u, v = w * 10 + x1 + wide / 2 + dx * wide, h * 10 + y1 + high / 2 + dy * high
            wide, high = math.exp(dw) * wide, math.exp(dh) * high
            box = [u - wide / 2, v - high / 2, u + wide / 2, v + high / 2]
            box = [max(0.0, min(value, (60, 50)[i % 2] - 1.0)) for i, value in enumerate(box)]
            least = (12 * info[3 if len(info) > 3 else 2], 12 * info[2])
            small = box[2] - box[0] + 1 < least[0] or box[3] - box[1] + 1 < least[1]
            found.append((0.0 if small else scores[image, 6 + k, h, w], box))
        kept = []
        for score, box in sorted(found, key=lambda f: -f[0])[:100]:
            if len(kept) < 20 and all(jaccard(box, other) <= 0.6 for _, other in kept):
                kept.append((score, box))
        want += [[image, *box, score] for score, box in kept]
    options = f"""proposal_param {{ feat_stride: 10 min_size: 12 pre_nms_topn: 100 post_nms_topn: 20 nms_thresh: 0.6
        {" ".join(f"ratio: {r}" for r in ratios)} {" ".join(f"scale: {s}" for s in scales)} }}"""
    made = net("Proposal", options, scores, moves, np.array([info], np.float64), tops=2)
    got = np.concatenate([made.blobs["y0"].data, made.blobs["y1"].data[:, None]], axis=1)
    assert 10 < len(want) <= 40
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_regions_are_moved_as_if_nothing_were_rounded():
    """Against differences of the unrounded function, at corners that rounding leaves where they are."""
    x, rois = RNG.normal(size=(2, 3, 9, 9)), np.array([[0, 2, 4, 10, 12], [1, 4, 0, 14, 6]], float)
    options = "roi_warping_param { pooled_h: 3 pooled_w: 7 spatial_scale: 0.5 }"
    n = net("ROIWarping", options, x, rois)
    n.forward()
    top, regions = n.blobs["y0"], n.blobs["x1"]
    top.diff[...] = RNG.normal(size=top.shape)
    n.layers[n.index("layer")].backward([top], [False, True], [n.blobs["x0"], regions])
    for k, roi in enumerate(rois):
        image = x[int(roi[0])]
        for c in range(4):
            # places at whole pixels have a slope on either side; the one towards the next pixel is taken
            moved = roi[1:].copy()
            moved[c] += 1e-6
            change = warped(image, moved, 0.5, (3, 7), float) - warped(image, roi[1:], 0.5, (3, 7), float)
            assert regions.diff[k, 1 + c] == pytest.approx((change * top.diff[k]).sum() / 1e-6, rel=1e-4, abs=1e-4)
        assert regions.diff[k, 0] == 0
