"""Pooling against loops over windows by Caffe's rules."""

import numpy as np
import pytest
from netdef_plugins.kernels import pool2d, pool_usual

# shape of x, kernel, stride, pad
CASES = [
    ((2, 3, 9, 11), (3, 3), (2, 2), (0, 0)),
    ((1, 2, 8, 8), (2, 2), (2, 2), (0, 0)),
    ((2, 2, 7, 9), (3, 3), (1, 1), (1, 1)),
    ((1, 2, 10, 40), (3, 2), (2, 3), (1, 0)),
    ((1, 2, 12, 71), (5, 5), (3, 4), (2, 2)),
    ((1, 1, 6, 5), (1, 1), (3, 3), (0, 0)),
    ((1, 2, 20, 20), (17, 17), (3, 3), (5, 5)),
    ((1, 1, 5, 1), (1, 1), (2, 2), (0, 0)),
    ((3, 5, 7, 6), (7, 6), (1, 1), (0, 0)),
    ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0)),
    ((5, 1, 9, 70), (3, 3), (2, 2), (1, 1)),
    ((1, 3, 9, 66), (2, 3), (4, 4), (0, 1)),
    ((2, 1, 40, 41), (3, 3), (1, 1), (0, 0)),
    ((1, 2, 90, 80), (3, 3), (2, 2), (1, 1)),
    ((1, 1, 85, 70), (2, 5), (3, 1), (1, 2)),
    ((3, 11, 6, 5), (2, 2), (2, 2), (0, 0)),
    ((1, 17, 9, 4), (3, 2), (4, 3), (2, 1)),
    ((1, 5, 7, 7), (3, 3), (1, 1), (1, 1)),
    ((3, 1, 16, 16), (3, 3), (2, 2), (0, 0)),
    ((1, 3, 17, 17), (3, 3), (2, 2), (0, 0)),
    ((1, 3, 15, 15), (3, 3), (2, 2), (1, 1)),
    ((1, 5, 6, 15), (2, 2), (2, 2), (0, 0)),
    ((1, 2, 5, 33), (2, 2), (2, 2), (1, 1)),
    ((1, 2, 6, 72), (3, 3), (1, 1), (2, 2)),
    ((1, 2, 6, 8), (3, 3), (1, 1), (2, 2)),
]


def outputs(size, kernel, stride, pad):
    out = -(-(size + 2 * pad - kernel) // stride) + 1
    return out - 1 if pad and (out - 1) * stride >= size + pad else out


def plain(x, dy, kernel, stride, pad):
    """Largest, their indices in the plane, averages, and the two gradients, window by window."""
    (height, width), out = x.shape[2:], dy.shape[2:]
    largest, indices, means = np.zeros(dy.shape), np.full(dy.shape, -1.0), np.zeros(dy.shape)
    d_largest, d_means = np.zeros(x.shape), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*dy.shape[:2], *out):
        top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
        bottom, right = min(top + kernel[0], height + pad[0]), min(left + kernel[1], width + pad[1])
        size = (bottom - top) * (right - left)
        rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
        window = x[n, c, rows, columns]
        if window.size:
            h, w = np.unravel_index(window.argmax(), window.shape)
            largest[n, c, i, j], means[n, c, i, j] = window.max(), window.sum() / size
            indices[n, c, i, j] = (rows.start + h) * width + columns.start + w
            d_largest[n, c, rows.start + h, columns.start + w] += dy[n, c, i, j]
            d_means[n, c, rows, columns] += dy[n, c, i, j] / size
    return largest, indices, means, d_largest, d_means


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_matches_loops_over_windows(case, dtype):
    shape, *how = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    out = shape[:2] + tuple(outputs(shape[2 + i], *(h[i] for h in how)) for i in range(2))
    dy = rng.standard_normal(out).astype(dtype)
    y, means, indices = (np.full(out, np.nan, dtype) for _ in range(3))
    dx, d_means = np.full_like(x, np.nan), np.full_like(x, np.nan)
    winner = pool2d.winners(out, how[0])
    pool2d.max_forward(x, y, winner, *how)
    pool2d.plane_indices(winner, shape[3], *how, indices)
    pool2d.average_forward(x, means, *how)
    pool2d.max_backward(dy, winner, dx, *how)
    pool2d.average_backward(dy, d_means, *how)
    for a, b in zip((y, indices, means, dx, d_means), plain(x, dy, *how), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 if dtype == "f" else 1e-14)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_nan_wins_ties_go_to_the_first_and_minus_infinity_is_a_number(dtype):
    x = np.array([[1, 1, np.nan, 0], [1, 1, 5, 0], [-np.inf] * 4, [-np.inf] * 4], dtype)[None, None]
    y, winner = np.empty((1, 1, 2, 2), dtype), pool2d.winners((1, 1, 2, 2), (2, 2))
    pool2d.max_forward(x, y, winner, (2, 2), (2, 2))
    np.testing.assert_array_equal(y[0, 0], [[1, np.nan], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(winner[0, 0], 0)


@pytest.mark.parametrize("width", [8, 40])
@pytest.mark.parametrize("how", [(3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 2, 0), (5, 2, 2)], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo("f").min])
@pytest.mark.parametrize("few", [True, False])
def test_what_is_no_common_number_wins_or_loses_as_it_should(width, how, value, few):
    """Once in each third plane, or everywhere: beside padding too."""
    kernel, stride, pad = ((n, n) for n in how)
    x = np.random.default_rng(0).standard_normal((1, 9, 8, width), np.float32)
    if few:
        x[0, ::3, 3, width - 2] = value
    else:
        x[0, ::3] = value
    out = x.shape[:2] + tuple(outputs(x.shape[2 + i], kernel[i], stride[i], pad[i]) for i in range(2))
    y, indices, winner = np.empty(out, np.float32), np.empty(out), pool2d.winners(out, kernel)
    pool2d.max_forward(x, y, winner, kernel, stride, pad)
    pool2d.plane_indices(winner, width, kernel, stride, pad, indices)
    largest, places, *_ = plain(x.astype("d"), np.zeros(out), kernel, stride, pad)
    np.testing.assert_array_equal(y, largest.astype(np.float32))
    if few or value == value:  # of many NaN, any
        np.testing.assert_array_equal(indices, places)


def test_rows_above_and_below_are_as_wide_as_the_windows(monkeypatch):
    def row(width, value):
        return np.append(np.full(width, value, np.float32), np.full(64, np.nan, np.float32))[:width]

    monkeypatch.setattr(pool_usual, "_row", row)
    test_matches_loops_over_windows(((1, 2, 6, 30), (3, 3), (1, 1), (1, 2)), "f")
