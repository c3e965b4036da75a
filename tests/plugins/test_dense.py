"""InnerProduct, Embed and Parameter: against float64 loops at all shapes, shared and summed gradients, refusals."""

import math

import numpy as np
import pytest
from nets import made_of, net, run

from netdef.errors import NetdefError

RNG = np.random.default_rng(9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("shape", "axis", "n"),
    [
        ((3, 4), 1, 5),
        ((1, 6), 1, 3),
        ((2, 3, 2, 2), 1, 1),
        ((2, 3, 4), 2, 7),
        ((2, 3, 4), -1, 2),
        ((2, 3), 0, 4),
        ((64, 5), 1, 2),
        ((1, 1), 1, 1),
    ],
)
def test_inner_product(shape, axis, n, bias, transpose, dtype):
    x = RNG.standard_normal(shape)
    options = f"num_output: {n} axis: {axis} bias_term: {str(bias).lower()} transpose: {str(transpose).lower()}"
    made = made_of(RNG, "InnerProduct", f"inner_product_param {{ {options} }}", {"x": x}, dtype)
    blobs = made.layers[-1].blobs
    dy = run(RNG, made)
    lead = shape[: axis % len(shape)]
    k = math.prod(shape) // math.prod(lead)
    assert [b.shape for b in blobs] == [(k, n) if transpose else (n, k)] + [(n,)] * bias
    assert made.blobs["y"].shape == (*lead, n)
    w = blobs[0].data.astype("d").T if transpose else blobs[0].data.astype("d")
    x2, dy2 = x.reshape(-1, k), dy.reshape(-1, n)
    y = [[sum(w[o] * row) + (blobs[1].data[o] if bias else 0) for o in range(n)] for row in x2]
    dw = sum(np.outer(d, row) for d, row in zip(dy2, x2, strict=True))
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(made.blobs["y"].data.reshape(-1, n), y, **tolerance)
    np.testing.assert_allclose(made.blobs["x"].diff.reshape(-1, k), [d @ w for d in dy2], **tolerance)
    np.testing.assert_allclose(blobs[0].diff, dw.T if transpose else dw, **tolerance)
    if bias:
        np.testing.assert_allclose(blobs[1].diff, dy2.sum(axis=0), **tolerance)


@pytest.mark.parametrize("transpose", ["true", "false"])
@pytest.mark.parametrize("batch", [1, 3, 20, 64, 200])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_products_of_any_batch_are_rectified_along(batch, transpose, dtype):
    x = RNG.standard_normal((batch, 700))
    options = f"num_output: 530 transpose: {transpose} bias_filler {{ type: 'gaussian' }}"
    made = made_of(RNG, "InnerProduct", f"inner_product_param {{ {options} }}", {"x": x}, dtype)
    pulls, layer = run(RNG, made), made.layers[-1]
    w, b = (blob.data.astype("d") for blob in layer.blobs)
    w = w.T if transpose == "true" else w
    dw = layer.blobs[0].diff.T if transpose == "true" else layer.blobs[0].diff
    y = made.blobs["y"].data.copy()
    layer.forward_then([made.blobs["x"]], [made.blobs["y"]], None, True)
    pairs = (y, x @ w.T + b), (made.blobs["x"].diff, pulls @ w), (dw, pulls.T @ x)
    for got, want in pairs:
        np.testing.assert_allclose(got, want, rtol=0, atol=(1e-4 if dtype == "f" else 1e-12) * np.abs(want).max())
    np.testing.assert_array_equal(made.blobs["y"].data, np.maximum(y, 0))


@pytest.mark.parametrize("transpose", ["true", "false"])
@pytest.mark.parametrize("batch", [1, 2])
def test_weight_gradients_larger_than_a_block_add_up(batch, transpose):
    x = RNG.standard_normal((batch, 1500))
    made = made_of(RNG, "InnerProduct", f"inner_product_param {{ num_output: 1100 transpose: {transpose} }}", {"x": x})
    pulls = run(RNG, made) + run(RNG, made)
    dw = made.layers[-1].blobs[0].diff
    np.testing.assert_allclose(dw.T if transpose == "true" else dw, pulls.T @ x, rtol=1e-9, atol=1e-12)


