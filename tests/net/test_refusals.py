"""What goes wrong when a net is built or run, told at its place."""

from types import SimpleNamespace

import pytest
import toys
from net.small import INPUT, Square, dense, layer, net

from netdef.errors import GraphError, LayerError, NetdefError
from netdef.layer import ParameterFree, hookimpl
from netdef.registry import Registry, Settings


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ("dim: 1000000 dim: 1000000 dim: 1000000", "has shape (1000000, 1000000, 1000000): 4e+03 PB, more than this"),
        ("dim: 9223372036854775807 dim: 9223372036854775807", "more than this machine's memory"),
        ("dim: 2 dim: -3", "top 0 has shape (2, -3): a size below 0"),
        ("dim: -1 dim: -1", "a size below 0"),
    ],
)
def test_absurd_shapes_are_refused_before_memory_is_taken(dims, words):
    with pytest.raises(LayerError) as caught:
        net(INPUT.replace("dim: 2 dim: 3", dims))
    assert str(caught.value).startswith("toy.prototxt:1:1: layer 'x' (Input): ")
    assert words in str(caught.value)


def test_an_absurd_parameter_is_refused_before_memory_is_taken():
    with pytest.raises(LayerError, match=r"toy.prototxt:2:1: layer 'y' \(Dense\): parameter 0 has shape .*memory"):
        net(INPUT.replace("dim: 3", "dim: 3000000") + dense("x", "y", outputs=4000000000))


class Broken(ParameterFree):
    type = "Broken"

    def infer(self, shape):
        if self.name == "infer":
            raise ZeroDivisionError("oh")
        return [] if self.name == "few" else [shape]

    def forward(self, bottom, top):
        raise KeyError("oh")

    def backward(self, top, propagate_down, bottom):
        pass


def test_an_exception_inside_a_layer_names_layer_and_plugin():
    registry = toys.registry(Broken)
    with pytest.raises(NetdefError) as caught:
        net(INPUT + layer("Broken", "x", "infer"), registry=registry)
    assert str(caught.value) == "toy.prototxt:2:1: layer 'infer' (Broken): ZeroDivisionError: oh (plugin more)"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(NetdefError, match=r"layer 'y' \(Broken\): KeyError: 'oh' \(plugin more\)"):
        net(INPUT + layer("Broken", "x", "y"), registry=registry).forward()
    with pytest.raises(LayerError, match="infer gave 0 shapes for 1 tops"):
        net(INPUT + layer("Broken", "x", "few"), registry=registry)


def test_ctrl_c_passes_through():
    class Interrupted(Broken):
        type = "Interrupted"

        def forward(self, bottom, top):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net(INPUT + layer("Interrupted", "x", "y"), registry=toys.registry(Interrupted)).forward()


def test_a_bottom_that_nothing_produces():
    with pytest.raises(GraphError, match=r"toy.prototxt:2:1: layer 'y' \(Dense\): .*'xx'; did you mean 'x'\?"):
        net(INPUT + dense("xx", "y"))


def test_a_net_without_a_split_layer_to_insert_says_so():
    registry = Registry(Settings())
    hook = hookimpl(specname="netdef_layers")(lambda: [toys.Input, Square])
    registry.add("some", SimpleNamespace(netdef_layers=hook))
    with pytest.raises(NetdefError, match="no plugin provides a layer for the role 'split'"):
        net(INPUT + layer("Square", "x", "y") + layer("Square", "x", "z"), registry=registry)
