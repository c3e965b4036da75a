"""Convolutions that are simpler ones in disguise: of columns of pixels, which are rows as they lie in memory, and with
kernels that meet whole images, or one pixel at a time, which are products with a matrix."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import norm, products, window_plan
from .native import shaped

Pair = tuple[int, int]


class Row(NamedTuple):
    """A convolution of images one pixel high."""

    width: int
    taps: int
    results: int
    how: tuple[Pair, Pair, Pair]  # stride, pad and dilation


@lru_cache(maxsize=4096)
def _row(image: Pair, kernel: Pair, out: Pair, stride: Pair, pad: Pair, dilation: Pair) -> Row | None:
    """The row that a column of results is, if its windows are as wide as the image and follow each other in memory."""
    (height, width), size = image, kernel[0] * kernel[1]
    met = kernel[1] == width and pad[1] == 0 and out[1] == 1
    if not met or height == 1 or (width > 1 and dilation != (1, 1)):
        return None
    return Row(height * width, size, out[0], ((1, stride[0] * width), (0, pad[0] * width), (1, dilation[0])))


def laid(x, w, y, stride, pad, dilation):
    """x, w, y, stride, pad and dilation of a convolution, or of its gradients; a column of results becomes a row."""
    stride, pad, dilation = tuple(stride), tuple(pad), tuple(dilation)
    row = _row(x.shape[2:], w.shape[2:], y.shape[2:], stride, pad, dilation) if y.shape[3] == 1 else None
    if row is None:
        return x, w, y, stride, pad, dilation
    lines = ((x, row.width), (w, row.taps), (y, row.results))
    return *(shaped(a, (*a.shape[:2], 1, n)) for a, n in lines), *row.how


def is_product(image: Pair, kernel: Pair, out: Pair, pad: Pair, groups: int) -> bool:
    """Whether each image gives one result, to all of its pixels."""
    return image == kernel and out == (1, 1) and pad == (0, 0) and groups == 1


def _rows(a):
    return shaped(a, (len(a), math.prod(a.shape[1:])))


def forward(x, w, factor, bias, y, relu) -> None:
    """y[N, M] = factor[M] * (x[N, ...] w[M, ...]^T) + bias[M], rectified where relu is set; factor and bias may be
    None."""
    x, w, y = _rows(x), _rows(w), _rows(y)
    if factor is None:
        return products.multiply(x, w.T, y, bias, relu)
    products.multiply(x, w.T, y)
    norm.scale(y, factor, bias, y, relu=relu)


def backward(dy, w, factor, bias, dx) -> None:
    """dx[N, ...] = dy[N, M] w[M, ...]."""
    products.multiply(_rows(dy), _rows(w), _rows(dx))


def reads_along(kernel: Pair, stride: Pair, pad: Pair, groups: int, weights: int, pixels: int) -> bool:
    """Whether a gradient of so many pixels in all gains by reading rows of weights, which do not stay in a cache, as
    they lie, though pixels are turned for it: memory is slow to jump between rows."""
    plain = kernel == stride == (1, 1) and pad == (0, 0) and groups == 1
    return plain and weights >= window_plan.MANY and window_plan.LEAST <= pixels <= window_plan.MOST


def backward_along(dy, w, factor, bias, dx) -> None:
    """dx[N, C, ...] = w[M, C, 1, 1]^T dy[N, M, ...]."""
    (n, m), c, pixels = dy.shape[:2], dx.shape[1], math.prod(dy.shape[2:])
    rows = np.ascontiguousarray(shaped(dy, (n, m, pixels)).swapaxes(1, 2))
    found = np.empty((n * pixels, c), np.float32)
    products.multiply(shaped(rows, (n * pixels, m)), shaped(w, (m, c)), found)
    shaped(dx, (n, c, pixels))[...] = shaped(found, (n, pixels, c)).swapaxes(1, 2)


def update(dy, x, dw, db) -> None:
    """Adds the gradients to dw[M, ...] and db[M] (or None)."""
    dy = _rows(dy)
    products.update(dy, _rows(x), _rows(dw))
    if db is not None:
        db += dy.sum(axis=0)