def test_inner_product_takes_another_batch_but_not_another_size():
    made = made_of(RNG, "InnerProduct", "inner_product_param { num_output: 2 }", {"x": np.ones((3, 4, 1))})
    made.blobs["x"].reshape(5, 2, 2)
    made.forward()
    assert made.blobs["y"].shape == (5, 2)
    made.blobs["x"].reshape(5, 2, 3)
    with pytest.raises(NetdefError, match=r"weights take 4 inputs an item; a bottom of shape \(5, 2, 3\) has 6"):
        made.forward()


def test_inner_product_counts_its_multiply_adds():
    made = made_of(RNG, "InnerProduct", "inner_product_param { num_output: 5 axis: 2 }", {"x": np.ones((2, 3, 4))})
    assert made.layers[-1].macs([(2, 3, 4)], [(2, 3, 5)]) == 2 * 3 * 4 * 5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 1, 3)])
def test_embed(shape, bias):
    x = RNG.integers(0, 5, shape).astype(float)
    made = made_of(
        RNG, "Embed", f"embed_param {{ num_output: 3 input_dim: 5 bias_term: {str(bias).lower()} }}", {"x": x}
    )
    blobs = made.layers[-1].blobs
    pulls = [run(RNG, made), run(RNG, made)]
    w, b = blobs[0].data, blobs[1].data if bias else 0
    dw = np.zeros((5, 3))
    for at in np.ndindex(shape):
        np.testing.assert_allclose(made.blobs["y"].data[at], w[int(x[at])] + b, rtol=1e-12)
        dw[int(x[at])] += pulls[0][at] + pulls[1][at]
    np.testing.assert_allclose(blobs[0].diff, dw, rtol=1e-11, atol=1e-12)
    if bias:
        np.testing.assert_allclose(blobs[1].diff, sum(pulls).reshape(-1, 3).sum(axis=0), rtol=1e-11)


@pytest.mark.parametrize("wrong", [5, -1])
def test_embed_names_an_index_out_of_range(wrong):
    made = made_of(RNG, "Embed", "embed_param { num_output: 3 input_dim: 5 }", {"x": np.array([[0, 1], [wrong, 2]])})
    with pytest.raises(NetdefError, match=rf"index {wrong} at \(1, 0\): want 0 to 4"):
        made.forward()


def test_parameter_is_a_copy_and_sums_its_gradients():
    text = 'layer { name: "p" type: "Parameter" top: "w" parameter_param { shape { dim: 2 dim: 3 } } }'
    text += 'layer { name: "n" type: "Power" bottom: "w" top: "w" power_param { scale: -1 } }'
    text += 'layer { name: "r" type: "Reduction" bottom: "w" top: "loss" loss_weight: 1 }'
    made = net(text)
    parameter = made.params["p"][0]
    assert parameter.shape == (2, 3) and not parameter.data.any()
    parameter.data[...] = 2
    for _ in range(2):
        assert made.forward() == -12
        made.backward()
    assert (parameter.data == 2).all() and (parameter.diff == -2).all()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("InnerProduct", "", "num_output is 0 or missing"),
        ("InnerProduct", "inner_product_param { num_output: 2 axis: 3 }", "axis 3 is out of range"),
        ("Embed", "embed_param { num_output: 2 }", "num_output 2 and input_dim 0: want both, 1 or more"),
        ("Embed", "embed_param { input_dim: 2 }", "num_output 0 and input_dim 2"),
    ],
)
def test_refusals(kind, options, message):
    with pytest.raises(NetdefError, match=message):
        made_of(RNG, kind, options, {"x": np.zeros((2, 3))})
