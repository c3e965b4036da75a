"""Activations and elementary functions: against float64 formulas, at kinks, far out, in place, and what they refuse."""

import math

import numpy as np
import pytest
from nets import fed, net

from netdef.errors import NetdefError

X = np.array([[-2.5, -1.0, -1e-3, 0.0], [1e-3, 0.7, 1.0, 3.25]])
POSITIVE = np.array([[0.25, 0.5, 1.0], [1.5, 2.0, 4.0]])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


TABLE = [
    ("AbsVal", "", X, abs, lambda x: (x > 0) - (x < 0)),
    ("BNLL", "", X, lambda x: math.log1p(math.exp(x)), sigmoid),
    ("Clip", "clip_param { min: -1 max: 1 }", X, lambda x: min(max(x, -1), 1), lambda x: -1 <= x <= 1),
    ("ELU", "", X, lambda x: x if x > 0 else math.exp(x) - 1, lambda x: 1 if x > 0 else math.exp(x)),
    (
        "ELU",
        "elu_param { alpha: -2 }",
        X,
        lambda x: x if x > 0 else -2 * (math.exp(x) - 1),
        lambda x: 1 if x > 0 else -2 * math.exp(x),
    ),
    ("Exp", "", X, math.exp, math.exp),
    ("Exp", "exp_param { base: 2 shift: 1 }", X, lambda x: 2 ** (1 + x), lambda x: math.log(2) * 2 ** (1 + x)),
    ("Log", "", POSITIVE, math.log, lambda x: 1 / x),
    ("Log", "log_param { base: 10 scale: 4 }", POSITIVE, lambda x: math.log10(4 * x), lambda x: 1 / (x * math.log(10))),
    ("Power", "power_param { scale: 2 shift: 1 }", X, lambda x: 2 * x + 1, lambda x: 2),
    ("Power", "power_param { power: 2 }", X, lambda x: x * x, lambda x: 2 * x),
    ("Power", "power_param { power: 0 }", X, lambda x: 1, lambda x: 0),
    ("Power", "power_param { power: 3 scale: 0 shift: 2 }", X, lambda x: 8, lambda x: 0),
    ("Power", "power_param { power: 0.5 }", POSITIVE, math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    ("PReLU", "", X, lambda x: x if x > 0 else 0.25 * x, lambda x: 1 if x > 0 else 0.25),
    ("ReLU", "", X, lambda x: max(x, 0), lambda x: x > 0),
    ("ReLU", "relu_param { negative_slope: 0.5 }", X, lambda x: max(x, x / 2), lambda x: 1 if x > 0 else 0.5),
    ("ReLU", "relu_param { negative_slope: 2 }", X, lambda x: min(x, 2 * x), lambda x: 1 if x > 0 else 2),
    ("ReLU", "relu_param { negative_slope: -1 }", X, abs, lambda x: 1 if x > 0 else -1),
    ("Sigmoid", "", X, sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    ("Swish", "", X, lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    ("TanH", "", X, math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    ("Threshold", "threshold_param { threshold: 1 }", X, lambda x: x > 1, None),
]


def layer(kind, options, bottom="x", top="y"):
    return f'layer {{ name: "l" type: "{kind}" bottom: "{bottom}" top: "{top}" {options} }}\n'


@pytest.mark.parametrize(("kind", "options", "x", "f", "slope"), TABLE, ids=[f"{t[0]} {t[1]}" for t in TABLE])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_formula(kind, options, x, f, slope, dtype, tolerance):
    x, dy = x.astype(dtype), np.linspace(-1, 2, x.size).reshape(x.shape).astype(dtype)
    made = fed("force_backward: true " + layer(kind, options), {"x": x}, dtype=dtype)
    made.forward()
    y = made.blobs["y"].data
    assert y.dtype == dtype
    np.testing.assert_allclose(y, np.vectorize(f, otypes="d")(x.astype("d")), rtol=tolerance, atol=tolerance)
    if slope:
        made.blobs["y"].diff[...] = dy
        made.backward()
        want = dy * np.vectorize(slope, otypes="d")(x.astype("d"))
        np.testing.assert_allclose(made.blobs["x"].diff, want, rtol=4 * tolerance, atol=4 * tolerance)


@pytest.mark.parametrize(("kind", "options"), [t[:2] for t in TABLE if t[4]], ids=lambda v: v)
def test_in_place_gives_the_same_gradient(kind, options):
    """Between two layers that could not tell if the data had been overwritten."""
    x = np.abs(X) + 0.1 if kind == "Log" or (kind == "Power" and "0.5 }" in options) else X
    first = (
        'force_backward: true layer { name: "first" type: "Power" bottom: "x" top: "u" power_param { scale: 1.5 } }\n'
    )
    last = 'layer { name: "last" type: "Power" bottom: "TOP" top: "TOP" power_param { scale: -0.5 shift: 3 } }\n'
    results = []
    for top in ("u", "v"):
        made = fed(first + layer(kind, options, "u", top) + last.replace("TOP", top), {"x": x}, dtype=np.float64)
        made.forward()
        made.blobs[top].diff[...] = np.linspace(-1, 1, x.size).reshape(x.shape)
        made.backward()
        results.append((made.blobs[top].data.copy(), made.blobs["x"].diff.copy()))
    for in_place, apart in zip(*results, strict=True):
        np.testing.assert_array_equal(in_place, apart)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("Sigmoid", 0, 1), ("TanH", -1, 1), ("Swish", 0, 1e4), ("BNLL", 0, 1e4)]
)
def test_far_out_is_finite(kind, low, high):
    made = fed("force_backward: true " + layer(kind, ""), {"x": np.array([-1e4, 1e4])})
    with np.errstate(all="raise", under="ignore"):
        made.forward()
        made.blobs["y"].diff[...] = 1
        made.backward()
    np.testing.assert_allclose(made.blobs["y"].data, [low, high], atol=1e-30)
    assert np.isfinite(made.blobs["x"].diff).all()


def test_power_at_zero_has_the_limit_as_gradient():
    made = fed("force_backward: true " + layer("Power", "power_param { power: 2 }"), {"x": np.zeros(1)})
    made.forward()
    made.blobs["y"].diff[...] = 1
    made.backward()
    assert made.blobs["x"].diff == 0


def test_pieces_and_slabs_cover_large_arrays():
    x = np.random.default_rng(0).standard_normal((7, 3, 41, 43)).astype(np.float32)
    made = fed("force_backward: true " + layer("PReLU", "prelu_param { filler { type: 'gaussian' } }"), {"x": x})
    made.forward()
    made.blobs["y"].diff[...] = 1
    made.backward()
    slopes = made.layers[1].blobs[0].data
    np.testing.assert_allclose(made.blobs["y"].data, np.where(x > 0, x, slopes[:, None, None] * x), rtol=1e-6)
    want = np.minimum(x.astype("d"), 0).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(made.layers[1].blobs[0].diff, want, rtol=1e-4)


def test_prelu_slopes_are_a_quarter_unless_filled():
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }\n'
    assert (net(text + layer("PReLU", "")).layers[1].blobs[0].data == 0.25).all()
    filled = layer("PReLU", "prelu_param { channel_shared: true filler { value: 2 } }")
    assert net(text + filled).layers[1].blobs[0].data.tolist() == 2


@pytest.mark.parametrize(
    ("kind", "options", "shape", "message"),
    [
        ("Clip", "clip_param { min: 2 max: 1 }", (3,), "min 2 is above max 1"),
        ("Exp", "exp_param { base: 0 }", (3,), "base 0: want a base above 0, or -1 for e"),
        ("Log", "log_param { base: -2 }", (3,), "base -2: want a base above 0"),
        ("Log", "log_param { base: 1 }", (3,), "base 1 has no logarithm"),
        ("PReLU", "", (3,), r"of 2 or more axes; got shape \(3,\)"),
    ],
)
def test_refusals(kind, options, shape, message):
    with pytest.raises(NetdefError, match=message):
        fed(layer(kind, options), {"x": np.zeros(shape)})


def test_prelu_refuses_other_channels_later():
    made = fed(layer("PReLU", ""), {"x": np.zeros((1, 3, 2))})
    made.blobs["x"].reshape(1, 4, 2)
    with pytest.raises(NetdefError, match=r"has 3 slopes, but its bottom of shape \(1, 4, 2\) has 4 channels"):
        made.forward()


def test_threshold_has_no_gradient_to_give():
    text = 'layer { name: "p" type: "PReLU" bottom: "x" top: "u" }' + layer("Threshold", "", "u")
    text += 'layer { name: "r" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }'
    made = fed(text, {"x": np.ones((2, 3))})
    made.forward()
    with pytest.raises(NetdefError, match="'u'"):
        made.backward()
