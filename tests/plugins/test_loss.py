"""Losses on plain numbers against float64 loops, and what they refuse."""

import math

import numpy as np
import pytest
from nets import fed

from netdef.errors import LayerError

RNG = np.random.default_rng(6)


def run(layer, arrays, option=""):
    """(loss, gradients by bottom) of the layer in float64, all bottoms asking for a gradient that may have one."""
    bottoms = " ".join(f'bottom: "{name}"' for name in arrays)
    made = fed(
        f'force_backward: true layer {{ type: "{layer}" {bottoms} top: "l" loss_weight: 1.5 {option} }}',
        arrays,
        dtype=np.float64,
    )
    total = made.forward()
    made.backward()
    assert total == 1.5 * float(made.blobs["l"].data)
    return float(made.blobs["l"].data), {name: made.blobs[name].diff / 1.5 for name in arrays}


def logistic(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("mode", ["", "FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 1, -1])
def test_sigmoid_cross_entropy(mode, ignore):
    x, t = RNG.standard_normal((3, 4)), RNG.integers(-1, 2, (3, 4)).astype(float)
    if ignore is None:
        t = RNG.random((3, 4))
    words = f"normalization: {mode} " * bool(mode) + f"ignore_label: {ignore}" * (ignore is not None)
    loss, dx = run("SigmoidCrossEntropyLoss", {"x": x, "t": t}, f"loss_param {{ {words} }}")
    kept = [at for at in np.ndindex(3, 4) if t[at] != ignore]
    over = {"FULL": 12, "VALID": max(1, len(kept)), "BATCH_SIZE": 3, "NONE": 1, "": 3}[mode]
    costs = [t[a] * math.log(logistic(x[a])) + (1 - t[a]) * math.log(1 - logistic(x[a])) for a in kept]
    assert loss == pytest.approx(-sum(costs) / over, rel=1e-12)
    want = np.zeros((3, 4))
    for a in kept:
        want[a] = (logistic(x[a]) - t[a]) / over
    np.testing.assert_allclose(dx["x"], want, atol=1e-13)


def test_sigmoid_cross_entropy_of_huge_scores_is_finite():
    loss, dx = run("SigmoidCrossEntropyLoss", {"x": np.array([[1e4, -1e4]]), "t": np.array([[0.0, 1.0]])})
    assert loss == 2e4
    np.testing.assert_array_equal(dx["x"], [[1, -1]])


def test_sigmoid_cross_entropy_compares_without_the_fraction():
    loss, _ = run(
        "SigmoidCrossEntropyLoss", {"x": np.ones((1, 2)), "t": np.array([[0.3, 1.0]])}, "loss_param { ignore_label: 0 }"
    )
    assert loss == pytest.approx(-math.log(logistic(1)))


def test_euclidean():
    a, b = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 2, 2))
    loss, dx = run("EuclideanLoss", {"a": a, "b": b})
    assert loss == pytest.approx(sum((p - q) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True)) / 6)
    np.testing.assert_allclose(dx["a"].ravel(), (a.ravel() - b.ravel()) / 3)
    np.testing.assert_allclose(dx["b"].ravel(), (b.ravel() - a.ravel()) / 3)


@pytest.mark.parametrize(("norm", "power"), [("L1", 1), ("L2", 2)])
def test_hinge(norm, power):
    x, y = RNG.standard_normal((4, 3)), np.array([0, 2, 1, 1])
    loss, dx = run("HingeLoss", {"x": x, "y": y}, f"hinge_loss_param {{ norm: {norm} }}")
    total, want = 0.0, np.zeros((4, 3))
    for n, k in np.ndindex(4, 3):
        sign = 1 if k == y[n] else -1
        margin = max(0.0, 1 - sign * x[n, k])
        total += margin**power
        want[n, k] = -sign * (margin > 0 if power == 1 else 2 * margin) / 4
    assert loss == pytest.approx(total / 4)
    np.testing.assert_allclose(dx["x"], want, atol=1e-14)


