"""Losses of detectors, against plain loops in float64."""

import math

import numpy as np
import pytest
from rcnn_nets import RNG, net, regions, run

from netdef import registry
from netdef.errors import LayerError


def test_softmax_with_loss_ohem():
    x, labels = RNG.normal(size=(6, 4)), np.array([0, 3, 9, 1, 9, 2], np.float64)
    made = net("SoftmaxWithLossOHEM", "loss_param { ignore_label: 9 }", x, labels, tops=3)
    each = [0 if t == 9 else math.log(sum(math.exp(v) for v in row)) - row[int(t)] for row, t in zip(x, labels)]
    np.testing.assert_allclose(made.blobs["y2"].data, each, rtol=1e-12)
    assert float(made.blobs["y0"].data) == pytest.approx(sum(each) / 4)


def test_smooth_l1_loss_ohem():
    a, b, w = RNG.normal(0, 2, (5, 4)), RNG.normal(0, 2, (5, 4)), RNG.integers(0, 2, (5, 4)).astype(float)
    options = "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 8 }"
    made = net("SmoothL1LossOHEM", options, a, b, w, tops=2)
    d = [[abs(w[i, j] * (a[i, j] - b[i, j])) for j in range(4)] for i in range(5)]
    each = [sum(v * v / 2 if v < 1 else v - 0.5 for v in row) for row in d]
    np.testing.assert_allclose(made.blobs["y1"].data.ravel(), each, rtol=1e-12)
    assert float(made.blobs["y0"].data) == pytest.approx(sum(each) / 8)


def test_box_annotator_ohem():
    rois, cost = regions(12, 3, 10), RNG.uniform(size=12)
    cost[3] = cost[7]
    labels, weights = np.arange(12.0), RNG.normal(size=(12, 4))
    made = net("BoxAnnotatorOHEM", "box_annotator_ohem_param { roi_per_img: 2 }", rois, cost, labels, weights, tops=2)
    left, hard = [2, 2, 2], set()
    for i in sorted(range(12), key=lambda i: -cost[i]):
        if left[int(rois[i, 0])]:
            left[int(rois[i, 0])] -= 1
            hard.add(i)
    assert made.blobs["y0"].data.ravel().tolist() == [i if i in hard else -1 for i in range(12)]
    want = [weights[i] if i in hard else np.zeros(4) for i in range(12)]
    np.testing.assert_array_equal(made.blobs["y1"].data.reshape(12, 4), want)


def test_smooth_l1_loss_has_one_provider():
    """It is netdef-ssd's, which this distribution depends on; a net of either needs no choice."""
    claims = registry.default().claims("layers", "SmoothL1Loss")
    assert [claim.plugin.distribution for claim in claims] == ["netdef-ssd"]
    assert run("SmoothL1Loss", "smooth_l1_loss_param { sigma: 3 }", np.ones((2, 3)), np.zeros((2, 3))).shape == ()


def test_pre_fixed_is_for_these_losses_alone():
    with pytest.raises(LayerError, match="knows no such loss_param"):
        net("SoftmaxWithLoss", "loss_param { normalization: PRE_FIXED }", RNG.normal(size=(2, 3)), np.zeros(2))


def test_weighted_sigmoid_cross_entropy():
    x, t, w = RNG.normal(size=(2, 3)), RNG.random((2, 3)), RNG.random((2, 3))
    want = -sum(
        w[i] * (t[i] * math.log(1 / (1 + math.exp(-x[i]))) + (1 - t[i]) * math.log(1 / (1 + math.exp(x[i]))))
        for i in np.ndindex(x.shape)
    )
    assert run("SigmoidCrossEntropyLoss", "", x, t, w) == pytest.approx(want / 2)
    two = run("SigmoidCrossEntropyLoss", "", x, t)
    assert run("SigmoidCrossEntropyLoss", "", x, t, np.ones_like(w)) == pytest.approx(
        two
    )  # netdef's own, of two bottoms
