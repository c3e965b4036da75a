"""Conformance to netdef's contract, and the loss against the sum over every path there is."""

import itertools
import math

import numpy as np
import pytest

from netdef import prototxt, registry
from netdef.errors import LayerError
from netdef.net import Net
from netdef.testing import check_layer


def test_conforms(netdef_case):
    check_layer(netdef_case)


def net(layer: str, phase: int = 0, **inputs: np.ndarray) -> Net:
    text = ""
    for name, x in inputs.items():
        shape = " ".join(f"dim: {d}" for d in x.shape)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {shape} }} }} }}'
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    text = f'force_backward: true {text} layer {{ name: "y" {bottoms} top: "y" {layer} }}'
    built = Net(prototxt.parse(text, registry.default().schema.message("NetParameter")), phase, dtype=np.float64)
    for name, x in inputs.items():
        built.blobs[name].data[...] = x
    built.forward()
    return built


def read(path, blank):
    """What a path spells."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def cost(x, labels, blank):
    """-log of the sum over all paths, of one sequence (T, C)."""
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    paths = itertools.product(range(x.shape[1]), repeat=len(x))
    whole = sum(math.prod(p[t, c] for t, c in enumerate(path)) for path in paths if read(path, blank) == labels)
    return -math.log(whole)


def loss(classes, steps, blank=0):
    return f'type: "CtcLoss" ctc_loss_param {{ alphabet_size: {classes} time_step: {steps} blank_label: {blank} }}'


@pytest.mark.parametrize("blank", [0, 2])
def test_the_loss_is_the_sum_over_all_paths(blank):
    others = [c for c in range(3) if c != blank]
    a, b = others
    rows = [[a, b, blank], [a, a, b], [blank, blank, blank], [blank, b, blank], [b, blank, b]]
    x = np.random.default_rng(blank).normal(size=(6, len(rows), 3))
    built = net(loss(3, 5, blank), x=x, label=np.array(rows, float))
    costs = [cost(x[:5, i], [c for c in row if c != blank], blank) for i, row in enumerate(rows)]
    assert float(built.blobs["y"].data) == pytest.approx(np.mean(costs))
    built.backward()
    assert not built.blobs["x"].diff[5].any(), "the sixth step does not count"


def test_a_sequence_that_cannot_fit_costs_nothing():
    x = np.random.default_rng(1).normal(size=(3, 2, 3))
    built = net(loss(3, 3), x=x, label=np.array([[1, 1, 2], [1, 2, 1]], float))  # 1 1 2 needs four steps
    assert float(built.blobs["y"].data) == pytest.approx(cost(x[:, 1], [1, 2, 1], 0) / 2)
    built.backward()
    assert not built.blobs["x"].diff[:, 0].any()
    assert built.blobs["x"].diff[:, 1].any()


def test_large_scores_do_not_overflow():
    x = np.zeros((4, 1, 3))
    x[:, 0, 1] = 1e4
    built = net(loss(3, 4), x=x, label=np.array([[2.0]]))
    assert float(built.blobs["y"].data) == pytest.approx(4e4 - math.log(10))  # ten paths, four steps of 1e4 each
    built.backward()
    assert np.isfinite(built.blobs["x"].diff).all()


@pytest.mark.parametrize(
    ("layer", "label", "message"),
    [
        (loss(3, 9), 1, "9 steps or more"),
        (loss(4, 4), 1, r"want \(steps, number, 4\)"),
        (loss(3, 0), 1, "time_step 0"),
        (loss(3, 4, blank=3), 1, "blank_label is 3"),
        (loss(3, 4), 3, "a label is 3; want 0 to 2"),
    ],
)
def test_refused(layer, label, message):
    with pytest.raises(LayerError, match=message):
        net(layer, x=np.zeros((4, 1, 3)), label=np.array([[float(label)]]))


def scores(paths, classes):
    """(T, N, C) of which these are the best paths."""
    return np.eye(classes)[np.array(paths)].swapaxes(0, 1)


def test_the_best_path_is_read_up_to_its_end():
    x = scores([[1, 1, 3, 1, 0], [3, 2, 2, 2, 0]], 4)
    going = np.array([[0, 1, 1, 1, 1], [1, 1, 1, 0, 1]]).T
    found = net('type: "CTCGreedyDecoder"', x=x, going=going).blobs["y"].data
    assert found.shape == (2, 5, 1, 1)
    assert found[..., 0, 0].tolist() == [[1, 1, 0, -1, -1], [2, -1, -1, -1, -1]]
    layer = 'type: "CTCGreedyDecoder" ctc_decoder_param { ctc_merge_repeated: false }'
    found = net(layer, x=x, going=going).blobs["y"].data
    assert found[..., 0, 0].tolist() == [[1, 1, 1, 0, -1], [2, 2, -1, -1, -1]]


def test_a_sequence_is_right_or_wrong():
    x = scores([[1, 1, 0, 1], [2, 0, 2, 2], [0, 0, 0, 0], [1, 2, 0, 0]], 3).swapaxes(0, 1)
    label = np.array([[1, 1], [2, 2], [0, 0], [1, 0]])
    found = net('type: "LabelsequenceAccuracy"', 1, x=np.ascontiguousarray(x), label=label)
    assert float(found.blobs["y"].data) == 0.75
