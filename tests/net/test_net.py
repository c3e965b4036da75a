"""A built net: partial passes, names, reshape, parameters shared between nets."""

import numpy as np
import pytest
import toys
from net.small import INPUT, REGISTRY, TRAIN, Square, X, dense, layer, net

from netdef import prototxt
from netdef.errors import LayerError
from netdef.layer import Layer, ParameterFree
from netdef.net import Net


def test_forward_from_layer_to_layer():
    built = net(INPUT + layer("Square", "x", "a") + layer("Square", "a", "b") + layer("Total", "b", "l"))
    built.blobs["x"].data[...] = X
    assert built.forward() == pytest.approx((X**4).sum(), rel=1e-5)
    built.blobs["a"].data[...] = 3
    assert built.forward(start=built.index("b")) == 9 * 6
    built.blobs["b"].data[...] = 7
    assert built.forward(0, built.index("a")) == 0, "no loss in that part"
    assert (built.blobs["b"].data == 7).all()
    assert built.blobs["a"].data == pytest.approx(X**2)
    assert [la.passes for la in built.layers] == [2, 2, 2, 2]


def test_backward_from_layer_to_layer():
    text = INPUT + layer("Square", "x", "a") + layer("Square", "a", "b") + layer("Total", "b", "l")
    built = net("force_backward: true\n" + text)
    built.blobs["x"].data[...] = X
    built.forward()
    built.blobs["b"].diff[...] = 2
    built.backward(built.index("b"), built.index("b"))
    assert built.blobs["a"].diff == pytest.approx(4 * X**2, rel=1e-5)
    assert not built.blobs["x"].diff.any()
    built.backward(start=built.index("a"))
    assert built.blobs["x"].diff == pytest.approx(8 * X**3, rel=1e-5)


def test_the_first_layer_may_learn_too():
    """Such as BVLC's Parameter: no bottoms, one parameter."""

    class Weight(Layer):
        type, bottoms, reads = "Weight", 0, ()

        def setup(self, bottom_shapes):
            self.add_blob((2, 3))

        def infer(self):
            return [(2, 3)]

        def forward(self, bottom, top):
            top[0].data[...] = self.blobs[0].data

        def backward(self, top, propagate_down, bottom):
            raise AssertionError("there is no bottom")

        def update(self, top, bottom):
            self.blobs[0].diff[...] += top[0].diff

    text = layer("Weight", "", "w") + layer("Square", "w", "q", "loss_weight: 1")
    built = net(text, registry=toys.registry(Weight, Square))
    built.params["w"][0].data[...] = X
    built.forward()
    built.backward()
    assert built.params["w"][0].diff == pytest.approx(2 * X, rel=1e-6)


def test_an_unknown_layer_name():
    built = net(INPUT + layer("Square", "x", "conv1"))
    with pytest.raises(LayerError, match=r"^no layer 'conv_1' in net ''; did you mean 'conv1'\?$"):
        built.index("conv_1")


def test_inputs_outputs_and_params():
    text = INPUT + 'layer { name: "t" type: "Input" top: "t" top: "u" input_param { shape { dim: 1 } } }\n'
    built = net(text + dense("x", "y") + layer("Total", "y", "l"))
    assert built.inputs == ["x", "t", "u"]
    assert built.outputs == ["l", "t", "u"], "by name, as Caffe lists them"
    assert list(built.params) == ["y"]
    assert [b.shape for b in built.params["y"]] == [(3, 2), (2,)]
    assert [(p.layer, p.index) for p in built.parameters] == [("y", 0), ("y", 1)]


def test_outputs_in_caffes_order():
    text = "".join(layer("Square", "x", top) for top in ("b/2", "a", "c", "b"))
    assert net(INPUT + text).outputs == ["a", "b", "b/2", "c"]


def test_a_new_batch_size_is_seen_by_the_next_forward():
    built = net(INPUT + dense("x", "y") + layer("Square", "y", "z"))
    want = {}
    for batch in (2, 7, 1, 7, 2):
        x = np.random.default_rng(batch).standard_normal((batch, 3)).astype("f4")
        built.blobs["x"].reshape(batch, 3)
        built.blobs["x"].data[...] = x
        built.forward()
        assert built.blobs["z"].shape == (batch, 2)
        found = built.blobs["z"].data.copy()
        w, b = (p.data for p in built.params["y"])
        assert found == pytest.approx((x @ w + b) ** 2, rel=1e-5)
        assert np.array_equal(want.setdefault(batch, found), found)


