"""Pooling of images with any number of axes in NumPy: the functions of kernels.pool2d, and stochastic pooling."""

from typing import Any

import numpy as np

from netdef.layer import Shape
from netdef_plugins.windows import Window, along, volume

Array = np.ndarray


def winners(shape: Shape, kernel: Shape) -> Array:
    """Room for the winner of each window: its number within the window, in bytes while there are less than 256."""
    return np.empty(shape, np.uint8 if volume(kernel) < 256 else np.int32)


def nobody(winner: Array) -> int:
    """What stands for the winner of an empty window."""
    return 255 if winner.dtype == np.uint8 else -1


def _taps(image: Shape, places: Shape, kernel: Shape, stride: Shape, pad: Shape) -> Any:
    for number, pixels, where in Window(kernel, stride, pad, (1,) * len(kernel)).taps(image[2:], places[2:]):
        yield number, (..., *pixels), (..., *where)


def max_forward(x: Array, y: Array, winner: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """y[N, C, ...] = the largest x of each window, the first of equals; NaN is largest; an empty window gives 0."""
    y.fill(0)
    winner.fill(nobody(winner))
    for number, pixels, where in _taps(x.shape, y.shape, kernel, stride, pad):
        here = x[pixels]
        better = (here > y[where]) | (winner[where] == nobody(winner)) | np.isnan(here)
        np.copyto(y[where], here, where=better)
        np.copyto(winner[where], number, where=better)


def max_backward(dy: Array, winner: Array, dx: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """dx = the sum of the dy whose winner a pixel was."""
    dx.fill(0)
    for number, pixels, where in _taps(dx.shape, dy.shape, kernel, stride, pad):
        dx[pixels] += dy[where] * (winner[where] == number)


def average_forward(x: Array, y: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """y = the sum of x in each window / the window's size within the padded image."""
    y.fill(0)
    for _, pixels, where in _taps(x.shape, y.shape, kernel, stride, pad):
        y[where] += x[pixels]
    y /= _sizes(x, y, kernel, stride, pad)


def average_backward(dy: Array, dx: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """dx = the sum of dy / size over the windows that hold a pixel."""
    share = dy / _sizes(dx, dy, kernel, stride, pad)
    dx.fill(0)
    for _, pixels, where in _taps(dx.shape, dy.shape, kernel, stride, pad):
        dx[pixels] += share[where]


def _sizes(x: Array, y: Array, kernel: Shape, stride: Shape, pad: Shape) -> Array:
    """The pixels of each window, padding counted and overhang not."""
    sizes = np.ones((1,) * len(kernel), y.dtype)
    for axis, (k, s, p) in enumerate(zip(kernel, stride, pad, strict=True)):
        start = np.arange(y.shape[2 + axis]) * s - p
        inside = np.minimum(start + k, x.shape[2 + axis] + p) - start
        sizes = sizes * along(np.maximum(inside, 1), axis, len(kernel)).astype(y.dtype)
    return sizes


def plane_indices(winner: Array, image: Shape, kernel: Shape, stride: Shape, pad: Shape, out: Array) -> None:
    """out = the index of each winner in its plane, an image in row-major order; -1 for an empty window."""
    empty = winner == nobody(winner)
    index = np.zeros(winner.shape, np.int64)
    for axis, offset in enumerate(np.unravel_index(np.where(empty, 0, winner), kernel)):
        start = np.arange(winner.shape[2 + axis]) * stride[axis] - pad[axis]
        index = index * image[axis] + along(start, axis, len(kernel)) + offset
    out[...] = np.where(empty, -1, index)


def draw_forward(x: Array, y: Array, winner: Array, u: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """y = one x of each window, drawn with a probability proportional to x by u from (0, 1]; max_backward fits."""
    goal = u * _sums(x, y, kernel, stride, pad)
    reached, done = np.zeros_like(y), np.zeros(y.shape, bool)
    y.fill(0)
    winner.fill(nobody(winner))
    for number, pixels, where in _taps(x.shape, y.shape, kernel, stride, pad):
        reached[where] += x[pixels]
        np.copyto(y[where], x[pixels], where=~done[where])
        np.copyto(winner[where], number, where=~done[where])
        done[where] |= reached[where] >= goal[where]


def expect_forward(x: Array, y: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """y = sum of x^2 / sum of x in each window, what draw_forward gives on average; 0 where the sum is 0."""
    sums = _sums(x, y, kernel, stride, pad)
    y[...] = np.where(sums == 0, 0, _sums(x * x, y, kernel, stride, pad) / np.where(sums == 0, 1, sums))


def expect_backward(x: Array, dy: Array, dx: Array, kernel: Shape, stride: Shape, pad: Shape) -> None:
    """dx = the sum of (2 x - y) / (sum of x) dy over the windows that hold a pixel."""
    y, sums = np.empty_like(dy), _sums(x, dy, kernel, stride, pad)
    expect_forward(x, y, kernel, stride, pad)
    share = np.where(sums == 0, 0, dy / np.where(sums == 0, 1, sums))
    dx.fill(0)
    for _, pixels, where in _taps(x.shape, y.shape, kernel, stride, pad):
        dx[pixels] += (2 * x[pixels] - y[where]) * share[where]


def _sums(x: Array, y: Array, kernel: Shape, stride: Shape, pad: Shape) -> Array:
    sums = np.zeros_like(y)
    for _, pixels, where in _taps(x.shape, y.shape, kernel, stride, pad):
        sums[where] += x[pixels]
    return sums
