"""Nets as built: in place, losses, partial passes, reshape, sharing, and messages with their place."""

from types import SimpleNamespace

import numpy as np
import pytest
import toys

from netdef import prototxt
from netdef.errors import GraphError, LayerError, NetdefError
from netdef.layer import Layer, Loss, ParameterFree, hookimpl
from netdef.net import Net
from netdef.registry import Registry, Settings

TRAIN = 0


class Logistic(ParameterFree):
    """1 / (1 + exp(-x)); backward reads the result."""

    type, in_place, reads = "Logistic", True, ("top",)

    def forward(self, bottom, top):
        top[0].data[...] = 1 / (1 + np.exp(-bottom[0].data))

    def backward(self, top, propagate_down, bottom):
        y = top[0].data
        bottom[0].diff[...] = top[0].diff * y * (1 - y)


class Square(ParameterFree):
    """x^2; backward reads x, so it declares no in_place."""

    type = "Square"

    def forward(self, bottom, top):
        np.square(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff


class Shift(ParameterFree):
    """x - 0.6 in place; reads nothing."""

    type, in_place, reads = "Shift", True, ()

    def forward(self, bottom, top):
        np.subtract(bottom[0].data, 0.6, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if top[0] is not bottom[0]:
            bottom[0].diff[...] = top[0].diff


class Total(Loss):
    """sum(x), and as a second top the mean."""

    type, tops = "Total", (1, 2)

    def infer(self, shape):
        return [()] * len(self.layer_param.top)

    def forward(self, bottom, top):
        for y, reduce in zip(top, (np.sum, np.mean), strict=False):
            y.data[...] = reduce(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        dx = float(top[0].diff) + (float(top[1].diff) / bottom[0].count if len(top) > 1 else 0)
        bottom[0].diff[...] = dx


class MaybeLabelled(Total):
    """Total, with labels or without."""

    type, bottoms, no_gradient = "MaybeLabelled", (1, 2), (1,)


REGISTRY = toys.registry(Logistic, Square, Shift, Total, MaybeLabelled)
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
X = np.array([[-1.5, 0.3, 0.9], [2, -0.2, 0.7]])


def layer(kind, bottom, top, more="", name=""):
    wires = "".join(f' bottom: "{b}"' for b in bottom.split()) + "".join(f' top: "{t}"' for t in top.split())
    return f'layer {{ name: "{name or top.split()[0]}" type: "{kind}"{wires} {more} }}\n'


def dense(bottom, top, more="", outputs=2):
    return layer("Dense", bottom, top, f'dense_param {{ outputs: {outputs} filler {{ type: "gaussian" }} }} {more}')


def net(text, phase=TRAIN, registry=REGISTRY, **settings):
    return toys.net(text, phase, registry, **settings)


def gradient(text, x=X, **settings):
    """The gradient of the net's loss with respect to x."""
    built = net("force_backward: true\n" + INPUT + text, dtype=np.float64, **settings)
    built.blobs["x"].data[...] = x
    built.forward()
    built.backward()
    return built.blobs["x"].diff.copy()


def numerical(text, x=X, eps=1e-6):
    built = net(INPUT + text, dtype=np.float64)

    def loss(at):
        built.blobs["x"].data[...] = at
        return built.forward()

    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        found[i] = (loss(x + step) - loss(x - step)) / (2 * eps)
    return found


# -- in place ------------------------------------------------------------------------------------------------------

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


# -- losses --------------------------------------------------------------------------------------------------------


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


# -- gradients that are summed and gradients that are not ------------------------------------------------------------


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


# -- partial passes ------------------------------------------------------------------------------------------------


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


def test_an_unknown_layer_name():
    built = net(INPUT + layer("Square", "x", "conv1"))
    with pytest.raises(LayerError, match=r"^no layer 'conv_1' in net ''; did you mean 'conv1'\?$"):
        built.index("conv_1")


# -- what it holds -------------------------------------------------------------------------------------------------


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


# -- reshape -------------------------------------------------------------------------------------------------------


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


# -- sharing between nets ------------------------------------------------------------------------------------------


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


# -- what goes wrong -----------------------------------------------------------------------------------------------


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
