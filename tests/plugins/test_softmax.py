"""Softmax and its losses against plain float64 loops, and what they refuse."""

import math

import numpy as np
import pytest
from nets import fed, net

from netdef.errors import LayerError

RNG = np.random.default_rng(5)


def softmax(scores):
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    return [p / sum(powers) for p in powers]


def predictions(x, y, axis):
    """(scores of one prediction, its label, where it is) in order, by plain loops."""
    axis %= x.ndim
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    scores, labels = x.reshape(outer, -1, inner), y.reshape(outer, inner)
    return [(list(scores[o, :, i]), int(labels[o, i]), (o, i)) for o in range(outer) for i in range(inner)]


def divisor(mode, outer, total, valid):
    return max(1, {"FULL": total, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}[mode])


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 1), ((2, 4, 3, 2), 1), ((2, 3, 4), -1), ((3, 2), 0), ((4,), -1)])
def test_softmax_is_the_loops(shape, axis):
    x, dy = RNG.standard_normal(shape), RNG.standard_normal(shape)
    made = fed(
        f'force_backward: true layer {{ type: "Softmax" bottom: "x" top: "s" softmax_param {{ axis: {axis} }} }}',
        {"x": x},
        dtype=np.float64,
    )
    made.forward()
    made.blobs["s"].diff[...] = dy
    made.backward()
    y, dx = (np.moveaxis(a, axis, -1) for a in (made.blobs["s"].data, made.blobs["x"].diff))
    for at in np.ndindex(y.shape[:-1]):
        want = np.array(softmax(list(np.moveaxis(x, axis, -1)[at])))
        np.testing.assert_allclose(y[at], want, rtol=1e-12)
        jacobian = np.diag(want) - np.outer(want, want)
        np.testing.assert_allclose(dx[at], jacobian @ np.moveaxis(dy, axis, -1)[at], atol=1e-13)


def test_softmax_of_huge_scores_is_finite():
    made = fed('layer { type: "Softmax" bottom: "x" top: "s" }', {"x": np.array([[1e4, 1e4 - 1, -1e4]])})
    made.forward()
    np.testing.assert_allclose(made.blobs["s"].data, [[0.7310586, 0.26894143, 0]], rtol=1e-6)


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 1])
@pytest.mark.parametrize(
    ("shape", "labels", "axis"), [((4, 3), (4,), 1), ((2, 3, 2, 4), (2, 1, 2, 4), 1), ((2, 4, 3), (2, 4), -1)]
)
def test_softmax_loss_is_the_loops(shape, labels, axis, ignore, mode):
    x, y = RNG.standard_normal(shape), RNG.integers(0, 3, labels)
    option = "" if ignore is None else f"ignore_label: {ignore}"
    made = fed(
        'force_backward: true layer { type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" top: "p" '
        f"loss_weight: 0.75 softmax_param {{ axis: {axis} }} loss_param {{ normalization: {mode} {option} }} }}",
        {"x": x, "y": y},
        dtype=np.float64,
    )
    total = made.forward()
    made.backward()
    rows = predictions(x, y, axis)
    kept = [row for row in rows if row[1] != ignore]
    over = divisor(mode, math.prod(shape[: axis % len(shape)]), len(rows), len(kept))
    loss = -sum(math.log(softmax(scores)[label]) for scores, label, _ in kept) / over
    assert total == pytest.approx(0.75 * loss, rel=1e-12)
    assert float(made.blobs["l"].data) == pytest.approx(loss, rel=1e-12)
    dx = np.zeros((math.prod(shape[: axis % len(shape)]), 3, math.prod(shape[axis % len(shape) + 1 :])))
    for scores, label, (o, i) in kept:
        dx[o, :, i] = np.array(softmax(scores)) * 0.75 / over
        dx[o, label, i] -= 0.75 / over
    np.testing.assert_allclose(made.blobs["x"].diff, dx.reshape(shape), atol=1e-13)


@pytest.mark.parametrize(("normalize", "over"), [("true", 3), ("false", 2)])
def test_old_normalize(normalize, over):
    x, y = RNG.standard_normal((2, 3, 2)), np.array([[0, 2], [1, 1]])
    made = fed(
        'layer { type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" '
        f"loss_param {{ ignore_label: 2 normalize: {normalize} }} }}",
        {"x": x, "y": y},
        dtype=np.float64,
    )
    costs = [-math.log(softmax(scores)[label]) for scores, label, _ in predictions(x, y, 1) if label != 2]
    assert made.forward() == pytest.approx(sum(costs) / over, rel=1e-12)


def test_all_ignored_gives_zero_not_nan():
    made = fed(
        'force_backward: true layer { type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" '
        "loss_param { ignore_label: 7 } }",
        {"x": np.ones((2, 3)), "y": np.full(2, 7)},
    )
    made.blobs["x"].diff[...] = 9
    assert made.forward() == 0
    made.backward()
    assert not made.blobs["x"].diff.any()


