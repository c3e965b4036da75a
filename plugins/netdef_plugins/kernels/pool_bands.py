"""Planes to pool as bands of rows, VL planes side by side, a lane each; and how they get there and back."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .native import fields, helper
from .pool2d import reach
from .simd import VL, shift
from .turn import turn, turn_bytes

# Pixels of VL planes that a band of several rows reads and makes at most: they stay in a second-level cache.
ROOM = 4096


class Planes(NamedTuple):
    """Sizes of the planes of a pooling, of its windows, and of the bands of rows that an item makes of VL planes.

    For each column of x the first window that holds it, and the last + 1, follow in memory.
    """

    planes: int
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    bands: int
    rows: int  # that an item makes
    made_at: int  # where what it makes, and then its other notes, begin in a thread's scratch
    notes_at: int
    work: int


planes = fields(Planes)


@helper
def spread(x, plane, planes, first, pixels, out):
    """out[pixel, VL]: pixels from `first` on of VL planes; the last plane stands in for those there are not."""
    for i in range(0, pixels, VL):
        turn(shift(x, first + i), plane, planes, min(VL, pixels - i), shift(out, i * VL), VL, VL)


@helper
def collect(made, pixels, y, plane, planes, first):
    """The way back, for the planes there are."""
    for i in range(0, pixels, VL):
        n = min(VL, pixels - i)
        turn(shift(made, i * VL), VL, n, min(VL, planes), shift(y, first + i), plane, n)


@helper
def collect_bytes(made, pixels, y, plane, planes, first):
    for i in range(0, pixels, VL):
        n = min(VL, pixels - i)
        turn_bytes(shift(made, i * VL), VL, n, min(VL, planes), shift(y, first + i), plane, n)


@helper
def band_of(g, item, size):
    """An item's first plane, and the rows it makes of `size`: first and last + 1."""
    first = item % g.bands * g.rows
    return item // g.bands * VL, first, min(size, first + g.rows)


@helper
def seen_by(g, first, last):
    """The rows of x, first and last + 1, that rows of windows meet."""
    top = reach(first, g.sh, g.ph, g.kh, g.h)[0]
    return top, max(top, reach(last - 1, g.sh, g.ph, g.kh, g.h)[1])


@helper
def holding(pixel, stride, pad, kernel, size):
    """The windows along an axis that hold a pixel, first and last + 1."""
    return max(0, (pixel + pad - kernel + stride) // stride), min(size, (pixel + pad) // stride + 1)


def rows_of(made: int, width: int, read, most: int) -> int:
    """How many of `made` rows of `width` pixels an item makes, where n rows read read(n) of `most` pixels."""
    rows = made
    while rows > 1 and read(rows) * most + rows * width > ROOM:
        rows -= 1
    return -(-made // -(-made // rows))


@lru_cache(maxsize=1024)
def plan(shape, out, kernel, stride, pad, backward: bool) -> tuple[np.ndarray, int, int]:
    """The kernels' table, how many items there are, and the floats of scratch of a thread."""
    n, c, h, w = shape
    (oh, ow), (kh, kw), (sh, sw) = out, kernel, stride
    (made, width), (most, other) = ((h, w), out) if backward else (out, (h, w))

    def read(rows):
        return min(most, (rows + kh - 2) // sh + 1 if backward else (rows - 1) * sh + kh)

    rows = rows_of(made, width, read, other)
    bands = -(-made // rows)
    made_at = (read(rows) * other + VL) * VL
    notes_at = made_at + (2 * rows * width + VL) * VL
    work = notes_at + 2 * (read(rows) + 1) * max(w, ow) * VL
    across = [end for j in range(w) for end in holding.py_func(j, sw, pad[1], kw, ow)]
    sizes = Planes(n * c, h, w, oh, ow, kh, kw, sh, sw, *pad, bands, rows, made_at, notes_at, work)
    return np.array([*sizes, *across], np.int64), -(-n * c // VL) * bands, work
