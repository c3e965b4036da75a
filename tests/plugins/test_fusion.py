"""Convolution, normalization, scale and rectifier in one pass: as layer by layer, to rounding, whatever is edited."""

import nets
import numpy as np
import pytest

RNG = np.random.default_rng(4)
X = RNG.standard_normal((2, 6, 9, 8))


def layer(kind, bottom, top, more=""):
    return f'layer {{ type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}\n'


def convolution(more="", top="a"):
    return layer("Convolution", "x", top, f"convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 {more} }}")


def transposed(more=""):
    return layer("Deconvolution", "x", "a", f"convolution_param {{ num_output: 6 kernel_size: 4 stride: 2 {more} }}")


BEHIND = layer("BatchNorm", "a", "a") + layer("Scale", "a", "a", "scale_param { bias_term: true }")
RELU = layer("ReLU", "a", "a")
NETS = {
    "convolution, rectifier": convolution() + RELU,
    "convolution, normalized and scaled": convolution() + BEHIND,
    "and rectified": convolution() + BEHIND + RELU,
    "without a bias": convolution("bias_term: false") + BEHIND + RELU,
    "in groups": convolution("group: 2") + BEHIND + RELU,
    "each channel by itself": convolution("group: 6") + BEHIND + RELU,
    "in strides": convolution("stride: 2") + BEHIND + RELU,
    "along one axis": convolution("axis: 2") + RELU,
    "apart": convolution(top="c") + layer("BatchNorm", "c", "n") + layer("Bias", "n", "b") + layer("ReLU", "b", "a"),
    "a leak": convolution() + layer("ReLU", "a", "a", "relu_param { negative_slope: 0.1 }"),
    "normalization first": layer("BatchNorm", "x", "a") + BEHIND + RELU,
    "transposed": transposed() + BEHIND + RELU,
    "transposed without a bias": transposed("bias_term: false") + RELU,
    "transposed in groups": transposed("group: 3") + BEHIND + RELU,
    "product": layer("InnerProduct", "x", "a", "inner_product_param { num_output: 40 }") + RELU,
    "sum": convolution(top="c") + layer("Eltwise", 'c" bottom: "x', "a") + RELU,
}  # fmt: skip


def built(text, dtype, phase=nets.TEST, **settings):
    text = text.replace('{ type: "Convolution"', '{ name: "conv" type: "Convolution"')
    made = nets.fed(text, {"x": X}, dtype=dtype, phase=phase, **settings)
    settle(made, 1)
    return made


def settle(made, seed):
    rng = np.random.default_rng(seed)
    for name, blobs in made.params.items():
        for blob in blobs:
            positive = not made.layers[made.index(name)].learns[0]
            blob.data[...] = rng.uniform(0.5, 1.5, blob.shape) if positive else rng.standard_normal(blob.shape)


def whole(made):
    made.forward()
    return made.blobs["a"].data.copy()


def by_layer(made):
    for i in range(len(made.layers)):
        made.forward(i, i)
    return made.blobs["a"].data.copy()


def agree(got, want):
    tolerance = 1e-12 if got.dtype == np.float64 else 2e-6
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("plan", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_a_whole_pass_gives_what_its_layers_give(name, plan, dtype):
    made, other = built(NETS[name], dtype, plan=plan), built(NETS[name], dtype)
    agree(whole(made), by_layer(other))
    settle(made, 2)
    settle(other, 2)
    agree(whole(made), by_layer(other))


@pytest.mark.parametrize("name", NETS)
def test_every_blob_of_an_unplanned_net_holds_what_it_held(name):
    made, other = built(NETS[name], "d"), built(NETS[name], "d")
    whole(made)
    by_layer(other)
    for blob in made.blobs:
        agree(made.blobs[blob].data, other.blobs[blob].data)


def test_what_is_not_a_number_stays_none():
    made = built(NETS["and rectified"], "f", plan=True)
    made.blobs["x"].data[0, 0, 0, 0] = np.nan
    assert np.isnan(whole(made)[0, :, 0, 0]).all()


@pytest.mark.parametrize("plan", [False, True])
def test_gradients_behind_a_fused_rectifier_are_exact(plan):
    text = "force_backward: true " + convolution() + RELU + layer("EuclideanLoss", "a", "loss", 'bottom: "x"')
    made, other = (built(text, "f", nets.TRAIN, plan=plan) for _ in range(2))
    for net, run in ((made, whole), (other, by_layer)):
        net.clear_param_diffs()
        run(net)
        net.backward()
    for one, two in zip(made.params["conv"], other.params["conv"], strict=True):
        np.testing.assert_array_equal(one.diff, two.diff)
        assert one.diff.any()


@pytest.mark.parametrize("pool", ["", "pad: 1", "pool: AVE", "pool: STOCHASTIC"])
def test_gradients_of_a_rectifier_before_a_pooling_are_exact(pool):
    pooling = layer("Pooling", "a", "p", f"pooling_param {{ kernel_size: 3 stride: 2 {pool} }}")
    text = convolution() + RELU + pooling + layer("InnerProduct", "p", "i", "inner_product_param { num_output: 3 }")
    text += layer("EuclideanLoss", "i", "loss", 'bottom: "i2"').replace("i2", "z")
    text = layer("Input", "", "z", "input_param { shape { dim: 2 dim: 3 } }").replace('bottom: ""', "") + text
    made, other = (built(text, "f", nets.TRAIN, plan=plan) for plan in (True, False))
    assert len(made.selecting) == (pool != "pool: AVE")
    for net in (made, other):
        net.clear_param_diffs()
        net.forward()
        net.backward()
    for one, two in zip(made.params["conv"], other.params["conv"], strict=True):
        np.testing.assert_array_equal(one.diff, two.diff)
        assert one.diff.any()


@pytest.mark.parametrize("name", sorted(set(NETS) - {"a leak"}))
def test_the_layer_in_front_does_the_last_one_along(name):
    made = built(NETS[name], "f", plan=True)
    made.layers[-1].forward = None
    assert whole(made).any()


NORMALIZED = {
    "normalized and scaled": BEHIND,
    "and rectified": BEHIND + RELU,
    "scaled without terms": BEHIND.replace("bias_term: true", "bias_term: false") + RELU,
    "rectified alone": layer("BatchNorm", "a", "a") + RELU,
    "a term alone": layer("BatchNorm", "a", "a") + layer("Bias", "a", "a") + RELU,
    "apart": layer("BatchNorm", "a", "n") + layer("Scale", "n", "s") + layer("ReLU", "s", "r"),
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("name", NORMALIZED)
def test_normalization_makes_the_gradients_of_what_follows_it(name, dtype):
    top = "r" if name == "apart" else "a"
    text = convolution() + NORMALIZED[name] + layer("EuclideanLoss", top, "loss", 'bottom: "x"')
    made, other = built(text, dtype, nets.TRAIN, plan=True), built(text, dtype, nets.TRAIN)
    assert made.backward_runs
    assert not other.backward_runs
    for net in (made, other):
        net.clear_param_diffs()
        net.forward()
        net.backward()
    for one, two in zip(made.parameters, other.parameters, strict=True):
        scale = max(np.abs(other.params[two.layer][0].diff).max(), 1)  # a bias before a mean is taken off gets none
        assert np.abs(one.blob.diff - two.blob.diff).max() <= (1e-12 if dtype == "d" else 1e-5) * scale
