"""Layers that do others along: which runs there are, and that nobody can tell but by the time."""

import numpy as np
import pytest
import toys

from netdef import memory
from netdef.layer import Layer, ParameterFree

TRAIN, TEST = 0, 1


class Head(ParameterFree):
    """y = 2 x, and what is behind it; counts how often it did others along."""

    type, reads, absorbs = "Head", (), ("affine", "rectified")
    along = 0

    def forward(self, bottom, top):
        np.multiply(bottom[0].data, 2, out=top[0].data)

    def forward_then(self, bottom, top, affine, rectified):
        self.along += 1
        y = 2 * bottom[0].data
        y = y if affine is None else affine[0] * y + affine[1]
        top[0].data[...] = np.maximum(y, 0) if rectified else y

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff


class Gain(Layer):
    """y = g x + 1 by column; not in place, for update reads x."""

    type = "Gain"

    def setup(self, bottom_shapes):
        self.add_blob(bottom_shapes[0][1:])
        self.blobs[0].data[...] = [-1, 2, 3]

    def as_affine(self):
        return self.blobs[0].data, np.ones_like(self.blobs[0].data)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data + 1

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data

    def update(self, top, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0)


class Learner(Gain):
    """A Gain that learns from the gradients of its factors, too."""

    type = "Learner"

    def update_affine(self, dg, db):
        self.blobs[0].diff[...] += dg


class Rectifier(toys.Relu):
    type, rectifies = "Rectifier", True


class Cube(ParameterFree):
    """y = x^3; backward reads y, and may do what is behind it along."""

    type, reads, absorbs = "Cube", ("top",), ("gradients",)
    along = 0

    def forward(self, bottom, top):
        np.power(bottom[0].data, 3, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 3 * np.cbrt(top[0].data) ** 2 * top[0].diff

    def backward_then(self, behind, top, bottom, g, rectified):
        self.along += 1
        dy = behind.diff * (behind.data > 0) if rectified else behind.diff.copy()
        dg, db = (dy * top[0].data).sum(0), dy.sum(0)
        bottom[0].diff[...] = 3 * np.cbrt(top[0].data) ** 2 * dy * (1 if g is None else g)
        return dg, db


class Square(ParameterFree):
    """x^2"""

    type = "Square"

    def forward(self, bottom, top):
        np.square(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff


class Pick(ParameterFree):
    """The largest of each row, three times."""

    type, reads, selects = "Pick", (), True

    def forward(self, bottom, top):
        self.where = bottom[0].data.argmax(1)
        top[0].data[...] = bottom[0].data.max(1, keepdims=True)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 0
        bottom[0].diff[np.arange(len(self.where)), self.where] = top[0].diff.sum(1)


class Minus(ParameterFree):
    """-x"""

    type, reads, in_place = "Minus", (), True

    def forward(self, bottom, top):
        np.negative(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        np.negative(top[0].diff, out=bottom[0].diff)


REGISTRY = toys.registry(Head, Gain, Learner, Rectifier, Square, Cube, Pick, Minus)
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
X = np.array([[-1.5, 0.3, 0.9], [2, -0.2, -0.7]])
LOSS = 'layer { name: "loss" type: "MeanLoss" bottom: "%s" bottom: "x" top: "loss" }'


def layer(kind, bottom, top, name, more=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}\n'


APART = layer("Head", "x", "a", "h") + layer("Gain", "a", "b", "g") + layer("Rectifier", "b", "c", "r")
IN_PLACE = layer("Head", "x", "a", "h") + layer("Gain", "a", "a", "g") + layer("Rectifier", "a", "a", "r")


def built(text, phase=TEST, **settings):
    net = toys.net(INPUT + text, phase, REGISTRY, **{"dtype": np.float64} | settings)
    net.blobs["x"].data[...] = X
    return net


def along(net):
    return sum(getattr(layer, "along", 0) for layer in net.layers)


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
