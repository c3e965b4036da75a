"""Parameters shared by name, and their multipliers, as Caffe settles them."""

import numpy as np
import pytest
import toys

from netdef.errors import LayerError
from netdef.layer import Block, Field, Layer


class Wide(Layer):
    """y = x * w, with w of a shape of one's choice."""

    type = "Wide"
    options = Block("wide_param", (Field("dim", "uint32", repeated=True), Field("blobs", "uint32", 1)))

    def setup(self, bottom_shapes):
        for i in range(self.param.blobs):
            self.add_blob(tuple(self.param.dim), learns=i < 2)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data.sum()

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data.sum()

    def update(self, top, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum()


REGISTRY = toys.registry(Wide)
HEAD = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
BOTTOM = {"a": "x", "b": "a", "c": "b"}


def layer(name, param, dims=(2, 3), blobs=1):
    dim = " ".join(f"dim: {d}" for d in dims)
    return (
        f'layer {{ name: "{name}" type: "Wide" bottom: "{BOTTOM[name]}" top: "{name}" {param} '
        f"wide_param {{ {dim} blobs: {blobs} }} }}\n"
    )


def net(*layers):
    return toys.net(HEAD + "".join(layers), 0, REGISTRY)


def refused(*layers):
    with pytest.raises(LayerError) as caught:
        net(*layers)
    return str(caught.value)


def test_sharers_look_at_the_owners_memory_and_are_not_stepped_twice():
    found = net(layer("a", 'param { name: "w" }'), layer("b", 'param { name: "w" }'), layer("c", ""))
    owner, sharer = found.params["a"][0], found.params["b"][0]
    assert np.shares_memory(owner.data, sharer.data)
    assert np.shares_memory(owner.diff, sharer.diff)
    assert not np.shares_memory(owner.data, found.params["c"][0].data)
    assert [(p.layer, p.index, p.shared_as) for p in found.parameters] == [("a", 0, "w"), ("c", 0, "")]


def test_the_gradients_of_sharers_are_summed():
    """y = s^2 x with s the sum of w: dy/dw = 2 s x."""
    loss = 'layer { name: "y" type: "Same" bottom: "b" top: "y" loss_weight: 1 }'
    found = net(layer("a", 'param { name: "w" }'), layer("b", 'param { name: "w" }'), loss)
    found.params["a"][0].data[...] = 0.5
    found.blobs["x"].data[...] = [1, 2]
    found.forward()
    found.backward()
    assert found.params["a"][0].diff == pytest.approx(np.full((2, 3), 2 * 3 * (1 + 2)))


def test_strict_sharing_wants_equal_shapes():
    message = refused(layer("a", 'param { name: "w" }'), layer("b", 'param { name: "w" }', (3, 2)))
    place = "toy.prototxt:3:1: layer 'b' (Wide): shares parameter 'w' of layer 'a'"
    assert message.startswith(place)
    assert "(3, 2)" in message
    assert "(2, 3)" in message
    assert "PERMISSIVE" in message


def test_permissive_sharing_wants_equal_counts():
    permissive = 'param { name: "w" share_mode: PERMISSIVE }'
    found = net(layer("a", 'param { name: "w" }'), layer("b", permissive, (6,)))
    found.params["a"][0].data[...] = np.arange(6).reshape(2, 3)
    assert found.params["b"][0].data.tolist() == list(range(6))
    assert "layer 'b'" in refused(layer("a", 'param { name: "w" }'), layer("b", permissive, (7,)))


def test_the_sharers_own_mode_counts():
    """Caffe asks the layer that shares, not the owner."""
    assert "layer 'b'" in refused(
        layer("a", 'param { name: "w" share_mode: PERMISSIVE }'), layer("b", 'param { name: "w" }', (6,))
    )


@pytest.mark.parametrize("mult", ["lr_mult", "decay_mult"])
def test_multipliers_that_contradict_each_other_are_refused(mult):
    message = refused(layer("a", f'param {{ name: "w" {mult}: 2 }}'), layer("b", f'param {{ name: "w" {mult}: 3 }}'))
    assert f"shared parameter 'w' has {mult} 2 in layer 'a' and 3 here" in message
    assert message.startswith("toy.prototxt:3:1: layer 'b'")


def test_a_third_sharer_must_agree_with_the_second():
    given = ("", "lr_mult: 2", "lr_mult: 3")
    message = refused(*(layer(name, f'param {{ name: "w" {g} }}') for name, g in zip("abc", given, strict=True)))
    assert "has lr_mult 2 in layer 'a' and 3 here" in message
    assert message.startswith("toy.prototxt:4:1: layer 'c'")


@pytest.mark.parametrize("first", [True, False])
def test_a_multiplier_given_once_holds_for_all(first):
    given, plain = 'param { name: "w" lr_mult: 3 decay_mult: 0 }', 'param { name: "w" }'
    found = net(layer("a", given if first else plain), layer("b", plain if first else given))
    (parameter,) = found.parameters
    assert (parameter.lr_mult, parameter.decay_mult) == (3, 0)


def test_equal_multipliers_may_be_repeated():
    given = 'param { name: "w" lr_mult: 3 }'
    assert net(layer("a", given), layer("b", given), layer("c", given)).parameters[0].lr_mult == 3


def test_multipliers_are_1_unless_given_and_belong_to_their_blob():
    found = net(layer("a", "param { } param { lr_mult: 2 decay_mult: 0 }", blobs=2))
    assert [(p.lr_mult, p.decay_mult) for p in found.parameters] == [(1, 1), (2, 0)]


def test_a_frozen_sharer_does_not_hide_the_owners_gradient():
    """lr_mult 0 said by one of them freezes all, as the multiplier is the parameter's."""
    found = net(layer("a", 'param { name: "w" }'), layer("b", 'param { name: "w" lr_mult: 0 }'))
    assert found.parameters[0].lr_mult == 0


def test_more_param_blocks_than_parameters():
    message = refused(layer("a", "param { } param { }"))
    assert message == "toy.prototxt:2:1: layer 'a' (Wide): has 2 param blocks for 1 parameters"


def test_statistics_are_never_stepped():
    found = net(layer("a", "param { lr_mult: 5 } param { } param { lr_mult: 0 }", blobs=3))
    assert [p.lr_mult for p in found.parameters] == [5, 1, 0]
    assert net(layer("a", "", blobs=3)).parameters[2].lr_mult == 0, "whatever the default"
    message = refused(layer("a", "param { } param { } param { lr_mult: 1 }", blobs=3))
    assert "parameter 2 is a statistic that the layer keeps itself; its lr_mult must be 0" in message


def test_one_layer_may_share_within_itself():
    found = net(layer("a", 'param { name: "w" } param { name: "w" }', blobs=2))
    assert np.shares_memory(*(b.data for b in found.params["a"]))
    assert len(found.parameters) == 1
