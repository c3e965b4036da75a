"""Layers that do others along: which runs there are, and that nobody can tell but by the time."""

import numpy as np
import pytest
import toys
from graph.fusing import INPUT, LOSS, TEST, TRAIN, Head, Rectifier, Square, X, along, built, layer

APART = layer("Head", "x", "a", "h") + layer("Gain", "a", "b", "g") + layer("Rectifier", "b", "c", "r")
IN_PLACE = layer("Head", "x", "a", "h") + layer("Gain", "a", "a", "g") + layer("Rectifier", "a", "a", "r")


def want(gain=(-1, 2, 3)):
    return np.maximum(2 * X * gain + 1, 0)


@pytest.mark.parametrize(("text", "plan", "runs"), [
    (IN_PLACE, False, 1),
    (IN_PLACE, True, 1),
    (APART, True, 1),
    (APART, False, 0),  # every blob stays readable
    (IN_PLACE + layer("Gain", "a", "a", "g2"), True, 1),  # what follows a rectifier does not belong to the run
    (layer("Head", "x", "a", "h") + layer("Square", "a", "a", "s") + layer("Gain", "a", "a", "g"), True, 0),
    (layer("Head", "x", "a", "h") + layer("Gain", "a", "b", "g") + layer("Square", "a", "c", "s"), True, 0),
    (layer("Head", "x", "a", "h") + layer("Gain", "a", "a", "g", "loss_weight: 1"), True, 1),
    (layer("Head", "x", "a", "h", "loss_weight: 1") + layer("Gain", "a", "a", "g"), True, 0),
])  # fmt: skip
def test_one_layer_does_those_that_follow_it_alone(text, plan, runs):
    net, apart = built(text, plan=plan), built(text, plan=plan)
    loss = net.forward()
    assert loss == pytest.approx(sum(apart.forward(i, i) for i in range(len(apart.layers))))
    assert along(net) == runs
    assert along(apart) == 0
    assert [layer.passes for layer in net.layers] == [1] * len(net.layers)
    for name in net.outputs if plan else net.blobs:
        np.testing.assert_allclose(net.blobs[name].data, apart.blobs[name].data, rtol=1e-12)


@pytest.mark.parametrize("plan", [False, True])
def test_training_fuses_the_rectifier_alone_and_its_gradients_are_right(plan):
    text = layer("Head", "x", "a", "h") + layer("Rectifier", "a", "a", "r") + layer("Head", "a", "b", "h2")
    text += layer("Gain", "b", "b", "g") + layer("Rectifier", "b", "b", "r2") + LOSS % "b"
    net, apart = built(text, TRAIN, plan=plan), built(text, TRAIN, plan=plan)
    for one in (net, apart):
        one.clear_param_diffs()
    assert net.forward() == sum(apart.forward(i, i) for i in range(len(apart.layers)))
    assert [layer.along for layer in net.layers if layer.type == "Head"] == [1, 0]
    for one in (net, apart):
        one.backward()
    np.testing.assert_array_equal(net.parameters[0].blob.diff, apart.parameters[0].blob.diff)
    assert net.parameters[0].blob.diff.any()


def test_a_net_that_may_run_backward_keeps_what_backward_reads():
    net = built("force_backward: true " + IN_PLACE)
    net.forward()
    assert along(net) == 0
    net.blobs["a"].diff[...] = 1
    net.backward()
    np.testing.assert_allclose(net.params["g"][0].diff, (2 * X * (want() > 0)).sum(0))


def test_a_pass_over_some_layers_stops_where_it_is_told():
    net = built(IN_PLACE)
    net.forward(0, 1)
    np.testing.assert_allclose(net.blobs["a"].data, 2 * X)
    net.forward(2, 2)
    np.testing.assert_allclose(net.blobs["a"].data, 2 * X * [-1, 2, 3] + 1)
    net.forward(1, 3)
    assert along(net) == 1
    np.testing.assert_allclose(net.blobs["a"].data, want())


@pytest.mark.parametrize("plan", [False, True])
def test_parameters_that_change_between_passes_are_seen(plan):
    net = built(IN_PLACE, plan=plan)
    net.forward()
    net.params["g"][0].data[...] = [4, -5, 0.5]
    net.forward()
    np.testing.assert_allclose(net.blobs["a"].data, want([4, -5, 0.5]))
    assert along(net) == 2


@pytest.mark.parametrize("text", [IN_PLACE, APART])
def test_another_batch_size_is_seen(text):
    net = built(text, plan=True)
    net.forward()
    net.blobs["x"].reshape(4, 3)
    net.blobs["x"].data[...] = np.concatenate([X, X])
    net.forward()
    (name,) = net.outputs
    np.testing.assert_allclose(net.blobs[name].data, np.concatenate([want(), want()]))


def test_a_run_takes_one_blob_of_the_plan():
    net = built(APART + layer("Square", "c", "d", "s"), plan=True)
    net.forward()
    a, b, c = (net.blobs[name] for name in "abc")
    assert a.shares_data(b)
    assert b.shares_data(c)


def test_memory_that_others_look_at_too_is_left_alone():
    """The head works in place on what a reader elsewhere sees under another name."""
    text = layer("Square", "x", "s", "s") + layer("View", "s", "v", "v") + layer("Over", "v", "v", "o")
    text += layer("Rectifier", "v", "w", "r")

    class Over(Head):
        """2 x in place"""

        type, in_place = "Over", True

    class View(toys.Same):
        type, shares, in_place = "View", ("data", "diff"), False

        def forward(self, bottom, top):
            pass

    net = toys.net(INPUT + text, TEST, toys.registry(Over, View, Rectifier, Square), plan=True, dtype=np.float64)
    net.blobs["x"].data[...] = X
    net.forward()
    np.testing.assert_allclose(net.blobs["w"].data, 2 * X**2)
