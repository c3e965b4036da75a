"""LRN, normalization, scale and softmax against NumPy in float64."""

import numpy as np
import pytest
from netdef_plugins.kernels import lrn, norm, softmax

SHAPES = [(2, 7, 5, 9), (1, 3, 1, 1), (2, 20, 14, 13), (3, 5, 1, 200)]
DTYPES = ["f", "d"]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=(3e-6 if a.dtype == np.float32 else 1e-13) * np.abs(b).max())


def arrays(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size,beta", [(5, 0.75), (4, 0.5), (3, 0.6)])
def test_lrn_across(shape, size, beta, dtype):
    x, dy = arrays(dtype, shape, shape)
    y, dx = np.empty_like(x), np.empty_like(x)
    near = np.zeros((shape[1], shape[1]))
    for c in range(shape[1]):
        near[c, max(0, c - (size - 1) // 2) : c - (size - 1) // 2 + size] = 1
    scale = 1.5 + 0.3 / size * np.einsum("cd,ndhw->nchw", near, x.astype(float) ** 2)
    ratio = np.einsum("cd,nchw->ndhw", near, dy * x * scale ** (-beta - 1))
    lrn.across(x, y, size, 0.3, beta, 1.5)
    lrn.across_backward(dy, x, dx, size, 0.3, beta, 1.5)
    close(y, x * scale**-beta)
    close(dx, dy * scale**-beta - 2 * 0.3 * beta / size * x * ratio)


@pytest.mark.parametrize("shape", [(1, 3, 70, 60), (1, 12, 5, 7)])
def test_lrn_across_planes_in_parts_and_windows_over_all_channels(shape):
    x, dy = arrays("f", shape, shape)
    y, dx = np.empty_like(x), np.empty_like(x)
    lrn.across(x, y, 9, 0.3, 0.75)
    lrn.across_backward(dy, x, dx, 9, 0.3, 0.75)
    summed = np.array([(x[:, max(0, c - 4) : c + 5].astype(float) ** 2).sum(1) for c in range(shape[1])])
    scale = 1 + 0.3 / 9 * summed.swapaxes(0, 1)
    ratio = dy * x * scale**-1.75
    exact = np.array([ratio[:, max(0, c - 4) : c + 5].sum(1) for c in range(shape[1])]).swapaxes(0, 1)
    close(y, x * scale**-0.75)
    close(dx, dy * scale**-0.75 - 2 * 0.3 * 0.75 / 9 * x * exact)


def test_fourth_roots_have_limits():
    x = np.array([1, 0, 1e18, 1e-18], "f").reshape(1, 1, 2, 2)
    y = np.empty_like(x)
    lrn.within(x, y, 1, 1.0, 0.75)
    np.testing.assert_allclose(y, x * (1 + x.astype(float) ** 2) ** -0.75, rtol=2e-6)
    for k in (0, -1):
        lrn.across(np.zeros_like(x), y, 1, 1.0, 0.75, k)
        assert np.isnan(y).all()


def box(a, half):
    wide = np.pad(a, ((0, 0), (0, 0), (half, half), (half, half)))
    size = 2 * half + 1
    return sum(wide[:, :, i : i + a.shape[2], j : j + a.shape[3]] for i in range(size) for j in range(size))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [3, 5])
def test_lrn_within(shape, size, dtype):
    x, dy = arrays(dtype, shape, shape)
    y, dx = np.empty_like(x), np.empty_like(x)
    scale = 1 + 0.4 / size**2 * box(x.astype(float) ** 2, size // 2)
    lrn.within(x, y, size, 0.4, 0.75)
    lrn.within_backward(dy, x, dx, size, 0.4, 0.75)
    close(y, x * scale**-0.75)
    ratio = box(dy * x * scale**-1.75, size // 2)
    close(dx, dy * scale**-0.75 - 2 * 0.4 * 0.75 / size**2 * x * ratio)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES[:1], (4, 3), (6, 2, 33), (1, 2, 3, 1)])
def test_norm(shape, dtype):
    x, dy, g, b = arrays(dtype, shape, shape, shape[1], shape[1])
    x += 3
    axes = (0, *range(2, len(shape)))
    wide = (slice(None), *[None] * (len(shape) - 2))
    y, dx, mean, var = np.empty_like(x), np.empty_like(x), np.empty_like(g), np.empty_like(g)
    norm.batch(x, y, mean, var, 1e-3)
    norm.batch_backward(dy, y, var, dx, 1e-3)
    norm.batch(inside := x.copy(), inside, mean, var, 1e-3)
    np.testing.assert_array_equal(inside, y)
    norm.scale(inside, g, b, inside, relu=True)
    norm.scale(y, g, b, outside := np.empty_like(y), relu=True)
    np.testing.assert_array_equal(inside, outside)
    exact, d = x.astype(float), dy.astype(float)
    std = np.sqrt(exact.var(axes) + 1e-3)[wide]
    want = (exact - exact.mean(axes)[wide]) / std
    close(mean, exact.mean(axes))
    close(var, exact.var(axes))
    close(y, want)
    close(dx, (d - d.mean(axes)[wide] - want * (d * want).mean(axes)[wide]) / std)
    norm.scale(x, g, b, y)
    close(y, exact * g[wide] + b[wide])
    norm.scale(x, g, b, rectified := np.empty_like(x), relu=True)
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))
    norm.scale(y := x.copy(), g, None, y)
    close(y, exact * g[wide])
    dg, db = np.ones_like(g), np.ones_like(b)
    norm.scale_update(dy, x, dg, db)
    close(dg, 1 + (d * exact).sum(axes))
    close(db, 1 + d.sum(axes))


def test_scale_with_other_axes():
    x, g = arrays("f", (2, 3, 4, 5), (3, 4))
    y, dg = np.empty_like(x), np.zeros_like(g)
    norm.scale(x, g, None, y, inner=5)
    close(y, x * g[:, :, None])
    norm.scale_update(x, x, dg, None, inner=5)
    close(dg, (x * x).sum((0, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 7, 12), (1, 1, 5), (3, 4, 1024), (2, 3, 2050)])
def test_softmax(shape, dtype):
    x, dy = arrays(dtype, shape, shape)
    x *= 20
    y, dx = np.empty_like(x), np.empty_like(x)
    e = np.exp(x.astype(float) - x.max(1, keepdims=True))
    want = e / e.sum(1, keepdims=True)
    softmax.forward(x, y)
    softmax.backward(dy, y, dx)
    close(y, want)
    d = (dy - (dy * want).sum(1, keepdims=True)) * want
    np.testing.assert_allclose(dx, d, rtol=0, atol=1e-6 if dtype == "f" else 1e-14)
    softmax.forward(x, x)
    np.testing.assert_array_equal(x, y)
    x[0, 0, 0] = np.nan
    softmax.forward(x, x)
    assert np.isnan(x[0, :, 0]).all() and np.isfinite(x[-1, :, 1:]).all()
