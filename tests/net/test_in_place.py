"""In place where it saves memory, never where it would spoil a gradient."""

import pytest
import toys
from net.small import INPUT, Square, Total, X, dense, gradient, layer, net, numerical

from netdef.layer import Layer

CHAINS = {
    "sigmoid, then relu in place": layer("Same", "x", "y") + layer("Logistic", "y", "y", name="s")
    + layer("Shift", "y", "y", name="d") + layer("Relu", "y", "y", name="r"),
    "square is not in place though written so": layer("Same", "x", "y") + layer("Square", "y", "y", name="q")
    + layer("Shift", "y", "y", name="d"),
    "square, then in place": layer("Square", "x", "y") + layer("Shift", "y", "y", name="d")
    + layer("Relu", "y", "y", name="r") + layer("Square", "y", "y", name="q"),
    "relu, then sigmoid in place": layer("Relu", "x", "y") + layer("Logistic", "y", "y", name="s"),
    "two readers of a blob that goes on in place": layer("Square", "x", "y") + layer("Logistic", "y", "z")
    + layer("Relu", "y", "y", name="r") + layer("Square", "z", "z", name="q") + layer("Total", "z", "l"),
    "in place on the input": layer("Logistic", "x", "x", name="s") + layer("Same", "x", "y"),
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("plan", [False, True])
def test_in_place_gradients_are_right_whatever_is_written(chain, plan):
    text = CHAINS[chain] + layer("Square", "y", "sq") + layer("Total", "sq", "loss")
    assert gradient(text, plan=plan) == pytest.approx(numerical(text), abs=1e-7)


def test_in_place_saves_memory_where_it_can():
    built = net(INPUT + layer("Square", "x", "y") + layer("Shift", "y", "y", name="d"))
    assert built.tops[1][0] is built.tops[2][0]


def test_in_place_takes_memory_of_its_own_where_the_data_is_still_needed():
    built = net(INPUT + layer("Logistic", "x", "y") + layer("Relu", "y", "y", name="r"))
    assert built.tops[1][0] is not built.tops[2][0]
    assert built.blobs["y"] is built.tops[2][0], "the name means the last"


def test_update_still_finds_the_delta_of_an_in_place_layer():
    """The net calls update before backward, which may overwrite the top's diff."""

    class Slope(Layer):
        """y = s x in place."""

        type, in_place, reads = "Slope", True, ("top",)

        def setup(self, bottom_shapes):
            self.add_blob((1,))
            self.blobs[0].data[...] = 2

        def forward(self, bottom, top):
            top[0].data[...] = bottom[0].data * self.blobs[0].data

        def backward(self, top, propagate_down, bottom):
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data

        def update(self, top, bottom):
            s = self.blobs[0].data
            self.blobs[0].diff[...] += (top[0].diff * top[0].data / s).sum()

    text = INPUT + dense("x", "y") + layer("Slope", "y", "y", name="s") + layer("Square", "y", "q")
    built = net(text + layer("Total", "q", "loss"), registry=toys.registry(Slope, Square, Total))
    built.blobs["x"].data[...] = X
    for _ in range(2):
        built.clear_param_diffs()
        built.layers[2].blobs[0].data[...] = 2
        built.forward()
        built.backward()
    h = X @ built.params["y"][0].data + built.params["y"][1].data
    assert built.params["s"][0].diff == pytest.approx((2 * 2 * h**2).sum(), rel=1e-5)
    assert built.params["y"][1].diff == pytest.approx((2 * 4 * h).sum(0), rel=1e-5)
