"""Pooling of float32 planes by the usual windows, squares of 2 or 3 by a stride of 1 or 2, as columns of windows."""

from functools import lru_cache

import numpy as np

from . import threads
from .native import helper, task, unpack
from .pool2d import Pair, max_planes, plan, windows
from .pool_columns import WINDOWS
from .pool_down import LEAST, largest_down, mean_down
from .pool_up import largest_up, mean_up
from .simd import VL, shift


def suits(x, kernel: Pair, stride: Pair) -> bool:
    """Whether planes are pooled so, which needs vectors whose bytes are loaded and stored lane by lane."""
    square = kernel[0] == kernel[1] and stride[0] == stride[1]
    return VL == 16 and x.dtype == np.float32 and square and (kernel[0], stride[0]) in WINDOWS


@helper
def narrow(g, wide):
    """Whether so many columns of windows, and the pixels they begin with, are half a vector or less."""
    return 2 * wide <= VL and (g.sw == 1 or g.w + g.pw <= VL)


@helper
def item_of(g, item, wide):
    """The planes of an item, first and last + 1, how many are done at a time, and from which column to which."""
    first = item * g.some
    return first, min(g.planes, first + g.some), 2 if narrow(g, wide) else 1


@task
def max_usual(job, item, thread):
    table, x, y, winner, work, outside = unpack(job, "naabaa")
    g, well = windows(table), True
    first, last, step = item_of(g, item, g.ow)
    for plane in range(first, last, step):
        at, out, second = plane * g.h * g.w, plane * g.oh * g.ow, min(step, last - plane) - 1
        for i in range(0, g.ow, VL):
            well &= largest_down(g, step == 2, shift(x, at), shift(y, out), shift(winner, out), outside, i, second)
    if not well:
        max_planes(g, item, thread, x, y, winner, work)


@task
def mean_usual(job, item, thread):
    table, x, y, wide, outside = unpack(job, "naaaa")
    g = windows(table)
    first, last, step = item_of(g, item, g.ow)
    for plane in range(first, last, step):
        at, out, second = plane * g.h * g.w, plane * g.oh * g.ow, min(step, last - plane) - 1
        for i in range(0, g.ow, VL):
            mean_down(g, step == 2, shift(x, at), shift(y, out), wide, outside, i, second)


@helper
def columns_met(g):
    """The columns of windows that begin before the end of the image."""
    return (g.w + g.pw + g.sw - 1) // g.sw


def make_backward(name, up, spec):
    """A task under a name by which other processes find it; the job's notes are tags or widths."""
    tagged = spec[3] == "b"  # each window has a tag, but each column a width

    def backward(job, item, thread):
        table, dx, dy, notes, work, zeros = unpack(job, spec)
        g = windows(table)
        first, last, step = item_of(g, item, columns_met(g))
        trash = shift(work, g.row * thread)
        for plane in range(first, last, step):
            at, out, second = plane * g.h * g.w, plane * g.oh * g.ow, min(step, last - plane) - 1
            own = shift(notes, out if tagged else 0)
            for i in range(0, columns_met(g), VL):
                up(g, step == 2, shift(dx, at), shift(dy, out), own, zeros, trash, i, second)

    backward.__name__ = backward.__qualname__ = name
    return task(backward)


max_usual_backward = make_backward("max_usual_backward", largest_up, "naabaa")
mean_usual_backward = make_backward("mean_usual_backward", mean_up, "naaaaa")


@lru_cache(maxsize=256)
def _row(width: int, value: float) -> np.ndarray:
    return np.full(width, value, np.float32)


@lru_cache(maxsize=256)
def _widths(wide: int, kernel: int, stride: int, pad: int, size: int) -> np.ndarray:
    starts = np.arange(wide) * stride - pad
    return np.maximum(1, np.minimum(starts + kernel, size + pad) - starts).astype(np.float32)


def _sizes(x, y, kernel, stride, pad):
    """The table, how many items, scratch; a row of zeros as wide as x and y; the windows' widths."""
    table, items, work = plan(x, y, kernel, stride, pad)
    zeros = _row(max(x.shape[3], y.shape[3]), 0.0)
    return table, items, work, zeros, _widths(y.shape[3], kernel[1], stride[1], pad[1], x.shape[3])


def max_forward(x, y, winner, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    table, items, work = plan(x, y, kernel, stride, pad)
    threads.run(max_usual, items, table, x, y, winner, work, _row(x.shape[3], LEAST))


def max_backward(dy, winner, dx, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    table, items, work, zeros, _ = _sizes(dx, dy, kernel, stride, pad)
    threads.run(max_usual_backward, items, table, dx, dy, winner, work, zeros)


def average_forward(x, y, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    table, items, _, zeros, wide = _sizes(x, y, kernel, stride, pad)
    threads.run(mean_usual, items, table, x, y, wide, zeros)


def average_backward(dy, dx, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    table, items, work, zeros, wide = _sizes(dx, dy, kernel, stride, pad)
    threads.run(mean_usual_backward, items, table, dx, dy, wide, work, zeros)
