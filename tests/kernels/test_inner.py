"""Products of a batch with a matrix, against float64."""

import numpy as np
import pytest
from netdef_plugins.kernels import inner
from netdef_plugins.kernels.simd import VL
from netdef_plugins.kernels.tile import MR

SHAPES = [
    (inner.LEAST, 2 * VL, 2 * VL),
    (5, 3 * VL + 1, 2 * VL + 15),
    (VL, 8 * VL, 16 * VL),
    (VL + 1, 8 * VL + 3, 4096 + 7),
    (inner.OPEN, 17 * VL + 5, 33 * VL + 1),
    (inner.OPEN + 1, 3 * inner.ROWS + 9, 2 * inner.COLUMNS + 17),
    (2 * inner.MOST + 5, MR, VL),
    (inner.MOST, inner.STEPS + 1, 4 * VL + 3),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_agree_with_float64(shape):
    n, m, k = shape
    rng = np.random.default_rng(0)
    x, w, dy, dw = (rng.standard_normal(s, np.float32) for s in ((n, k), (m, k), (n, m), (m, k)))
    assert inner.suits(x, w)
    y, dx, added = np.full((n, m), np.nan, np.float32), np.full((n, k), np.nan, np.float32), dw.copy()
    inner.dots(x, w, y)
    inner.mix(dy, w, dx)
    inner.update(dy, x, added)
    pairs = [
        (y, x.astype(np.float64) @ w.T, k),
        (dx, dy.astype(np.float64) @ w, m),
        (added, dw + dy.T.astype(np.float64) @ x, n),
    ]
    for got, want, depth in pairs:
        np.testing.assert_allclose(got, want, rtol=0, atol=5e-6 * depth**0.5)


def test_a_record_gives_the_same_wherever_it_stands():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((VL, 100), np.float32), rng.standard_normal((70, 100), np.float32)
    y, back = np.empty((VL, 70), np.float32), np.empty((VL, 70), np.float32)
    inner.dots(x, w, y)
    inner.dots(x[::-1].copy(), w, back)
    assert np.array_equal(y, back[::-1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_bias_and_a_rectifier_on_the_way(shape):
    n, m, k = shape
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(s, np.float32) for s in ((n, k), (m, k), m))
    x[n // 2, 0] = np.nan
    plain, biased, both, rectified = (np.empty((n, m), np.float32) for _ in range(4))
    inner.dots(x, w, plain)
    inner.dots(x, w, biased, b)
    inner.dots(x, w, both, b, relu=True)
    inner.dots(x, w, rectified, relu=True)
    assert np.isnan(plain[n // 2]).all()
    assert np.isfinite(np.delete(plain, n // 2, 0)).all()
    assert np.array_equal(biased, plain + b, equal_nan=True)
    assert np.array_equal(both, np.maximum(biased, 0), equal_nan=True)
    assert np.array_equal(rectified, np.maximum(plain, 0), equal_nan=True)
