"""Reduction and ArgMax: against plain loops in float64, ties and all, and what they refuse."""

import math

import numpy as np
import pytest
from nets import fed

from netdef.errors import NetdefError

RNG = np.random.default_rng(8)
FORMULAS = {
    "SUM": (sum, lambda x, n: 1),
    "ASUM": (lambda v: sum(map(abs, v)), lambda x, n: math.copysign(1, x)),
    "SUMSQ": (lambda v: sum(x * x for x in v), lambda x, n: 2 * x),
    "MEAN": (lambda v: sum(v) / len(v), lambda x, n: 1 / n),
}


def made_of(kind, options, x, dtype=np.float64):
    return fed(f'force_backward: true layer {{ type: "{kind}" bottom: "x" top: "y" {options} }}', {"x": x}, dtype=dtype)


@pytest.mark.parametrize("operation", FORMULAS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 4), 0), ((3, 4, 2), 1), ((2, 3, 5), -1), ((1, 1), 1), ((70, 30, 40), 1)]
)
def test_reduction(operation, shape, axis):
    x, (f, slope) = RNG.standard_normal(shape), FORMULAS[operation]
    made = made_of("Reduction", f"reduction_param {{ operation: {operation} axis: {axis} coeff: -1.5 }}", x)
    made.forward()
    y = made.blobs["y"]
    assert y.shape == shape[: axis % len(shape)]
    dy = RNG.standard_normal(y.shape)
    y.diff[...] = dy
    made.backward()
    dx = made.blobs["x"].diff
    for at in np.ndindex(y.shape):
        values = x[at].ravel()
        assert y.data[at] == pytest.approx(-1.5 * f(values.tolist()), rel=1e-9, abs=1e-12)
        want = [-1.5 * slope(v, values.size) * dy[at] for v in values[:50]]
        np.testing.assert_allclose(dx[at].ravel()[:50], want, rtol=1e-12)


def best(values, k):
    """(value, index) of the k largest as Caffe sorts them: pairs, greater first, so that of equals the last wins."""
    return sorted(((v, i) for i, v in enumerate(values)), reverse=True)[:k]


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_argmax_along_an_axis(axis, values, k, ties):
    shape = (4, 5, 6)
    x = RNG.integers(0, 3, shape).astype(float) if ties else RNG.standard_normal(shape)
    made = made_of("ArgMax", f"argmax_param {{ axis: {axis} top_k: {k} out_max_val: {str(values).lower()} }}", x)
    made.forward()
    y, x = np.moveaxis(made.blobs["y"].data, axis, -1), np.moveaxis(x, axis, -1)
    for at in np.ndindex(y.shape[:-1]):
        assert y[at].tolist() == [pair[0 if values else 1] for pair in best(x[at], k)]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(
    ("shape", "rest"), [((3, 6), ()), ((2, 2, 3), ()), ((2, 2, 3, 1), (1,)), ((2, 1, 2, 3, 1), (1, 1))]
)
def test_argmax_of_items(shape, rest, values, k):
    x = RNG.integers(0, 4, shape).astype(float)
    made = made_of("ArgMax", f"argmax_param {{ top_k: {k} out_max_val: {str(values).lower()} }}", x)
    made.forward()
    y = made.blobs["y"]
    assert y.shape == (shape[0], 1 + values, k, *rest)
    for n in range(shape[0]):
        pairs = best(x[n].ravel(), k)
        want = [i for _, i in pairs] + ([v for v, _ in pairs] if values else [])
        assert y.data[n].ravel().tolist() == want


def test_argmax_has_no_gradient_to_give():
    text = (
        'layer { name: "p" type: "PReLU" bottom: "x" top: "u" } layer { name: "a" type: "ArgMax" bottom: "u" top: "y" }'
    )
    text += 'layer { name: "r" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }'
    made = fed(text, {"x": np.ones((2, 3))})
    made.forward()
    with pytest.raises(NetdefError, match="'u'"):
        made.backward()


@pytest.mark.parametrize(
    ("kind", "options", "shape", "message"),
    [
        ("Reduction", "reduction_param { axis: 2 }", (2, 3), "axis 2 is out of range"),
        ("Reduction", "", (), "axis 0 is out of range for shape .*a bottom with an axis"),
        ("ArgMax", "argmax_param { top_k: 7 }", (2, 3, 2), "top_k 7: want 1 to 6 for a bottom"),
        ("ArgMax", "argmax_param { top_k: 0 }", (2, 3), "top_k 0: want 1 to 3"),
        ("ArgMax", "argmax_param { axis: 1 top_k: 4 }", (2, 3, 2), "top_k 4: want 1 to 3"),
        ("ArgMax", "argmax_param { axis: 3 }", (2, 3), "axis 3 is out of range"),
        ("ArgMax", "", (), "takes a bottom with axes"),
    ],
)
def test_refusals(kind, options, shape, message):
    with pytest.raises(NetdefError, match=message):
        made_of(kind, options, np.zeros(shape))


def test_a_mean_of_many_is_precise_in_float32():
    x = (1000 + RNG.standard_normal((2, 200_000))).astype(np.float32)
    made = made_of("Reduction", "reduction_param { operation: MEAN axis: 1 }", x, np.float32)
    made.forward()
    np.testing.assert_allclose(made.blobs["y"].data, x.mean(axis=1, dtype="d"), rtol=1e-6)
    assert math.isfinite(made.blobs["y"].data[0])
