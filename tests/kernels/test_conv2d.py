"""Convolution against a plain sum over taps in float64: odd shapes, strides, groups, dilation, and all its paths."""

import numpy as np
import pytest
from netdef_plugins.kernels import (
    conv2d,
    conv_nd,
    direct_plan,
    forms,
    pointwise,
    threads,
    window_plan,
    winograd_back,
    winograd_plan,
)
from netdef_plugins.kernels import plan as planning

# shapes of x and w, stride, pad, dilation, group
CASES = [
    ((2, 3, 9, 11), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 4, 7, 7), (6, 2, 5, 5), (2, 2), (2, 2), (1, 1), 2),
    ((3, 8, 14, 14), (16, 8, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 8, 15, 13), (17, 8, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((1, 3, 35, 35), (9, 3, 11, 11), (4, 4), (0, 0), (1, 1), 1),
    ((2, 4, 20, 17), (4, 1, 3, 3), (1, 1), (2, 2), (2, 2), 4),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((9, 1, 28, 28), (20, 1, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 10, 10), (4, 3, 2, 3), (3, 4), (1, 2), (1, 1), 1),
    ((1, 3, 30, 30), (33, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    ((2, 6, 9, 9), (12, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    ((1, 5, 12, 40), (5, 1, 3, 3), (2, 2), (1, 1), (1, 1), 5),
    ((2, 3, 9, 9), (3, 1, 5, 5), (1, 1), (4, 4), (2, 2), 3),
    ((1, 2, 5, 6), (3, 2, 1, 1), (3, 3), (0, 0), (1, 1), 1),
    ((2, 6, 10, 35), (4, 3, 1, 1), (2, 2), (0, 0), (1, 1), 2),
    ((1, 3, 5, 9), (4, 3, 1, 1), (1, 2), (0, 0), (1, 1), 1),
]
# One tap: planes that end in whole, broad and thin tiles, rows that fill none, and more than one run; then strides,
# with several blocks of an image, several parts of the rows, and images that end on a row or column that is not met.
POINTS = [
    ((2, 6, 9, 7), (10, 3, 1, 1), (1, 1), (0, 0), (1, 1), 2),
    ((1, 40, 33, 40), (20, 40, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((9, 48, 30, 31), (12, 48, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 5, 1, 3), (9, 5, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 20, 29, 31), (33, 20, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((9, 5, 57, 64), (10, 5, 1, 1), (1, 2), (0, 0), (1, 1), 1),
    ((2, 12, 30, 70), (18, 4, 1, 1), (4, 3), (0, 0), (1, 1), 3),
    ((3, 78, 13, 15), (260, 39, 1, 1), (1, 1), (0, 0), (1, 1), 2),
    ((2, 70, 29, 33), (150, 70, 1, 1), (2, 2), (0, 0), (1, 1), 1),
]
# One tap, and few channels or outputs: blocks of an image that end within a vector, and of several images, the last of
# fewer; tiles with lines and rows that do not exist; parts of the wider side, and groups.
THIN = [
    ((2, 130, 45, 45), (23, 130, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((11, 11, 13, 15), (70, 11, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((3, 15, 12, 11), (42, 5, 1, 1), (1, 1), (0, 0), (1, 1), 3),
    ((1, 34, 61, 70), (37, 34, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 1, 16, 16), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
]
# Updates of rows in two bands, in shares of the pixels and in one.
BANDS = [
    ((4, 50, 17, 16), (300, 50, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 5, 7, 9), (600, 5, 3, 2), (2, 2), (1, 1), (1, 1), 1),
]
# Rows of taps so far apart that bands copy pixels for each: more and less than the rows of a band, and with a stride.
FAR = [
    ((1, 19, 90, 33), (13, 19, 3, 3), (1, 1), (32, 12), (32, 12), 1),
    ((2, 8, 41, 40), (5, 8, 3, 3), (3, 1), (9, 2), (10, 3), 1),
    ((2, 6, 40, 50), (4, 3, 2, 3), (2, 2), (7, 1), (14, 1), 2),
]
# Pixels enough for weights to be packed: rows that fill no tile, channels met in several turns, groups, and strides
# whose corners see unlike taps, or none.
PACKED = [
    ((3, 70, 25, 23), (21, 70, 4, 4), (1, 1), (2, 1), (1, 1), 1),
    ((2, 170, 31, 30), (38, 85, 3, 3), (2, 2), (1, 1), (1, 1), 2),
    ((2, 70, 64, 47), (90, 70, 3, 3), (2, 2), (0, 2), (2, 2), 1),
]
# Few outputs of many channels: a pass forward by all taps of a pixel, and an update by copies of dy; what leaves the
# image on all sides, and not; groups, and more than one run of rows.
OUTPUTS = [
    ((2, 130, 12, 90), (2, 130, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 200, 70, 70), (3, 200, 5, 2), (1, 1), (2, 0), (1, 2), 1),
    ((3, 320, 13, 40), (4, 160, 2, 3), (1, 1), (0, 2), (2, 1), 2),
]
# Groups of few channels: planes shorter and longer than the rows in registers, rows within and over a vector's ends,
# and two planes in a vector, the last of an odd number by itself; an update meets two outputs at once, if in pairs.
FEW = [
    ((2, 3, 7, 7), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    ((3, 6, 16, 33), (6, 1, 3, 3), (1, 1), (0, 2), (1, 1), 6),
    ((2, 4, 15, 70), (8, 1, 3, 3), (2, 2), (1, 1), (1, 1), 4),
    ((2, 6, 3, 40), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((3, 8, 17, 35), (12, 4, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((2, 9, 6, 7), (12, 3, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    ((1, 8, 29, 18), (16, 4, 3, 3), (2, 2), (0, 3), (1, 1), 2),
    ((2, 4, 9, 70), (4, 1, 5, 5), (1, 1), (2, 2), (1, 1), 4),
    ((2, 6, 21, 37), (9, 2, 5, 5), (2, 2), (2, 1), (1, 1), 3),
    ((3, 24, 13, 35), (16, 12, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((2, 32, 9, 22), (32, 16, 3, 3), (2, 2), (1, 0), (1, 1), 2),
    ((1, 2, 24, 24), (2, 1, 5, 5), (2, 2), (0, 0), (1, 1), 2),
    ((2, 3, 18, 36), (6, 1, 4, 4), (2, 2), (1, 1), (1, 1), 3),
    ((1, 3, 7, 8), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    ((3, 5, 14, 15), (5, 1, 5, 5), (2, 2), (2, 2), (1, 1), 5),
    ((1, 6, 15, 13), (9, 2, 3, 3), (2, 2), (1, 1), (1, 1), 3),
    ((1, 3, 29, 58), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    ((1, 6, 33, 21), (6, 1, 16, 16), (8, 8), (4, 3), (1, 1), 6),
    ((1, 3, 70, 65), (6, 1, 40, 41), (20, 33), (9, 0), (1, 1), 3),
    ((1, 2, 40, 40), (2, 1, 3, 5), (8, 9), (1, 2), (1, 1), 2),
    ((1, 2, 40, 43), (2, 1, 4, 4), (5, 5), (2, 3), (3, 2), 2),
]
# A column of results is a row in disguise where windows are as wide as the image and follow each other in memory.
COLUMNS = [
    ((2, 5, 37, 1), (6, 5, 3, 1), (1, 1), (1, 0), (1, 1), 1),
    ((9, 6, 41, 1), (8, 3, 5, 1), (2, 3), (3, 0), (2, 3), 2),
    ((1, 20, 70, 1), (33, 20, 3, 1), (1, 2), (2, 0), (3, 1), 1),
    ((1, 4, 30, 1), (4, 1, 3, 1), (1, 1), (1, 0), (1, 1), 4),
    ((9, 3, 17, 6), (4, 3, 3, 6), (2, 1), (1, 0), (1, 1), 1),
    ((1, 6, 20, 5), (10, 3, 4, 5), (1, 3), (0, 0), (1, 1), 2),
]
# These are none: rows apart by the dilation, windows narrower than the image, and zeros beside it.
NO_ROWS = [
    ((2, 3, 17, 6), (4, 3, 3, 6), (1, 1), (2, 0), (2, 1), 1),
    ((1, 3, 9, 4), (2, 3, 3, 1), (1, 5), (1, 0), (1, 1), 1),
    ((2, 3, 17, 3), (4, 3, 3, 3), (1, 9), (1, 1), (1, 1), 1),
    ((2, 3, 1, 9), (4, 3, 1, 9), (1, 1), (0, 0), (1, 1), 1),
]
# One result of a whole image is a product of the batch with a matrix, by kernels and by BLAS, in one thread and many.
WHOLE = [
    ((1, 40, 1, 1), (12, 40, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((9, 5, 1, 1), (3, 5, 1, 1), (2, 2), (0, 0), (3, 3), 1),
    ((9, 5, 6, 4), (7, 5, 6, 4), (1, 1), (0, 0), (1, 1), 1),
    ((9, 64, 7, 7), (48, 64, 7, 7), (1, 1), (0, 0), (1, 1), 1),
    ((1, 160, 7, 7), (144, 160, 7, 7), (1, 1), (0, 0), (1, 1), 1),
]
# These are none: groups, and zeros around an image of the kernel's size.
NO_PRODUCTS = [
    ((9, 6, 1, 1), (4, 3, 1, 1), (1, 1), (0, 0), (1, 1), 2),
    ((2, 3, 3, 3), (4, 3, 3, 3), (9, 9), (1, 1), (1, 1), 1),
    ((2, 3, 1, 1), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
]
FORMS = COLUMNS + NO_ROWS + WHOLE + NO_PRODUCTS
# With fewer squares of results than of pixels: these backward passes spread gradients.
SHRINKING = [
    ((19, 20, 12, 12), (33, 20, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((3, 7, 13, 9), (17, 7, 5, 5), (1, 1), (1, 0), (1, 1), 1),
    ((2, 6, 10, 14), (8, 3, 3, 3), (1, 1), (0, 0), (1, 1), 2),
]
# Backward with large strides: results of a place that meet more and fewer taps, or none; places of several images in
# runs of some rows, and rows of dx whose places lie in the image, in part, and not at all.
LARGE = [
    ((1, 5, 33, 21), (6, 5, 16, 16), (8, 8), (4, 3), (1, 1), 1),
    ((2, 6, 70, 65), (4, 3, 40, 41), (20, 33), (9, 0), (1, 1), 2),
    ((3, 3, 40, 43), (5, 3, 11, 11), (4, 4), (0, 2), (1, 1), 1),
    ((1, 2, 40, 40), (3, 2, 3, 5), (8, 9), (1, 2), (1, 1), 1),
    ((2, 3, 34, 36), (40, 3, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    ((1, 4, 60, 59), (3, 4, 9, 12), (9, 12), (20, 25), (1, 1), 1),
]
SQUARE = [
    ((2, 3, 9, 11), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 33, 17, 16), (18, 33, 3, 3), (1, 1), (0, 2), (1, 1), 1),
    ((2, 70, 12, 12), (34, 35, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((3, 6, 9, 23), (8, 3, 5, 5), (1, 1), (1, 3), (1, 1), 2),
    ((2, 40, 14, 14), (24, 40, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    ((1, 33, 70, 20), (18, 33, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    *SHRINKING,
]


def outputs(case):
    x, w, stride, pad, dilation, _ = case
    return tuple((x[2 + i] + 2 * pad[i] - dilation[i] * (w[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2))


def taps(case, out):
    """For each tap, the pixels that it reads of an image padded far enough."""
    _, w, stride, _, dilation, _ = case
    for i in range(w[2]):
        for j in range(w[3]):
            top, left = i * dilation[0], j * dilation[1]
            bottom, right = top + (out[0] - 1) * stride[0] + 1, left + (out[1] - 1) * stride[1] + 1
            yield i, j, (slice(None), slice(None), slice(top, bottom, stride[0]), slice(left, right, stride[1]))


def plain(case, x, w, b, dy):
    """y, dx, dw and db in float64."""
    shape, kernel, _, pad, _, group = case
    out = dy.shape[2:]
    whole = np.zeros((*shape[:2], shape[2] + 2 * pad[0] + 32, shape[3] + 2 * pad[1] + 32))
    inside = (..., slice(pad[0], pad[0] + shape[2]), slice(pad[1], pad[1] + shape[3]))
    whole[inside], back = x, np.zeros_like(whole)
    w, dy = w.astype(float), dy.astype(float)
    y, dw, m, c = np.zeros(dy.shape), np.zeros(kernel), kernel[0] // group, kernel[1]
    for i, j, pixels in taps(case, out):
        for g in range(group):
            rows, channels = slice(g * m, g * m + m), slice(g * c, g * c + c)
            seen = whole[pixels][:, channels]
            y[:, rows] += np.einsum("nchw,mc->nmhw", seen, w[rows, :, i, j])
            back[pixels][:, channels] += np.einsum("nmhw,mc->nchw", dy[:, rows], w[rows, :, i, j])
            dw[rows, :, i, j] = np.einsum("nmhw,nchw->mc", dy[:, rows], seen)
    return y + b[:, None, None], back[inside], dw, dy.sum((0, 2, 3))


def data(case, dtype="f"):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (case[0], case[1], case[1][:1]))
    return x, w, b, rng.standard_normal((case[0][0], case[1][0], *outputs(case))).astype(dtype)


def run(case, x, w, b, dy, relu=False):
    """y, dx, dw and db by the kernels; what the arrays held before must not matter, but for dw and db."""
    y, dx, dw, db = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.ones_like(w), np.ones_like(b)
    conv2d.forward(x, w, b, y, *case[2:], relu)
    conv2d.backward(dy, w, dx, *case[2:])
    conv2d.update(dy, x, dw, db, *case[2:])
    return y, dx, dw - 1, db - 1


def forget():
    """Lets plans be chosen anew."""
    for cache in (conv2d._forward, conv2d._backward, conv2d._update):
        cache.cache_clear()


def largest(a, b) -> float:
    """The largest difference, to the scale of b; infinity where there is a NaN, which max would pass over."""
    return float(np.nan_to_num(np.abs(a - b), nan=np.inf).max() / np.abs(b).max())


@pytest.mark.parametrize("case", CASES + POINTS + THIN + BANDS + FAR + PACKED + OUTPUTS + FEW + LARGE + FORMS, ids=str)
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_matches_the_sum_over_taps(case, dtype):
    arrays = data(case, dtype)
    errors = [largest(a, b) for a, b in zip(run(case, *arrays), plain(case, *arrays), strict=True)]
    assert max(errors) < (5e-6 if dtype == "f" else 1e-12)


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("case", SQUARE, ids=str)
def test_winograd_stays_within_its_tolerance(case, few, monkeypatch):
    """Whichever side is transformed first, in several blocks of squares and parts of the channels."""
    for name, value in (("pays", lambda *sizes: True), ("are_few", lambda *sizes: few), ("SEEN", 16), ("DEEP", 16)):
        monkeypatch.setattr(winograd_plan, name, value)
    forget()
    arrays = data(case)
    errors = [largest(a, b) for a, b in zip(run(case, *arrays), plain(case, *arrays), strict=True)]
    forget()
    assert max(errors) < (5e-6 if case[1][2] == 3 else 3e-5)


# Windows of one image and of several, that leave the image on all sides, are broader than a vector, and end within a
# part of the weights; rows that fill no tile; groups, and one tap.
WINDOWS = [
    ((1, 40, 9, 9), (21, 40, 4, 3), (1, 1), (0, 0), (1, 1), 1),
    ((3, 6, 11, 13), (20, 3, 3, 5), (2, 3), (2, 4), (3, 1), 2),
    ((2, 3, 8, 40), (9, 3, 2, 19), (1, 2), (1, 3), (1, 1), 1),
    ((3, 70, 7, 9), (22, 35, 1, 1), (1, 1), (0, 0), (1, 1), 2),
]


@pytest.mark.parametrize("case", WINDOWS, ids=str)
def test_many_weights_are_updated_by_windows(case, monkeypatch):
    for name in ("thin_plan", "winograd_plan"):
        monkeypatch.setattr(getattr(conv2d, name), "suits", lambda *sizes: False)
    monkeypatch.setattr(window_plan, "SOME", 1)
    forget()
    x, w, b, dy = data(case)
    assert (
        conv2d._update(x.shape, w.shape, dy.shape, *case[2:], True, threads.count()).func is conv2d._update_by_windows
    )
    results, known = run(case, x, w, b, dy), plain(case, x, w, b, dy)
    forget()
    assert max(largest(a, b) for a, b in zip(results, known, strict=True)) < 5e-6


def test_gradients_of_many_weights_read_them_as_they_lie(monkeypatch):
    case = ((3, 33, 5, 7), (40, 33, 1, 1), (1, 1), (0, 0), (1, 1), 1)
    monkeypatch.setattr(window_plan, "MANY", 1)
    forget()
    x, w, b, dy = data(case)
    chosen = conv2d._backward(dy.shape, w.shape, x.shape, *case[2:], threads.count())
    results, known = run(case, x, w, b, dy), plain(case, x, w, b, dy)
    forget()
    assert chosen is forms.backward_along
    assert max(largest(a, b) for a, b in zip(results, known, strict=True)) < 5e-6


@pytest.mark.parametrize("case", SHRINKING, ids=str)
def test_gradients_are_spread_whatever_the_thread_count(case, monkeypatch):
    """Images with nothing but infinity beside them, in items of several images and of one."""
    monkeypatch.setattr(winograd_plan, "pays", lambda *sizes: True)
    x, w, _, dy = data(case)
    dy[1] = np.inf
    passes, found, before = set(), [], threads.count()
    for count in (1, 5):
        threads.set_count(count)
        forget()
        passes.add(conv2d._backward(dy.shape, w.shape, x.shape, *case[2:], count).func)
        found.append(np.full_like(x, np.nan))
        conv2d.backward(dy, w, found[-1], *case[2:])
    threads.set_count(before)
    forget()
    assert passes == {winograd_back.spread}
    assert np.isfinite(np.delete(found[0], 1, axis=0)).all()
    np.testing.assert_allclose(*(np.delete(dx, 1, axis=0) for dx in found), atol=1e-5 * np.abs(found[0][0]).max())


WINOGRADS = [((2, 70, 24, 24), (64, 70, 3, 3), (1, 1), (1, 1), (1, 1), 1), SQUARE[4]]
ENDS = [CASES[0], CASES[3], CASES[5], *WINOGRADS, *POINTS[:3], FEW[1], FEW[6], *OUTPUTS, *COLUMNS[:4], *WHOLE]


@pytest.mark.parametrize("case", ENDS, ids=str)
def test_rectifier_is_applied_last(case):
    arrays = data(case)
    y, relu = run(case, *arrays)[0], run(case, *arrays, relu=True)[0]
    np.testing.assert_array_equal(relu, np.maximum(y, 0))


@pytest.mark.parametrize("case", ENDS, ids=str)
def test_rectifier_lets_nan_through(case):
    x, w, b, dy = data(case)
    b[1] = np.nan
    y = run(case, x, w, b, dy, relu=True)[0]
    assert np.isnan(y[:, 1]).all()
    assert (np.delete(y, 1, axis=1) >= 0).all()


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("case", ENDS, ids=str)
def test_a_factor_for_each_output_comes_before_the_bias(case, dtype):
    x, w, b, dy = data(case, dtype)
    factor, y = np.linspace(-2, 2, len(b), dtype=dtype), np.empty_like(dy)
    conv2d.forward(x, w, b, y, *case[2:], factor=factor)
    want = plain(case, x, w, np.zeros_like(b), dy)[0] * factor[:, None, None] + b[:, None, None]
    assert largest(y, want) < (1e-5 if dtype == "f" else 1e-12)


ANY_COUNT = [CASES[1], CASES[7], SQUARE[1], SQUARE[4], *POINTS[:3], *THIN[:3], BANDS[0]]
ANY_COUNT += [FEW[i] for i in (0, 2, 4, 5, 8, 12)]
ANY_COUNT += [case for case in FEW if case[2] == (8, 8)] + LARGE[:3] + COLUMNS


@pytest.mark.parametrize("case", ANY_COUNT, ids=str)
def test_thread_count_does_not_show(case):
    before, results = threads.count(), []
    try:
        for count in (1, 2, 3):
            threads.set_count(count)
            results.append(run(case, *data(case)))
    finally:
        threads.set_count(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", POINTS, ids=str)
def test_packing_or_not_gives_the_same_numbers(case, monkeypatch):
    results = []
    for choice in (True, False):
        monkeypatch.setattr(pointwise, "pays", lambda *sizes, choice=choice: choice)
        forget()
        results.append(run(case, *data(case), relu=True))
    forget()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


# The tasks that pack weights in a pass forward and one backward.
WHO = [(case, (conv2d.pack_weights, conv2d.pack_weights)) for case in PACKED]
WHO += [(case, (pointwise.pack_columns,)) for case in POINTS[-2:]]


@pytest.mark.parametrize(("case", "tasks"), WHO, ids=str)
def test_weights_packed_or_not_give_the_same_numbers(case, tasks, monkeypatch):
    results, real, ran = [], threads.run, []
    monkeypatch.setattr(threads, "run", lambda task, *rest, **how: (ran.append(task), real(task, *rest, **how)))
    for pixels in (1, 1 << 40):
        monkeypatch.setattr(planning, "PIXELS", pixels)
        forget()
        results.append(run(case, *data(case), relu=True))
        packers = [task for task in ran if task in (conv2d.pack_weights, pointwise.pack_columns)]
        assert packers == (list(tasks) if pixels == 1 else [])
        ran.clear()
    forget()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_asking_for_memory_ahead_changes_no_number(case, monkeypatch):
    results = []
    for floats in (1 << 40, 0):
        monkeypatch.setattr(direct_plan, "MANY", floats)
        direct_plan._table.cache_clear()
        results.append(run(case, *data(case)))
    direct_plan._table.cache_clear()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", FEW + LARGE + COLUMNS + NO_ROWS, ids=str)
def test_infinity_goes_where_it_is_met_and_nowhere_else(case):
    x, w, b, dy = data(case)
    x[..., -1], dy[..., -1] = np.inf, np.inf
    with np.errstate(invalid="ignore"):
        for a, want in zip(run(case, x, w, b, dy), plain(case, x, w, b, dy), strict=True):
            np.testing.assert_array_equal(np.isfinite(a), np.isfinite(want))


def test_pixels_that_no_output_reads_get_zero():
    dy, w, dx = np.ones((1, 1, 2, 2), "f"), np.ones((1, 1, 2, 2), "f"), np.full((1, 1, 9, 9), np.nan, "f")
    conv2d.backward(dy, w, dx, (3, 3))
    assert dx.sum() == 16
    assert (dx[:, :, [2, 5, 6, 7, 8]] == 0).all()


@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks_agree_with_two_axes(rank):
    rng = np.random.default_rng(0)
    ones = (1,) * (rank - 1)
    x, w = rng.standard_normal((2, 4, *ones, 9)), rng.standard_normal((6, 2, *ones, 3))
    y = np.empty((2, 6, *ones, 5))
    how = [(*ones, 2), (*(0 for _ in ones), 1), (*ones, 1), 2]
    conv_nd.forward(x, w, None, y, *how)
    flat = np.empty((2, 6, 1, 5))
    conv2d.forward(x.reshape(2, 4, 1, 9), w.reshape(6, 2, 1, 3), None, flat, (1, 2), (0, 1), (1, 1), 2)
    np.testing.assert_allclose(y.reshape(flat.shape), flat)
    dx, dw = np.empty_like(x), np.zeros_like(w)
    conv_nd.backward(y, w, dx, *how)
    conv_nd.update(y, x, dw, None, *how)
    np.testing.assert_allclose((dx * x).sum(), (y * y).sum())
    np.testing.assert_allclose((dw * w).sum(), (y * y).sum())


@pytest.mark.parametrize("case", FORMS, ids=str)
def test_only_columns_are_laid_down_and_never_copied(case):
    x, w, _, dy = data(case)
    found = forms.laid(x, w, dy, *case[2:5])
    assert (found[0].shape[2] == 1 != x.shape[2]) == (case in COLUMNS or (case in WHOLE and x.shape[2] > 1))
    assert all(np.shares_memory(a, b) for a, b in zip(found, (x, w, dy), strict=False))


@pytest.mark.parametrize("case", FORMS, ids=str)
def test_only_products_are_products(case):
    x, w, y = case[0], case[1], (case[0][0], case[1][0], *outputs(case))
    how, count = case[2:], threads.count()
    chosen = {
        getattr(conv2d._forward(x, w, y, *how, planning.PLAIN, count), "func", None) is forms.forward,
        conv2d._backward(y, w, x, *how, count) is forms.backward,
        conv2d._update(x, w, y, *how, True, count) is forms.update,
    }
    assert chosen == {case in WHOLE or case is NO_ROWS[-1]}


def test_weights_that_are_no_whole_array_are_refused():
    """Of what is no part of memory by itself there are no other shapes, but copies, which a gradient would end in."""
    x, dw, dy = np.ones((2, 4, 3, 3), "f"), np.ones((5, 8, 3, 3), "f"), np.ones((2, 5, 1, 1), "f")
    with pytest.raises(ValueError, match="contiguous"):
        conv2d.update(dy, x, dw[:, ::2], None)
    with pytest.raises(ValueError, match="contiguous"):
        conv2d.update(dy.repeat(2, 2), x.repeat(2, 2)[:, :, :4], dw[:, ::2], None)


def test_shapes_that_do_not_fit_are_refused():
    x, w, y = np.ones((2, 4, 5, 5), "f"), np.ones((3, 2, 3, 3), "f"), np.ones((2, 3, 3, 3), "f")
    with pytest.raises(ValueError, match="4 channels"):
        conv2d.forward(x, w, None, y)
    with pytest.raises(ValueError, match="contiguous"):
        conv2d.forward(x[:, ::2], w, None, y)