def test_reshape_tells_the_shapes_without_running():
    built = net(INPUT + dense("x", "y") + layer("Square", "y", "z"))
    built.blobs["x"].reshape(9, 3)
    built.reshape()
    assert built.blobs["z"].shape == (9, 2)
    assert [la.passes for la in built.layers] == [0, 0, 0]


def test_a_shape_that_no_longer_fits_stands_at_its_layer():
    class Picky(toys.Same):
        type = "Picky"

        def infer(self, x):
            if x[0] > 2:
                raise LayerError(f"a batch of {x[0]}; want 2 or less")
            return [x]

    built = net(INPUT + layer("Picky", "x", "y"), registry=toys.registry(Picky))
    built.blobs["x"].reshape(3, 3)
    with pytest.raises(LayerError, match=r"^toy.prototxt:2:1: layer 'y' \(Picky\): a batch of 3; want 2 or less$"):
        built.forward()


def test_a_top_whose_size_depends_on_the_data():
    class Positive(ParameterFree):
        type = "Positive"

        def forward(self, bottom, top):
            rows = bottom[0].data[bottom[0].data[:, 0] > 0]
            top[0].reshape(*rows.shape)
            top[0].data[...] = rows

        def backward(self, top, propagate_down, bottom):
            raise AssertionError("nothing learns")

    built = net(
        INPUT + layer("Positive", "x", "y") + layer("Square", "y", "z"), registry=toys.registry(Positive, Square)
    )
    for x in (X, -X, X - 9, X + 9, X):
        built.blobs["x"].data[...] = x
        built.forward()
        assert built.blobs["z"].data == pytest.approx(x[x[:, 0] > 0] ** 2, rel=1e-5)


def test_share_with_uses_the_others_parameters_from_now_on():
    one, two = (net(INPUT + dense("x", "y") + layer("Total", "y", "l") + dense("x", other)) for other in "uv")
    two.params["y"][0].data[...] = 0
    two.share_with(one)
    one.params["y"][0].data[...] = 5
    assert (two.params["y"][0].data == 5).all()
    assert not np.shares_memory(two.params["v"][0].data, one.params["u"][0].data)


def test_share_with_leaves_the_gradients_apart():
    """As in Caffe: a second net may learn, or be tested, without disturbing the first."""
    one, two = (net(INPUT + dense("x", "y") + layer("Total", "y", "l")) for _ in range(2))
    two.share_with(one)
    two.blobs["x"].data[...] = X
    two.forward()
    two.backward()
    assert two.params["y"][0].diff.any()
    assert not one.params["y"][0].diff.any()


def test_share_with_another_shape_or_count_is_refused():
    one = net(INPUT + dense("x", "y"))
    with pytest.raises(LayerError, match=r"layer 'y' parameter 0: cannot share shape \(3, 2\) as \(3, 5\)"):
        net(INPUT + dense("x", "y", outputs=5)).share_with(one)

    class Weight(Layer):
        type = "Weight"

        def setup(self, bottom_shapes):
            self.add_blob((3, 2))

        forward = backward = update = lambda *args: None

    with pytest.raises(LayerError, match="layer 'y' has 1 parameters here and 2 in the other net"):
        net(INPUT + layer("Weight", "x", "y"), registry=toys.registry(Weight)).share_with(one)


def test_two_passes_are_bit_equal_and_the_seed_decides():
    found = []
    for seed in (3, 3, 4):
        param = net(INPUT + dense("x", "y")).param
        built = Net(param, TRAIN, registry=REGISTRY, seed=seed)
        built.blobs["x"].data[...] = X
        built.forward()
        found.append(built.blobs["y"].data.copy())
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_the_message_it_is_built_from_is_left_alone():
    text = INPUT + layer("Square", "x", "a") + layer("Total", "a", "l") + layer("Square", "a", "b")
    param = prototxt.parse(text, REGISTRY.schema.message("NetParameter"))
    before = param.SerializeToString(deterministic=True)
    Net(param, TRAIN, registry=REGISTRY)
    assert param.SerializeToString(deterministic=True) == before


def test_without_filling_no_parameter_takes_memory():
    built = net(INPUT + dense("x", "y", outputs=1000), fill=False)
    assert all(storage.array is None for blob in built.params["y"] for storage in blob.storages)
