"""Accuracy against plain loops, ties and odd labels as Caffe counts them."""

import math

import numpy as np
import pytest
from nets import fed

from netdef.errors import LayerError

RNG = np.random.default_rng(7)


def by_hand(x, y, axis, k, ignore):
    """(accuracy, accuracy by class): right where fewer than k other classes score as much as the label's."""
    axis %= x.ndim
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    scores, labels = x.reshape(outer, -1, inner), y.reshape(outer, inner).astype(int)
    right, seen = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for o in range(outer):
        for i in range(inner):
            label = labels[o, i]
            if label == ignore:
                continue
            others = sum(scores[o, c, i] >= scores[o, label, i] for c in range(scores.shape[1]) if c != label)
            seen[label] += 1
            right[label] += others < k
    return right.sum() / max(1, seen.sum()), right / np.maximum(1, seen)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("ignore", [None, 1])
@pytest.mark.parametrize(
    ("shape", "labels", "axis"), [((30, 3), (30,), 1), ((4, 3, 2, 5), (4, 1, 2, 5), 1), ((2, 7, 3), (14,), -1)]
)
@pytest.mark.parametrize("levels", [2, 1000])
def test_accuracy_is_the_loops(shape, labels, axis, k, ignore, levels):
    x, y = RNG.integers(0, levels, shape), RNG.integers(0, 3, labels)
    option = f"top_k: {k} axis: {axis} " + f"ignore_label: {ignore}" * (ignore is not None)
    text = f'layer {{ type: "Accuracy" bottom: "x" bottom: "y" top: "a" top: "c" accuracy_param {{ {option} }} }}'
    made = fed(text, {"x": x, "y": y}, dtype=np.float64)
    assert made.forward() == 0
    whole, by_class = by_hand(x, y, axis, k, ignore)
    assert float(made.blobs["a"].data) == whole
    np.testing.assert_array_equal(made.blobs["c"].data, by_class)


def accuracy(x, y, option=""):
    made = fed(f'layer {{ type: "Accuracy" bottom: "x" bottom: "y" top: "a" {option} }}', {"x": x, "y": y})
    made.forward()
    return float(made.blobs["a"].data)


def test_equal_scores_are_never_right():
    assert accuracy(np.ones((4, 3)), np.array([0, 1, 2, 0])) == 0


def test_a_broken_net_is_not_perfect():
    assert accuracy(np.full((4, 3), np.nan), np.array([0, 1, 2, 0])) == 0


def test_all_ignored_is_zero():
    assert accuracy(np.eye(3), np.full(3, 255), "accuracy_param { ignore_label: 255 }") == 0


@pytest.mark.parametrize(
    ("option", "labels", "words"),
    [
        ("accuracy_param { top_k: 4 }", (5,), "top_k 4 of 3 classes; want 1 to 3"),
        ("", (5, 3), "has 15 labels for scores (5, 3)"),
    ],
)
def test_refusals(option, labels, words):
    with pytest.raises(LayerError) as error:
        accuracy(np.ones((5, 3)), np.zeros(labels), option)
    assert words in str(error.value)


def test_no_gradient_even_when_forced():
    text = 'force_backward: true layer { type: "Accuracy" bottom: "x" bottom: "y" top: "a" }'
    made = fed(text, {"x": np.eye(3), "y": np.arange(3)})
    made.forward()
    made.backward()
