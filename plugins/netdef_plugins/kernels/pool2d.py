"""Pooling of images by Caffe's rules: the last window may hang over the edge; averages count padding, no overhang."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import threads
from .native import fields, helper, task, unpack
from .simd import places, shift

Pair = tuple[int, int]
# Elements that an item handles, about.
CHUNK = 32 * 1024
# The winner of a window without pixels, among bytes; among int32 it is -1.
NOBODY = 255


class Windows(NamedTuple):
    """Sizes of the planes of a pooling and of its windows."""

    planes: int
    some: int  # planes in an item
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
    row: int  # floats of scratch of a thread


windows = fields(Windows)


@helper
def reach(o, stride, pad, kernel, size):
    """Of output o's window: first and last + 1 pixel within the image, where it begins, and its size with padding."""
    start = o * stride - pad
    return max(start, 0), min(start + kernel, size), start, max(1, min(start + kernel, size + pad) - start)


@helper
def columns(tap, g):
    """The outputs of a row, first and last + 1, whose tap lies within the image."""
    first = max(0, -((tap - g.pw) // g.sw))
    return first, max(first, min(g.ow, (g.w - 1 + g.pw - tap) // g.sw + 1))


@helper
def best_of(x, stride, n, best, place, tap):
    """Keeps in best and place the larger of what they hold and every stride-th x; NaN wins."""
    for i in range(n):
        v = x[i * stride]
        better = v > best[i] or v != v or place[i] < 0
        best[i] = v if better else best[i]
        place[i] = tap if better else place[i]


@helper
def max_row(x, o, g, best, place):
    """One row of outputs: the largest values, and their offsets in the window (0 and -1 where the window is empty)."""
    begin, end, start, _ = reach(o, g.sh, g.ph, g.kh, g.h)
    for i in range(g.ow):
        best[i] = 0
        place[i] = -1
    for h in range(begin, end):
        for j in range(g.kw):
            first, last = columns(j, g)
            source = shift(x, h * g.w + first * g.sw - g.pw + j)
            b, p, tap = shift(best, first), shift(place, first), (h - start) * g.kw + j
            # The usual strides are named, for the compiler to read them with vectors.
            if g.sw == 1:
                best_of(source, 1, last - first, b, p, tap)
            elif g.sw == 2:
                best_of(source, 2, last - first, b, p, tap)
            else:
                best_of(source, g.sw, last - first, b, p, tap)


@helper
def max_planes(g, item, thread, x, y, winner, work):
    place = places(shift(work, g.row * thread))
    for plane in range(item * g.some, min(g.planes, item * g.some + g.some)):
        for o in range(g.oh):
            out = (plane * g.oh + o) * g.ow
            max_row(shift(x, plane * g.h * g.w), o, g, shift(y, out), place)
            for i in range(g.ow):
                winner[out + i] = place[i]


@helper
def scatter_planes(g, item, thread, dx, dy, winner, nobody, work):
    reaches = places(shift(work, g.row * thread))
    for tap in range(g.kh * g.kw):
        reaches[tap] = tap // g.kw * g.w + tap % g.kw
    for plane in range(item * g.some, min(g.planes, item * g.some + g.some)):
        target = shift(dx, plane * g.h * g.w)
        for i in range(g.h * g.w):
            target[i] = 0
        for o in range(g.oh):
            out, corner = (plane * g.oh + o) * g.ow, (o * g.sh - g.ph) * g.w - g.pw
            for i in range(g.ow):
                place = winner[out + i]
                if place != nobody:
                    target[corner + i * g.sw + reaches[place]] += dy[out + i]


@task
def _max_bytes(job, item, thread):
    table, x, y, winner, work = unpack(job, "naaba")
    max_planes(windows(table), item, thread, x, y, winner, work)


@task
def _max_integers(job, item, thread):
    table, x, y, winner, work = unpack(job, "naaka")
    max_planes(windows(table), item, thread, x, y, winner, work)


@task
def _max_backward_bytes(job, item, thread):
    table, dx, dy, winner, work = unpack(job, "naaba")
    scatter_planes(windows(table), item, thread, dx, dy, winner, NOBODY, work)


@task
def _max_backward_integers(job, item, thread):
    table, dx, dy, winner, work = unpack(job, "naaka")
    scatter_planes(windows(table), item, thread, dx, dy, winner, -1, work)


@helper
def add_strided(x, stride, n, y):
    for i in range(n):
        y[i] += x[i * stride]


@helper
def whole(g):
    """Whether the only window is the image."""
    return g.kh == g.h and g.kw == g.w and g.oh * g.ow == 1 and g.ph + g.pw == 0


@task
def _average(job, item, thread):
    table, x, y = unpack(job, "naa")
    g = windows(table)
    if whole(g):
        for plane in range(item * g.some, min(g.planes, item * g.some + g.some)):
            total, source = x[0] * 0, shift(x, plane * g.h * g.w)
            for i in range(g.h * g.w):
                total += source[i]
            y[plane] = total / (g.h * g.w)
        return
    for line in range(item * g.some * g.oh, min(g.planes, item * g.some + g.some) * g.oh):
        begin, end, _, tall = reach(line % g.oh, g.sh, g.ph, g.kh, g.h)
        plane, sums = shift(x, line // g.oh * g.h * g.w), shift(y, line * g.ow)
        for i in range(g.ow):
            sums[i] = 0
        for h in range(begin, end):
            for j in range(g.kw):
                first, last = columns(j, g)
                source = shift(plane, h * g.w + first * g.sw - g.pw + j)
                if g.sw == 1:
                    add_strided(source, 1, last - first, shift(sums, first))
                elif g.sw == 2:
                    add_strided(source, 2, last - first, shift(sums, first))
                else:
                    add_strided(source, g.sw, last - first, shift(sums, first))
        for i in range(g.ow):
            sums[i] = sums[i] / (tall * reach(i, g.sw, g.pw, g.kw, g.w)[3])


@task
def _average_backward(job, item, thread):
    table, dx, dy, work = unpack(job, "naaa")
    g = windows(table)
    share = shift(work, g.row * thread)
    first_plane, last_plane = item * g.some, min(g.planes, item * g.some + g.some)
    if whole(g):
        for plane in range(first_plane, last_plane):
            part, target = dy[plane] / (g.h * g.w), shift(dx, plane * g.h * g.w)
            for i in range(g.h * g.w):
                target[i] = part
        return
    for i in range(first_plane * g.h * g.w, last_plane * g.h * g.w):
        dx[i] = 0
    for line in range(first_plane * g.oh, last_plane * g.oh):
        begin, end, _, tall = reach(line % g.oh, g.sh, g.ph, g.kh, g.h)
        plane = shift(dx, line // g.oh * g.h * g.w)
        for i in range(g.ow):
            share[i] = dy[line * g.ow + i] / (tall * reach(i, g.sw, g.pw, g.kw, g.w)[3])
        for h in range(begin, end):
            for j in range(g.kw):
                first, last = columns(j, g)
                target = shift(plane, h * g.w + first * g.sw - g.pw + j)
                for i in range(last - first):
                    target[i * g.sw] += share[first + i]


@lru_cache(maxsize=1024)
def _table(shape, out, kernel, stride, pad, count) -> tuple[np.ndarray, int, int]:
    """The kernels' table, how many items, and the floats of scratch."""
    n, c, h, w = shape
    some = max(1, min(CHUNK // max(1, h * w), -(-n * c // (4 * count))))
    row = (2 * out[1] + kernel[0] * kernel[1] + w + 31) // 16 * 16
    sizes = Windows(n * c, some, h, w, *out, *kernel, *stride, *pad, row)
    return np.array(sizes, np.int64), -(-n * c // some), row * count


def plan(x, y, kernel, stride, pad) -> tuple[np.ndarray, int, np.ndarray]:
    """The kernels' table for planes of x (the larger side) and y, how many items there are, and scratch."""
    key = x.shape, y.shape[2:], tuple(kernel), tuple(stride), tuple(pad), threads.count()
    table, items, floats = _table(*key)
    return table, items, threads.scratch("work", 2 * floats)


def _run(task, x, y, winner, kernel, stride, pad) -> None:
    """Runs a task over them."""
    table, items, work = plan(x, y, kernel, stride, pad)
    arrays = (x, y, work) if winner is None else (x, y, winner, work)
    threads.run(task, items, table, *arrays, dtype=x.dtype)


def _kind(x, kernel, stride, planes: bool):
    """Who pools float32 in vectors: the columns of usual windows, planes side by side if they may, or nobody."""
    from . import pool_usual

    if pool_usual.suits(x, kernel, stride):
        return pool_usual
    if not planes or x.dtype != np.float32:
        return None
    from . import pool_planes

    return pool_planes


def winners(shape, kernel: Pair) -> np.ndarray:
    """An array for `max_forward` to note each output's winner in: uint8 offsets within the window while they fit."""
    return np.empty(shape, np.uint8 if kernel[0] * kernel[1] <= NOBODY else np.int32)


def max_forward(x, y, winner, kernel: Pair, stride: Pair, pad: Pair = (0, 0)) -> None:
    """y[N, C, OH, OW] = the largest of x[N, C, H, W] in each window, padding aside; where, goes to `winner`.

    NaN is larger than any number; of equals the first wins; a window without pixels gives 0. `winners` makes `winner`.
    """
    kind = _kind(x, kernel, stride, winner.dtype == np.uint8)
    if kind:
        return kind.max_forward(x, y, winner, kernel, stride, pad)
    _run(_max_bytes if winner.dtype == np.uint8 else _max_integers, x, y, winner, kernel, stride, pad)


def max_backward(dy, winner, dx, kernel: Pair, stride: Pair, pad: Pair = (0, 0)) -> None:
    """dx = the sum of the dy whose winner a pixel was."""
    kind = _kind(dx, kernel, stride, False)
    if kind:
        return kind.max_backward(dy, winner, dx, kernel, stride, pad)
    task = _max_backward_bytes if winner.dtype == np.uint8 else _max_backward_integers
    _run(task, dx, dy, winner, kernel, stride, pad)


def average_forward(x, y, kernel: Pair, stride: Pair, pad: Pair = (0, 0)) -> None:
    """y = the sum of x in each window / the window's size within the padded image."""
    kind = _kind(x, kernel, stride, tuple(kernel) != x.shape[2:])
    if kind:
        return kind.average_forward(x, y, kernel, stride, pad)
    _run(_average, x, y, None, kernel, stride, pad)


def average_backward(dy, dx, kernel: Pair, stride: Pair, pad: Pair = (0, 0)) -> None:
    """dx = the sum of dy / size over the windows that hold a pixel."""
    kind = _kind(dx, kernel, stride, tuple(kernel) != dx.shape[2:])
    if kind:
        return kind.average_backward(dy, dx, kernel, stride, pad)
    _run(_average_backward, dx, dy, None, kernel, stride, pad)


def plane_indices(winner, width: int, kernel: Pair, stride: Pair, pad: Pair, out) -> None:
    """out = each winner's index in its plane of rows of `width` (Caffe's mask), -1 for an empty window."""
    offsets = winner.astype(np.int64)
    down = np.arange(winner.shape[2])[:, None] * stride[0] - pad[0] + offsets // kernel[1]
    right = np.arange(winner.shape[3]) * stride[1] - pad[1] + offsets % kernel[1]
    nobody = NOBODY if winner.dtype == np.uint8 else -1
    out[...] = np.where(offsets == nobody, -1, down * width + right)