def test_loss_of_an_impossible_label_is_that_of_the_smallest_float():
    made = fed(
        'layer { type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" }',
        {"x": np.array([[0, 1e5]]), "y": np.zeros(1)},
    )
    assert made.forward() == pytest.approx(87.3365, abs=1e-4)


@pytest.mark.parametrize("layer", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([[0, 1], [3, 1]], "label 3 at index (1, 0) is no class: there are 3, so want 0 to 2"),
        ([[0, -1], [2, 1]], "label -1 at index (0, 1)"),
        ([[0, 1], [2, np.nan]], "label nan at index (1, 1)"),
    ],
)
def test_a_label_that_is_no_class_is_named(layer, y, words):
    made = fed(
        f'layer {{ type: "{layer}" bottom: "x" bottom: "y" top: "l" }}', {"x": np.ones((2, 3, 2)), "y": np.array(y)}
    )
    with pytest.raises(LayerError, match=r"case\.prototxt:3:1") as error:
        made.forward()
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "x", "y", "words"),
    [
        ("", (4, 3), (4, 3), "has 12 labels for scores (4, 3) with classes on axis 1; want 4"),
        ("", (4, 3, 2), (2, 4), "differs from (4, 3, 2) in the first axis"),
        ("softmax_param { axis: 2 }", (4, 3), (4,), "axis 2 is out of range"),
    ],
)
def test_labels_that_do_not_fit(text, x, y, words):
    with pytest.raises(LayerError) as error:
        fed(
            f'layer {{ type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" {text} }}',
            {"x": np.ones(x), "y": np.ones(y)},
        )
    assert words in str(error.value)


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 1])
def test_infogain_is_the_loops(mode, ignore):
    x, y, h = RNG.standard_normal((2, 3, 4)), RNG.integers(0, 3, (2, 4)), RNG.random((3, 3))
    option = "" if ignore is None else f"ignore_label: {ignore}"
    made = fed(
        'force_backward: true layer { type: "InfogainLoss" bottom: "x" bottom: "y" bottom: "h" top: "l" top: "p" '
        f"loss_param {{ normalization: {mode} {option} }} }}",
        {"x": x, "y": y, "h": h},
        dtype=np.float64,
    )
    rows = [row for row in predictions(x, y, 1) if row[1] != ignore]
    over = divisor(mode, 2, 8, len(rows))
    loss = -sum(h[c, k] * math.log(p) for s, c, _ in rows for k, p in enumerate(softmax(s))) / over
    assert made.forward() == pytest.approx(loss, rel=1e-12)
    made.backward()
    dx = np.zeros(x.shape)
    for scores, c, (o, i) in rows:
        dx[o, :, i] = (np.array(softmax(scores)) * h[c].sum() - h[c]) / over
    np.testing.assert_allclose(made.blobs["x"].diff, dx, atol=1e-13)


def test_infogain_matrix_from_a_file(tmp_path):
    h = RNG.random((1, 1, 3, 3)).astype(np.float32)
    blob = type(net('layer { type: "Input" top: "x" }').layers[0].layer_param)().blobs.add()
    blob.shape.dim.extend(h.shape)
    blob.data.extend(h.ravel().tolist())
    (tmp_path / "h.binaryproto").write_bytes(blob.SerializeToString())
    arrays = {"x": RNG.standard_normal((4, 3)), "y": np.array([0, 1, 2, 1])}
    option = 'infogain_loss_param { source: "h.binaryproto" }'
    text = f'layer {{ type: "InfogainLoss" bottom: "x" bottom: "y" top: "l" {option} }}'
    from_file = fed(text, arrays, base=tmp_path).forward()
    text = 'layer { type: "InfogainLoss" bottom: "x" bottom: "y" bottom: "h" top: "l" }'
    assert from_file == fed(text, {**arrays, "h": h}).forward()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("", "needs the infogain matrix"),
        ('infogain_loss_param { source: "nowhere" }', "no file 'nowhere'"),
        ("loss_param { normalize: true }", "say normalization: VALID or BATCH_SIZE"),
    ],
)
def test_infogain_refuses(option, words):
    with pytest.raises(Exception) as error:
        fed(
            f'layer {{ type: "InfogainLoss" bottom: "x" bottom: "y" top: "l" {option} }}',
            {"x": np.ones((2, 3)), "y": np.ones(2)},
        )
    assert words in str(error.value)


def test_infogain_matrix_of_another_size():
    arrays = {"x": np.ones((2, 3)), "y": np.ones(2), "h": np.ones((2, 2))}
    with pytest.raises(LayerError, match="has 4 numbers; want 3 x 3"):
        fed('layer { type: "InfogainLoss" bottom: "x" bottom: "y" bottom: "h" top: "l" }', arrays)
