"""Convolutions in bands and not, whichever the shape would get: against the plain N-d path in float64."""

import numpy as np
import pytest
from netdef_plugins.kernels import band_plan, conv2d, conv_nd, pointwise, threads, winograd_plan

CACHES = conv2d._forward, conv2d._backward, conv2d._update


@pytest.fixture(params=[True, False], ids=["bands", "panels"])
def only(request, monkeypatch):
    """All convolutions by bands, or none; and no other way."""
    for module, name, chosen in (
        (band_plan, "suits", request.param), (band_plan, "suits_update", request.param),
        (winograd_plan, "suits", False), (pointwise, "suits", False), (conv2d, "_of_few", None),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *sizes, chosen=chosen, **more: chosen)
    for cache in CACHES:
        cache.cache_clear()
    yield
    for cache in CACHES:
        cache.cache_clear()


def run(x, w, b, dy, *how):
    """y, dx, dw, db; by the plain path where the arrays are float64."""
    kernels = conv2d if x.dtype == np.float32 else conv_nd
    y, dx, dw, db = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.ones_like(w), np.ones_like(b)
    kernels.forward(x, w, b, y, *how)
    kernels.backward(dy, w, dx, *how)
    kernels.update(dy, x, dw, db, *how)
    return y, dx, dw - 1, db - 1


def arrays(n, c, m, size, kernel, stride, pad, dilation, group):
    rng = np.random.default_rng(0)
    axes = zip(size, kernel, stride, pad, dilation, strict=True)
    out = [(s + 2 * p - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in axes]
    shapes = (n, c, *size), (m, c // group, *kernel), (m,), (n, m, *out)
    return [rng.standard_normal(shape).astype("f") for shape in shapes] if min(out) > 0 else []


def compare(sizes) -> None:
    given, how = arrays(*sizes), sizes[5:]
    if given:
        for got, want in zip(run(*given, *how), run(*(a.astype(float) for a in given), *how), strict=True):
            np.testing.assert_allclose(got, want, atol=2e-5 * max(1, np.abs(want).max()), err_msg=str(sizes))


def test_any_convolution(only):
    rng = np.random.default_rng(1)
    pick = lambda low, high: int(rng.integers(low, high))  # noqa: E731
    for _ in range(120):
        g = pick(1, 4)
        c, m = g * pick(2, 9), g * pick(1, 14)
        shape = ((pick(*r), pick(*r)) for r in ((1, 50), (1, 6), (1, 6), (0, 4), (1, 4)))
        compare((pick(1, 4), c, m, *shape, g))


# More results than a band of an update has; more images than a band; more pixels than are copied at a time.
MANY = [
    (2, 2, 5, (90, 70), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (9, 1, 20, (28, 28), (5, 5), (1, 1), (0, 0), (1, 1), 1),
    (1, 12, 8, (80, 150), (3, 3), (2, 1), (1, 1), (1, 1), 4),
]


@pytest.mark.parametrize("sizes", MANY, ids=str)
def test_several_bands(only, sizes):
    compare(sizes)


@pytest.mark.parametrize("sizes", MANY, ids=str)
def test_thread_count_does_not_show(only, sizes):
    before, results = threads.count(), []
    try:
        for count in (1, 3):
            threads.set_count(count)
            results.append(run(*arrays(*sizes), *sizes[5:]))
    finally:
        threads.set_count(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_infinite_stays_with_its_channel(only):
    """Vectors reach past the end of an image, where other channels and images stand."""
    x, w, b, dy = arrays(3, 2, 3, (9, 7), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    x[1, 0], dy[1, 1] = np.inf, np.nan
    y, dx, dw, db = run(x, w, b, dy, (1, 1), (1, 1), (1, 1), 1)
    assert np.isfinite(y[[0, 2]]).all() and np.isfinite(dx[[0, 2]]).all()
    assert np.isfinite(dw[[0, 2], 1]).all() and np.isfinite(db[[0, 2]]).all()
