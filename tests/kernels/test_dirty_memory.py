"""Scratch memory may hold anything, NaN too: no kernel may let it reach a result."""

import numpy as np
import pytest

conv2d = pytest.importorskip("netdef_plugins.kernels.conv2d")


def dirty(rng: np.random.Generator) -> None:
    """Leave freed memory full of NaN, of the sizes that scratch buffers have."""
    for _ in range(5):
        np.full(rng.integers(10, 200000), np.nan, np.float32)


def test_convolution_of_finite_numbers_is_finite() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        dirty(rng)
        n, c, h, w, m = (int(rng.integers(*r)) for r in ((1, 3), (1, 20), (3, 9), (3, 9), (1, 40)))
        x, dy = (rng.standard_normal(s).astype("f4") for s in ((n, c, h, w), (n, m, h, w)))
        k, b = rng.standard_normal((m, c, 3, 3)).astype("f4"), np.zeros(m, "f4")
        y, dx, dw, db = np.empty_like(dy), np.empty_like(x), np.zeros_like(k), np.zeros_like(b)
        one = (1, 1)
        conv2d.forward(x, k, b, y, one, one, one)
        conv2d.backward(dy, k, dx, one, one, one)
        conv2d.update(dy, x, dw, db, one, one, one)
        for name, array in (("y", y), ("dx", dx), ("dw", dw), ("db", db)):
            assert np.isfinite(array).all(), f"{name} of {n} images {c}x{h}x{w}, {m} outputs"
