"""Losses: their weights, their sum, and the gradients that start there."""

import numpy as np
import pytest
from net.small import INPUT, X, dense, gradient, layer, net, numerical

from netdef.errors import LayerError


def test_several_losses_are_weighted_and_summed():
    text = layer("Square", "x", "q") + layer("Total", "q", "one", "loss_weight: 2") + layer("Total", "x", "two")
    built = net(INPUT + text + layer("Total", "q", "none", "loss_weight: 0"), dtype=np.float64)
    built.blobs["x"].data[...] = X
    assert built.forward() == pytest.approx(2 * (X**2).sum() + X.sum())
    assert gradient(text) == pytest.approx(4 * X + 1)
    assert [built.loss_weight(name) for name in ("one", "two", "none", "q")] == [2, 1, 0, 0]


def test_loss_weight_makes_any_top_a_loss():
    text = layer("Square", "x", "q", "loss_weight: 3")
    built = net(INPUT + text, dtype=np.float64)
    built.blobs["x"].data[...] = X
    assert built.forward() == pytest.approx(3 * (X**2).sum())
    assert gradient(text) == pytest.approx(6 * X)


def test_a_weight_for_the_second_top():
    text = layer("Total", "x", "s m", "loss_weight: 0 loss_weight: 6")
    built = net(INPUT + text, dtype=np.float64)
    built.blobs["x"].data[...] = X
    assert built.forward() == pytest.approx(6 * X.mean())
    assert gradient(text) == pytest.approx(np.ones((2, 3)))


def test_the_second_top_of_a_loss_counts_only_when_told():
    assert gradient(layer("Total", "x", "s m")) == pytest.approx(np.ones((2, 3)))


def test_more_loss_weights_than_tops():
    with pytest.raises(LayerError, match=r"toy.prototxt:2:1: layer 'l' \(Total\): has 2 loss_weight for 1 tops"):
        net(INPUT + layer("Total", "x", "l", "loss_weight: 1 loss_weight: 1"))


def test_a_loss_that_is_weighed_and_read():
    """Both the weight and the reader bring a gradient."""
    text = layer("Square", "x", "q", "loss_weight: 3") + layer("Square", "q", "r") + layer("Total", "r", "loss")
    assert gradient(text) == pytest.approx(6 * X + 4 * X**3)
    text = layer("Total", "x", "s") + layer("Square", "s", "r", "loss_weight: 1")
    assert gradient(text) == pytest.approx(1 + 2 * np.full((2, 3), X.sum()))


def test_the_weight_of_a_loss_survives_a_reshape():
    built = net("force_backward: true\n" + INPUT + layer("Square", "x", "q", "loss_weight: 3"))
    for batch in (5, 1, 2):
        built.blobs["x"].reshape(batch, 3)
        built.blobs["x"].data[...] = 1
        assert built.forward() == 9 * batch
        built.backward()
        assert built.blobs["x"].diff.tolist() == [[6, 6, 6]] * batch


def test_readers_of_a_blob_sum_their_gradients():
    text = layer("Square", "x", "a") + layer("Logistic", "x", "b") + layer("Total", "a", "l") + layer("Total", "b", "m")
    assert gradient(text) == pytest.approx(numerical(text), abs=1e-7)


def test_a_bottom_that_has_no_gradient_may_be_absent():
    assert np.array_equal(gradient(layer("MaybeLabelled", "x", "l")), np.ones_like(X))


def test_backward_writes_and_update_adds():
    built = net("force_backward: true\n" + INPUT + dense("x", "y") + layer("Total", "y", "l"))
    built.blobs["x"].data[...] = X
    found = []
    for _ in range(3):
        built.forward()
        built.backward()
        found.append([built.blobs["x"].diff.copy(), built.params["y"][0].diff.copy()])
    assert np.array_equal(found[0][0], found[2][0])
    assert found[2][1] == pytest.approx(3 * found[0][1])
    built.clear_param_diffs()
    assert not built.params["y"][0].diff.any()


def test_a_frozen_layer_is_not_updated_and_one_frozen_parameter_does_not_stop_the_other():
    frozen = net(INPUT + dense("x", "y", "param { lr_mult: 0 } param { lr_mult: 0 }") + layer("Total", "y", "l"))
    frozen.forward()
    frozen.backward()
    assert not any(b.diff.any() for b in frozen.params["y"])
    half = net(INPUT + dense("x", "y", "param { lr_mult: 0 }") + layer("Total", "y", "l"))
    half.forward()
    half.backward()
    assert half.params["y"][1].diff.tolist() == [2, 2]
