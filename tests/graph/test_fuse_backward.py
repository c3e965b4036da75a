"""Layers that make the gradients of others along: nobody can tell but by the time."""

import numpy as np
import pytest
from graph.fusing import LOSS, TRAIN, along, built, layer

from netdef import memory


def learning(chain, more=""):
    """A net that learns through a chain of layers, from x over a Learner to a loss."""
    text = layer("Learner", "x", "in", "first") + chain
    return text + LOSS % "out" + more


CUBE = layer("Cube", "in", "c", "cube")
BEHIND = layer("Learner", "c", "l", "learner") + layer("Rectifier", "l", "out", "r")
INSIDE = layer("Learner", "c", "c", "learner") + layer("Rectifier", "c", "c", "r") + layer("Same", "c", "out", "s")


def gradients(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()
    return [p.blob.diff.copy() for p in net.parameters]


@pytest.mark.parametrize(("chain", "runs"), [
    (CUBE + BEHIND, 1),
    (CUBE + INSIDE, 1),
    (CUBE + layer("Learner", "c", "out", "learner"), 1),
    (CUBE + layer("Rectifier", "c", "out", "r"), 1),
    (CUBE + layer("Learner", "c", "out", "learner", "param { lr_mult: 0 }"), 1),
    (CUBE + BEHIND.replace("Learner", "Gain"), 0),  # it could not learn from its factors' gradients
    (layer("Cube", "in", "c", "cube", "loss_weight: 1") + BEHIND, 0),
    (CUBE + layer("Square", "c", "out", "s"), 0),
    (CUBE + layer("Square", "c", "d", "s") + layer("Cube", "d", "e", "cube2") + layer("Rectifier", "e", "out", "r"), 1),
])  # fmt: skip
def test_one_layer_makes_the_gradients_of_those_that_follow_it(chain, runs):
    net, unplanned = built(learning(chain), TRAIN, plan=True), built(learning(chain), TRAIN)
    want = gradients(unplanned)
    assert along(unplanned) == 0
    for _ in range(2):
        for got, right in zip(gradients(net), want, strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-12)
    assert along(net) == 2 * runs
    assert want[0].any()


def test_a_layer_that_is_looked_at_makes_its_gradients_itself():
    net, other = (built(learning(CUBE + BEHIND), TRAIN, plan=True) for _ in range(2))
    want = gradients(net)
    other.clear_param_diffs()
    other.forward()
    for i in reversed(range(len(other.layers))):
        other.backward(i, i)
    assert along(other) == 0
    for got, right in zip((p.blob.diff for p in other.parameters), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-12)
    last = other.index("r")
    other.backward(last, last - 1)
    assert along(other) == 0, "a pass that ends within a run takes it apart"


def test_a_frozen_layer_does_not_learn_along():
    net = built(learning(CUBE + layer("Learner", "c", "out", "learner", "param { lr_mult: 0 }")), TRAIN, plan=True)
    gradients(net)
    assert along(net) == 1
    assert net.params["first"][0].diff.any()
    assert not net.params["learner"][0].diff.any()


def picked(bottom, before="Learner", through="l", more=""):
    """A layer, a rectifier, and the largest of what that makes."""
    text = layer(before, bottom, "l", "before") + layer("Rectifier", "l", through, "r", more)
    return text + layer("Pick", through, "p", "pick")


END = layer("Learner", "p", "out", "last")
BOTH = layer("Gain", "l", "q", "gain") + layer("Square", "q", "out2", "s") + LOSS % "out2"


@pytest.mark.parametrize(("chain", "swapped"), [
    (picked("in") + END, True),
    (picked("in") + layer("Square", "p", "out", "s"), True),
    (picked("in", "Cube") + END, False),  # its own backward reads what it made
    (layer("Cube", "in", "c", "cube") + picked("c") + END, True),
    (picked("in") + layer("Minus", "p", "p", "m") + END, False),  # it hides the signs
    (picked("in", more="loss_weight: 1") + END, False),
    (picked("in", through="m") + END, False),
    (picked("in") + END + BOTH.replace('"loss"', '"loss2"'), False),  # both read l
])  # fmt: skip
@pytest.mark.parametrize("alone", [False, True])
def test_a_rectifier_goes_backward_from_behind_what_selects(chain, swapped, alone):
    net, unplanned = built(learning(chain), TRAIN, plan=True), built(learning(chain), TRAIN)
    assert (net.selecting == {net.index("pick")}) == swapped
    assert not unplanned.selecting
    want = gradients(unplanned)
    net.clear_param_diffs()
    net.forward()
    if swapped:  # the plan may have given it away
        made = net.tops[net.index("r")][0].storages[0]
        made.array = np.full_like(made.array, np.nan)
    if alone:
        for i in reversed(range(len(net.layers))):
            net.backward(i, i)
    else:
        net.backward()
    for p, right in zip(net.parameters, want, strict=True):
        np.testing.assert_allclose(p.blob.diff, right, rtol=1e-12)
    assert want[0].any()


def test_what_a_rectifier_made_is_not_kept_for_it():
    net = built(learning(picked("in") + END), TRAIN, plan=True)
    lives = memory.lifetimes(memory._steps(net), net.backward_runs)
    made = net.tops[net.index("r")][0].storages[0]
    assert lives[id(made)].end == net.index("pick")
