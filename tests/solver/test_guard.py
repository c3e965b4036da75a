"""A NaN or an infinite value stops training at once, also where neither loss nor gradient would show it."""

import numpy as np
import pytest
from solver.runs import digits, made

from netdef.solver import guard
from netdef.solver.divergence import DivergenceError

HEAD = """
layer {{ name: "fc" type: "InnerProduct" bottom: "{last}" top: "fc" inner_product_param {{ num_output: 2
        weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""


def layer(kind, bottom, top, more=""):
    return f'layer {{ name: "{top}_" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}\n'


def dense(bottom, top):
    return layer("InnerProduct", bottom, top, "inner_product_param { num_output: 4 }")


# 1 / x: inf where the data has a 0
INVERSE = layer("Power", "x", "root", "power_param { power: -1 }")
POOL = "pooling_param { pool: MAX kernel_h: 1 kernel_w: 1 }"
NAN, ZERO, FINE = float("nan"), 0.0, 1.0
NOTHING, LOG = "", layer("Log", "x", "log")

STAGED = {
    # name: (layers, the blob that the loss is made of, the bad value in the data, what is named first)
    "data": (NOTHING, "x", NAN, "blob 'x', read by layer 'data'"),
    "a branch that ends in Silence": (
        LOG + 'layer { name: "s" type: "Silence" bottom: "log" }\n',
        "x", ZERO, "blob 'log', the output of layer 'log_' (Log)",
    ),
    "a branch that ends in nothing": (LOG, "x", ZERO, "blob 'log', the output of layer 'log_' (Log)"),
    "a branch into a metric": (
        LOG + layer("ArgMax", "log", "best"), "x", ZERO, "blob 'log', the output of layer 'log_' (Log)",
    ),
    "NaN behind ReLU": (layer("ReLU", "x", "relu"), "relu", NAN, "blob 'x', read by layer 'data'"),
    "-inf behind ReLU": (LOG + layer("ReLU", "log", "relu"), "relu", ZERO, "blob 'log', the output of layer 'log_'"),
    "-inf behind ReLU in place": (
        LOG + layer("ReLU", "log", "log"), "log", ZERO, "blob 'log', the output of layer 'log_' (Log)",
    ),
    "NaN behind max pooling": (layer("Pooling", "x", "pool", POOL), "pool", NAN, "blob 'x', read by layer 'data'"),
    "-inf behind max pooling": (
        LOG + layer("Concat", "log", "both", 'bottom: "x" concat_param { axis: 2 }')
        + layer("Pooling", "both", "pool", "pooling_param { pool: MAX kernel_h: 2 kernel_w: 1 }"),
        "pool", ZERO, "blob 'log', the output of layer 'log_' (Log)",
    ),
    "behind Dropout": (
        layer("Dropout", "x", "drop", "dropout_param { dropout_ratio: 0.999 }"), "drop", NAN, "blob 'x', read by layer",
    ),
    "inf behind Sigmoid": (INVERSE + layer("Sigmoid", "root", "sigmoid"), "sigmoid", ZERO, "blob 'root', the output"),
    "inf that turns into NaN": (
        INVERSE + layer("Eltwise", "root", "sum", 'bottom: "root" eltwise_param { coeff: 1 coeff: -1 }'),
        "sum", ZERO, "blob 'root', the output of layer 'root_' (Power)",
    ),
    "exp of -inf": (LOG + layer("Exp", "log", "exp"), "exp", ZERO, "blob 'log', the output of layer 'log_' (Log)"),
}  # fmt: skip


def staged(folder, name, bad=None, **settings):
    layers, last, value, _ = STAGED[name]
    x = np.random.default_rng(0).uniform(0.5, 1.5, (64, 4))
    x[40, 2] = value if bad is None else bad
    return made(folder, layers + HEAD.format(last=last), x, np.arange(64) % 2.0, **settings)


@pytest.mark.parametrize("plan", [False, True])
@pytest.mark.parametrize("name", STAGED)
def test_it_stops_at_once_and_names_the_first_blob(tmp_path, name, plan):
    solver = staged(tmp_path, name, plan=plan)
    solver.step(1)  # row 40 is in the second batch
    weights = [p.blob.data.copy() for p in solver.net.parameters]
    with pytest.raises(DivergenceError) as caught:
        solver.step(1)
    assert str(caught.value).startswith("iteration 1: ") and STAGED[name][3] in str(caught.value)
    for before, p in zip(weights, solver.net.parameters, strict=True):
        np.testing.assert_array_equal(p.blob.data, before)


@pytest.mark.parametrize("name", STAGED)
def test_finite_values_pass(tmp_path, name):
    staged(tmp_path, name, FINE).step(4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("behind", ["ReLU", "Sigmoid", "TanH"])
def test_a_weight_is_named(tmp_path, value, behind):
    layers = dense("x", "h") + layer(behind, "h", "h") + HEAD.format(last="h")
    solver = made(tmp_path, layers, np.ones((64, 4)), np.arange(64) % 2.0)
    solver.step(1)
    solver.net.params["h_"][0].data[1, 1] = value
    with pytest.raises(DivergenceError, match=r"parameter 0 of layer 'h_' \(1 of 16 values, .* before the pass began"):
        solver.step(1)


CONV = 'convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } }'


@pytest.mark.parametrize("plan", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_weight_is_named_where_one_layer_does_the_next_along(tmp_path, plan, in_place):
    """Nothing but the weight itself shows it: -inf times what is above 0 is -inf, and ReLU makes that 0."""
    relu = "conv" if in_place else "relu"
    layers = layer("Convolution", "x", "conv", CONV) + layer("ReLU", "conv", relu) + HEAD.format(last=relu)
    solver = made(tmp_path, layers, np.ones((64, 4)), np.arange(64) % 2.0, plan=plan)
    solver.step(1)
    solver.net.params["conv_"][0].data[1, 1] = -np.inf
    with pytest.raises(DivergenceError, match=r"parameter 0 of layer 'conv_' \(1 of 8 values"):
        solver.step(1)


def test_watching_keeps_layers_together(tmp_path):
    """What one layer does along, it does along in training too."""
    layers = layer("Convolution", "x", "conv", CONV) + layer("ReLU", "conv", "conv") + HEAD.format(last="conv")
    solver = made(tmp_path, layers, np.ones((64, 4)), np.arange(64) % 2.0, statistics_interval=0)
    assert len(solver.net.runs) == 1
    relu = next(each for each in solver.net.layers if each.type == "ReLU")
    relu.forward = None  # whoever calls it by itself fails
    solver.step(2)
    assert relu.passes == 2


def test_a_weight_that_reaches_no_loss_is_named(tmp_path):
    solver = made(tmp_path, dense("x", "aside") + HEAD.format(last="x"), np.ones((64, 4)), np.arange(64) % 2.0)
    solver.net.params["aside_"][0].data[1, 1] = np.nan
    with pytest.raises(DivergenceError, match=r"iteration 0: .* parameter 0 of layer 'aside_'"):
        solver.step(1)


def test_a_gradient_that_reaches_no_parameter_is_found_in_a_few_passes(tmp_path):
    """The square root of 0 has an infinite slope, and ReLU lets no gradient through there."""
    layers = dense("x", "h") + layer("ReLU", "h", "relu")
    layers += layer("Power", "relu", "root", "power_param { power: 0.5 }") + HEAD.format(last="root")
    solver = made(tmp_path, layers, np.ones((64, 4)), np.arange(64) % 2.0, base_lr=1e-3)
    solver.net.params["h_"][0].data[...] = np.array([[-1], [1], [1], [1]])
    with pytest.raises(DivergenceError, match="gradient of blob 'relu', made by layer 'root_'"):
        solver.step(guard.ROUND)


def test_of_several_passes_each_is_watched(tmp_path):
    solver = staged(tmp_path, "a branch that ends in nothing", iter_size=2)
    with pytest.raises(DivergenceError, match=r"iteration 0: .* blob 'log'"):
        solver.step(1)


def test_what_is_large_is_read_in_turns(tmp_path, monkeypatch):
    """And what no loss depends on is read whole all the same."""
    monkeypatch.setattr(guard, "LEAST", 8)
    for name, most in (("-inf behind ReLU", 16), ("a branch that ends in nothing", 1)):
        x = np.random.default_rng(0).uniform(0.5, 1.5, (32, 4))
        x[31, 3] = 0
        solver = made(tmp_path, STAGED[name][0] + HEAD.format(last=STAGED[name][1]), x, np.arange(32) % 2.0)
        with pytest.raises(DivergenceError, match="blob 'log'"):
            solver.step(most)


def test_a_healthy_run_is_not_changed(tmp_path):
    watched, blind = (digits(tmp_path, stop_on_nan=on, test_interval=1000) for on in (True, False))
    for solver in (watched, blind):
        solver.step(5)
    for p, q in zip(watched.net.parameters, blind.net.parameters, strict=True):
        np.testing.assert_array_equal(p.blob.data, q.blob.data)
