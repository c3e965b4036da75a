"""Pooling of float32 planes, VL of them side by side, a lane each: windows of any size and place fill the vectors."""

import numpy as np

from . import threads
from .native import helper, task, unpack
from .pool2d import Pair, reach
from .pool_bands import band_of, collect, collect_bytes, holding, plan, planes, seen_by, spread
from .simd import ONE, VL, ZERO, keep_larger, load, shift, splat, store


@helper
def largest_across(x, n, place):
    """The largest of n vectors side by side, and its place, that of the first being given; NaN wins, then the first."""
    best, tap = load(x), place
    for t in range(1, n):
        tap = tap + splat(ONE)
        best, place = keep_larger(load(shift(x, t * VL)), best, place, tap)
    return best, place


@helper
def largest_down(best_of, place_of, pitch, n, at, across):
    """The largest of n rows, from row `at` of a window of rows of `across` on, and its place in the window."""
    start = splat(np.float32(at * across))
    best, place = load(best_of), load(place_of) + start
    for t in range(1, n):
        start = start + splat(np.float32(across))
        best, place = keep_larger(
            load(shift(best_of, t * pitch)), best, place, load(shift(place_of, t * pitch)) + start
        )
    return best, place


@helper
def reduce_row(g, row, best_of, place_of):
    """The largest that each window holds of one row of pixels, and where in the window's row it is."""
    for i in range(g.ow):
        left, right, corner, _ = reach(i, g.sw, g.pw, g.kw, g.w)
        if left < right:
            at, first = shift(row, left * VL), splat(np.float32(left - corner))
            if right - left == 3:  # the usual width is named, for the compiler to unroll it
                best, place = largest_across(at, 3, first)
            else:
                best, place = largest_across(at, right - left, first)
            store(shift(best_of, i * VL), best)
            store(shift(place_of, i * VL), place)


@helper
def reduce_rows(g, o, top, best_of, place_of, largest, where):
    """A row of windows from the rows that reduce_row made from row `top` on; 0 and -1 where a window is empty."""
    begin, end, start, _ = reach(o, g.sh, g.ph, g.kh, g.h)
    for i in range(g.ow):
        left, right, _, _ = reach(i, g.sw, g.pw, g.kw, g.w)
        best, place = splat(ZERO), splat(np.float32(-1))
        if left < right and begin < end:
            at, pitch = ((begin - top) * g.ow + i) * VL, g.ow * VL
            b, p = shift(best_of, at), shift(place_of, at)
            if end - begin == 3:
                best, place = largest_down(b, p, pitch, 3, begin - start, g.kw)
            else:
                best, place = largest_down(b, p, pitch, end - begin, begin - start, g.kw)
        store(shift(largest, i * VL), best)
        store(shift(where, i * VL), place)


@task
def max_planes(job, item, thread):
    x, y, winner, work, table = unpack(job, "aaban")
    g = planes(table)
    p, first, last = band_of(g, item, g.oh)
    top, bottom = seen_by(g, first, last)
    pitch, plane, out = g.ow * VL, g.oh * g.ow, p * g.oh * g.ow
    pixels = shift(work, thread * g.work)
    largest, where = shift(pixels, g.made_at), shift(pixels, g.made_at + g.rows * pitch)
    best_of = shift(pixels, g.notes_at)
    place_of = shift(best_of, (bottom - top) * pitch)
    spread(shift(x, p * g.h * g.w), g.h * g.w, g.planes - p, top * g.w, (bottom - top) * g.w, pixels)
    for r in range(bottom - top):
        reduce_row(g, shift(pixels, r * g.w * VL), shift(best_of, r * pitch), shift(place_of, r * pitch))
    for o in range(first, last):
        at = (o - first) * pitch
        reduce_rows(g, o, top, best_of, place_of, shift(largest, at), shift(where, at))
    collect(largest, (last - first) * g.ow, shift(y, out), plane, g.planes - p, first * g.ow)
    collect_bytes(where, (last - first) * g.ow, shift(winner, out), plane, g.planes - p, first * g.ow)