def test_multinomial_logistic():
    p, y = RNG.random((4, 3)), np.array([0, 2, 1, 1])
    p[3, 1] = 0
    loss, dx = run("MultinomialLogisticLoss", {"p": p, "y": y})
    assert loss == pytest.approx(-sum(math.log(max(p[n, y[n]], 1e-20)) for n in range(4)) / 4)
    want = np.zeros((4, 3))
    for n in range(4):
        want[n, y[n]] = -1 / max(p[n, y[n]], 1e-20) / 4
    np.testing.assert_allclose(dx["p"], want)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("margin", [1, 3])
def test_contrastive(legacy, margin):
    a, b, y = RNG.standard_normal((6, 3)), RNG.standard_normal((6, 3)), np.array([0, 1, 0, 2, 0, 0.5])
    b[2] = a[2] + 0.01
    option = f"contrastive_loss_param {{ margin: {margin} legacy_version: {str(legacy).lower()} }}"
    loss, dx = run("ContrastiveLoss", {"a": a, "b": b, "y": y}, option)
    total, want = 0.0, np.zeros((6, 3))
    for n in range(6):
        square = sum((a[n] - b[n]) ** 2)
        d = math.sqrt(square)
        if int(y[n]):
            total += square
            want[n] = a[n] - b[n]
        elif legacy:
            total += max(0.0, margin - square)
            want[n] = -(a[n] - b[n]) * (margin > square)
        else:
            total += max(0.0, margin - d) ** 2
            want[n] = -(a[n] - b[n]) * max(0.0, margin - d) / d
    assert loss == pytest.approx(total / 12)
    np.testing.assert_allclose(dx["a"], want / 6, atol=1e-14)
    np.testing.assert_allclose(dx["b"], -want / 6, atol=1e-14)


def test_contrastive_at_distance_zero_has_no_gradient():
    _, dx = run("ContrastiveLoss", {"a": np.ones((1, 2)), "b": np.ones((1, 2)), "y": np.zeros(1)})
    np.testing.assert_array_equal(dx["a"], [[0, 0]])


@pytest.mark.parametrize(
    ("layer", "shapes", "words"),
    [
        ("SigmoidCrossEntropyLoss", [(3, 4), (3, 5)], "differ in count"),
        ("SigmoidCrossEntropyLoss", [(3, 4), (4, 3)], "differs from (3, 4) in the first axis; want (3, ...)"),
        ("EuclideanLoss", [(3, 4), (3, 5)], "3 x 4 and 3 x 5; want as many numbers in both"),
        ("EuclideanLoss", [(), ()], "first axis"),
        ("HingeLoss", [(3, 4), (3, 4)], "labels of 3 x 4 for 3 records; want one for each"),
        ("MultinomialLogisticLoss", [(3, 4), (2,)], "differs from (3, 4) in the first axis"),
        ("ContrastiveLoss", [(3, 4), (3, 5), (3,)], "want two bottoms of N x channels"),
        ("ContrastiveLoss", [(3, 4, 2), (3, 4, 2), (3,)], "want two bottoms of N x channels"),
        ("ContrastiveLoss", [(3, 4), (3, 4), (2,)], "labels of 2 for 3 pairs"),
    ],
)
def test_shapes_that_do_not_fit(layer, shapes, words):
    with pytest.raises(LayerError) as error:
        run(layer, {f"b{i}": np.zeros(shape) for i, shape in enumerate(shapes)})
    assert words in str(error.value)


@pytest.mark.parametrize("layer", ["HingeLoss", "MultinomialLogisticLoss"])
def test_a_label_that_is_no_class_is_named(layer):
    with pytest.raises(LayerError, match=r"label 5 at index \(1\) is no class: there are 4"):
        run(layer, {"x": np.ones((2, 2, 2)), "y": np.array([0, 5])})


@pytest.mark.parametrize(
    "layer", ["SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "HingeLoss", "MultinomialLogisticLoss"]
)
def test_labels_can_have_no_gradient(layer):
    text = (
        'layer { type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }'
        f'layer {{ type: "{layer}" bottom: "x" bottom: "y" top: "l" }}'
    )
    made = fed(text, {"x": np.ones((2, 1))})
    made.forward()
    with pytest.raises(LayerError, match=r"bottom 1 \('y'\) can have no gradient"):
        made.backward()
