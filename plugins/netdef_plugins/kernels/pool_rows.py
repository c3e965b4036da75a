"""Pooling of float32 planes by vectors.

A plane's maxima are found as one long row: its pixels are first parted by the stride, so that each tap of all windows
is one shift of them. Averages are sums of rows, then of columns; so are their gradients.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import threads
from .gather import clear, merge_row, part_row, place_taps
from .native import fields, helper, task, unpack
from .pool2d import CHUNK, Pair, reach
from .simd import (
    ONE,
    VL,
    ZERO,
    below_zero,
    integers,
    keep_larger,
    load,
    load_first,
    shift,
    splat,
    store,
    store_bytes,
    store_first,
)

LOWEST = np.float32(-np.inf)


class Planes(NamedTuple):
    """Sizes of the planes of a pooling, of its windows, and of the rooms in a thread's scratch."""

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
    rows: int  # of each phase of the stride
    pitch: int  # of those rows
    apart: int  # from one phase to the next
    lines: int  # rows of results, and numbers of each
    length: int
    room: int


planes = fields(Planes)


@helper
def part_plane(g, x, out):
    """out[row phase, column phase, row, pitch]: pixels a stride apart side by side; padding rows stay as they are."""
    for r in range(g.ph, g.ph + g.h):
        if r // g.sh < g.rows:
            row = shift(out, r % g.sh * g.sw * g.apart + r // g.sh * g.pitch)
            part_row(row, shift(x, (r - g.ph) * g.w), g.w, -g.pw, g.sw, g.sw, g.pitch, g.apart, LOWEST)


@helper
def find_largest(plane, taps, count, firsts, largest, where):
    """The largest of 2 * VL windows, and which tap it was, two vectors side by side for one to work while one waits.

    `firsts` are the first taps within the image, -1 for none; then the result is 0 and -1.
    """
    place0, place1, tap = load(firsts), load(shift(firsts, VL)), splat(ZERO)
    best0 = below_zero(place0, splat(ZERO), splat(LOWEST))
    best1 = below_zero(place1, splat(ZERO), splat(LOWEST))
    for t in range(count):
        source = shift(plane, taps[t])
        best0, place0 = keep_larger(load(source), best0, place0, tap)
        best1, place1 = keep_larger(load(shift(source, VL)), best1, place1, tap)
        tap = tap + splat(ONE)
    store(largest, best0)
    store(shift(largest, VL), best1)
    store(where, place0)
    store(shift(where, VL), place1)


@task
def max_planes(job, item, thread):
    x, y, winner, firsts, work, table = unpack(job, "aabaan")
    g = planes(table)
    taps, size = shift(table, len(g)), g.oh * g.pitch
    largest = shift(work, thread * g.room)
    where, plane = shift(largest, size + 2 * VL), shift(largest, 2 * (size + 2 * VL))
    clear(plane, g.sh * g.sw * g.apart, LOWEST)
    for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
        part_plane(g, shift(x, p * g.h * g.w), plane)
        for i in range(0, size, 2 * VL):
            find_largest(shift(plane, i), taps, g.kh * g.kw, shift(firsts, i), shift(largest, i), shift(where, i))
        for o in range(g.lines):
            out = p * g.oh * g.ow + o * g.length
            for i in range(0, g.length, VL):
                at, n = o * g.pitch + i, g.length - i
                store_first(shift(y, out + i), load(shift(largest, at)), n)
                store_bytes(shift(winner, out + i), load(shift(where, at)), n)


@helper
def sum_rows(src, begin, end, pitch, n, out):
    """out[n] = the sum of the rows from begin to before end; nothing past a row is read."""
    for i in range(0, n, VL):
        total = splat(ZERO)
        for r in range(begin, end):
            total = total + load_first(shift(src, r * pitch + i), n - i)
        store(shift(out, i), total)


@helper
def sum_taps(row, i, taps, begin, end, step):
    """The sums of VL pixels' taps: begin, begin + step and so on, before end."""
    total = splat(ZERO)
    for j in range(begin, end, step):
        total = total + load(shift(row, i + taps[j]))
    return total


@task
def average_planes(job, item, thread):
    x, y, widths, work, table = unpack(job, "aaaan")
    g = planes(table)
    taps, line = integers(shift(work, thread * g.room)), shift(work, thread * g.room + 2 * g.kw)
    parted = shift(line, g.w + VL)
    place_taps(g.kw, 1, g.sw, g.pitch, taps)
    for row in range(item * g.some * g.oh, min(g.planes, item * g.some + g.some) * g.oh):
        begin, end, _, tall = reach(row % g.oh, g.sh, g.ph, g.kh, g.h)
        sum_rows(shift(x, row // g.oh * g.h * g.w), begin, end, g.w, g.w, line)
        part_row(parted, line, g.w, -g.pw, g.sw, g.sw, g.pitch, g.pitch, ZERO)
        for i in range(0, g.ow, VL):
            size = load(shift(widths, i)) * splat(np.float32(tall))
            store_first(shift(y, row * g.ow + i), sum_taps(parted, i, taps, 0, g.kw, 1) / size, g.ow - i)


@helper
def share_plane(g, dy, widths, out):
    """out[o, i] = dy[o, i] / the size of the window."""
    for o in range(g.oh):
        tall = splat(np.float32(reach(o, g.sh, g.ph, g.kh, g.h)[3]))
        for i in range(0, g.ow, VL):
            value = load_first(shift(dy, o * g.ow + i), g.ow - i) / (load(shift(widths, i)) * tall)
            store_first(shift(out, o * g.ow + i), value, g.ow - i)


@task
def average_planes_backward(job, item, thread):
    dy, dx, widths, work, table = unpack(job, "aaaan")
    g = planes(table)
    before, pieces = (g.kw - 1) // g.sw, (g.w + g.pw + g.sw - 1) // g.sw
    wide = before + max(g.ow, pieces) + 2 * VL
    taps, line = integers(shift(work, thread * g.room)), shift(work, thread * g.room + 2 * g.kw)
    parted = shift(line, wide + VL)
    shares = shift(parted, g.sw * wide)
    clear(line, wide, ZERO)
    for j in range(g.kw):
        taps[j] = before - j // g.sw
    for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
        share_plane(g, shift(dy, p * g.oh * g.ow), widths, shares)
        for h in range(g.h):
            begin, end = max(0, (h + g.ph - g.kh + g.sh) // g.sh), min(g.oh, (h + g.ph) // g.sh + 1)
            sum_rows(shares, begin, end, g.ow, g.ow, shift(line, before))
            for f in range(g.sw):
                for i in range(0, pieces, VL):
                    store(shift(parted, f * wide + i), sum_taps(line, i, taps, f, g.kw, g.sw))
            merge_row(shift(dx, (p * g.h + h) * g.w), g.w, -g.pw, g.sw, pieces, parted, wide)


def _spans(out, size, kernel, stride, pad):
    """For each window along an axis, the first tap within the image (-1 for none), and the size with padding."""
    start = np.arange(out) * stride - pad
    begin, end = np.maximum(start, 0), np.minimum(start + kernel, size)
    return np.where(begin < end, begin - start, -1), np.maximum(1, np.minimum(start + kernel, size + pad) - start)


@lru_cache(maxsize=1024)
def _table(shape, out, kernel, stride, pad, count):
    """The kernels' table, the first tap within the image of every window (-1 for none), their widths, and how many
    items and floats of scratch there are."""
    n, c, h, w = shape
    (oh, ow), (kh, kw), (sh, sw) = out, kernel, stride
    some = max(1, min(CHUNK // max(1, h * w), -(-n * c // (4 * count))))
    rows, pitch = oh + (kh - 1) // sh, ow + (kw - 1) // sw
    apart = rows * pitch + kw + 2 * VL
    (down, _), (right, wide) = (_spans(out[i], shape[2 + i], kernel[i], stride[i], pad[i]) for i in range(2))
    firsts, widths = np.full((oh + 2 * VL, pitch), -1, np.float32), np.ones(ow + VL, np.float32)
    firsts[:oh, :ow] = np.where((down[:, None] < 0) | (right < 0), -1, down[:, None] * kw + right)
    widths[:ow] = wide
    room = 2 * (oh * pitch + 2 * VL) + (sh + 1) * sw * (apart + w + 4 * VL) + 4 * (kw + w)
    room = -(-room // 16) * 16
    lines, length = (1, oh * ow) if pitch == ow else out
    sizes = Planes(n * c, some, h, w, *out, *kernel, *stride, *pad, rows, pitch, apart, lines, length, room)
    taps = [(i % sh * sw + j % sw) * apart + i // sh * pitch + j // sw for i in range(kh) for j in range(kw)]
    return np.array([*sizes, *taps], np.int64), firsts, widths, -(-n * c // some), room * count


def _run(task_, x, y, arrays, kernel, stride, pad) -> None:
    """Runs a task over the planes of x, the larger side, and y."""
    key = x.shape, y.shape[2:], tuple(kernel), tuple(stride), tuple(pad), threads.count()
    table, firsts, widths, items, floats = _table(*key)
    about = firsts if task_ is max_planes else widths
    threads.run(task_, items, *arrays, about, threads.scratch("work", floats), table)


def max_forward(x, y, winner, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's, for winners in bytes."""
    _run(max_planes, x, y, (x, y, winner), kernel, stride, pad)


def average_forward(x, y, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    _run(average_planes, x, y, (x, y), kernel, stride, pad)


def average_backward(dy, dx, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    _run(average_planes_backward, dx, dy, (dy, dx), kernel, stride, pad)