@helper
def sum_down(x, begin, end, width, out):
    """out[width, VL] = the sum of the rows from begin to before end."""
    for i in range(width):
        total = splat(ZERO)
        for r in range(begin, end):
            total = total + load(shift(x, (r * width + i) * VL))
        store(shift(out, i * VL), total)


@helper
def sum_across(line, begin, end):
    total = splat(ZERO)
    for i in range(begin, end):
        total = total + load(shift(line, i * VL))
    return total


@task
def average_planes(job, item, thread):
    x, y, work, table = unpack(job, "aaan")
    g = planes(table)
    p, first, last = band_of(g, item, g.oh)
    top, bottom = seen_by(g, first, last)
    pixels = shift(work, thread * g.work)
    means, line = shift(pixels, g.made_at), shift(pixels, g.notes_at)
    spread(shift(x, p * g.h * g.w), g.h * g.w, g.planes - p, top * g.w, (bottom - top) * g.w, pixels)
    for o in range(first, last):
        begin, end, _, tall = reach(o, g.sh, g.ph, g.kh, g.h)
        sum_down(pixels, begin - top, end - top, g.w, line)
        for i in range(g.ow):
            left, right, _, wide = reach(i, g.sw, g.pw, g.kw, g.w)
            mean = sum_across(line, left, right) / splat(np.float32(tall * wide))
            store(shift(means, ((o - first) * g.ow + i) * VL), mean)
    collect(means, (last - first) * g.ow, shift(y, p * g.oh * g.ow), g.oh * g.ow, g.planes - p, first * g.ow)


@helper
def divide(g, first, last, shares):
    """shares[o, i] / the size of the window, for rows of windows."""
    for o in range(first, last):
        tall = reach(o, g.sh, g.ph, g.kh, g.h)[3]
        for i in range(g.ow):
            at = shift(shares, ((o - first) * g.ow + i) * VL)
            store(at, load(at) / splat(np.float32(tall * reach(i, g.sw, g.pw, g.kw, g.w)[3])))


@task
def average_planes_backward(job, item, thread):
    dy, dx, work, table = unpack(job, "aaan")
    g = planes(table)
    p, first, last = band_of(g, item, g.h)
    top, bottom = holding(first, g.sh, g.ph, g.kh, g.oh)[0], holding(last - 1, g.sh, g.ph, g.kh, g.oh)[1]
    shares, across = shift(work, thread * g.work), shift(table, len(g))
    sums, line = shift(shares, g.made_at), shift(shares, g.notes_at)
    spread(shift(dy, p * g.oh * g.ow), g.oh * g.ow, g.planes - p, top * g.ow, (bottom - top) * g.ow, shares)
    divide(g, top, bottom, shares)
    for h in range(first, last):
        begin, end = holding(h, g.sh, g.ph, g.kh, g.oh)
        sum_down(shares, begin - top, end - top, g.ow, line)
        for j in range(g.w):
            total = sum_across(line, across[2 * j], across[2 * j + 1])
            store(shift(sums, ((h - first) * g.w + j) * VL), total)
    collect(sums, (last - first) * g.w, shift(dx, p * g.h * g.w), g.h * g.w, g.planes - p, first * g.w)


def _run(task_, x, y, arrays, kernel, stride, pad) -> None:
    """Runs a task over the planes of x, the larger side, and y."""
    key = x.shape, y.shape[2:], tuple(kernel), tuple(stride), tuple(pad), task_ is average_planes_backward
    table, items, floats = plan(*key)
    threads.run(task_, items, *arrays, threads.scratch("work", floats * threads.count()), table)


def max_forward(x, y, winner, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's, for winners in bytes."""
    _run(max_planes, x, y, (x, y, winner), kernel, stride, pad)


def average_forward(x, y, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    _run(average_planes, x, y, (x, y), kernel, stride, pad)


def average_backward(dy, dx, kernel: Pair, stride: Pair, pad: Pair) -> None:
    """As pool2d's."""
    _run(average_planes_backward, dx, dy, (dy, dx), kernel, stride, pad)
