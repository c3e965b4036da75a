"""Conformance to netdef's contract, and how the centres move, by loops."""

import numpy as np
import pytest

from netdef import prototxt, registry
from netdef.errors import LayerError
from netdef.net import Net
from netdef.testing import check_layer

RNG = np.random.default_rng(4)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def net(x, labels, options="num_output: 3 center_filler { type: 'gaussian' }", more=""):
    shapes = (" ".join(f"dim: {d}" for d in a.shape) for a in (x, labels))
    text = "force_backward: true\n" + "".join(
        f'layer {{ name: "{n}" type: "Input" top: "{n}" input_param {{ shape {{ {s} }} }} }}\n'
        for n, s in zip(("x", "label"), shapes, strict=True)
    )
    text += f'layer {{ name: "y" type: "CenterLoss" bottom: "x" bottom: "label" top: "y" {more} '
    text += f"center_loss_param {{ {options} }} }}"
    found = prototxt.parse(text, registry.default().schema.message("NetParameter"))
    built = Net(found, 0, dtype=np.float64, seed=1)
    built.blobs["x"].data[...], built.blobs["label"].data[...] = x, labels
    return built


def test_the_loss_and_how_the_centres_move():
    """No case checks gradients: the centres do not follow the loss's."""
    x, labels = RNG.normal(size=(5, 4)), np.array([2.0, 0, 2, 2, 0])
    built = net(x, labels, more="loss_weight: 0.5")
    c = built.params["y"][0].data.copy()
    assert c.shape == (3, 4)
    built.forward()
    away = [x[n] - c[int(k)] for n, k in enumerate(labels)]
    assert float(built.blobs["y"].data) == pytest.approx(sum((a * a).sum() for a in away) / 10)
    built.backward()
    np.testing.assert_allclose(built.blobs["x"].diff, np.array(away) * 0.5 / 5)
    moved = np.zeros((3, 4))
    for k, count in ((0, 2), (2, 3)):
        moved[k] = sum(-a for a, label in zip(away, labels, strict=True) if label == k) / (1 + count)
    np.testing.assert_allclose(built.params["y"][0].diff, moved)  # whatever the loss_weight


def test_centres_settle_where_their_classes_are():
    x = np.array([[1.0, 3], [3, 5], [-4, 0]])
    built = net(x, np.array([0.0, 0, 1]))
    for _ in range(60):
        built.clear_param_diffs()
        built.forward()
        built.backward()
        built.params["y"][0].data[...] -= built.params["y"][0].diff
    np.testing.assert_allclose(built.params["y"][0].data[:2], [[2, 4], [-4, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ("", [0, 0], "num_output is left out"),
        ("num_output: 3 distance_type: 'COS'", [0, 0], "distance_type is 'COS'"),
        ("num_output: 3 axis: 0", [0, 0], "axis is 0"),
        ("num_output: 3", [0, 3], "a label is 3; want 0 to 2"),
        ("num_output: 3", [0, 1, 2], "one for each of 2 samples"),
    ],
)
def test_refused(options, labels, message):
    with pytest.raises(LayerError, match=message):
        net(np.zeros((2, 4)), np.array(labels, float), options).forward()
