"""Pooling of float32 planes by vectors: rows are first copied, padded and parted by the stride, then met tap by tap."""

import numpy as np

from .gather import pad_row, part_row, place_taps
from .native import helper, task, unpack
from .pool2d import reach, windows
from .simd import VL, integers, keep_larger, load, shift, splat, store_bytes, store_first

LOWEST, NONE, ONE = np.float32(-np.inf), np.float32(-1), np.float32(1)


@helper
def part_plane(g, x, pitch, line, out, outside):
    """out[h, phase, pitch]: the rows of a plane, padded by `outside`, every sw-th pixel together."""
    for h in range(g.h):
        row = shift(out, h * g.sw * pitch)
        pad_row(line if g.sw > 1 else row, shift(x, h * g.w), g.w, -g.pw, g.sw * pitch, outside)
        if g.sw > 1:
            part_row(row, line, g.sw, g.sw, pitch)


@helper
def max_line(g, plane, pitch, o, offsets, firsts, y, winner):
    """One row of outputs; `firsts` holds the first column of each window that lies within the image, -1 for none."""
    begin, end, start, _ = reach(o, g.sh, g.ph, g.kh, g.h)
    above = np.float32((begin - start) * g.kw)
    for i in range(0, g.ow, VL):
        for lane in range(min(VL, g.ow - i)):
            empty = begin >= end or firsts[i + lane] < 0
            firsts[g.ow + VL + lane] = 0 if empty else LOWEST
            firsts[g.ow + 2 * VL + lane] = NONE if empty else above + firsts[i + lane]
        best, place = load(shift(firsts, g.ow + VL)), load(shift(firsts, g.ow + 2 * VL))
        for h in range(begin, end):
            row, tap = shift(plane, h * g.sw * pitch + i), (h - start) * g.kw
            for j in range(g.kw):
                v = load(shift(row, offsets[j]))
                best, place = keep_larger(v, best, place, splat(np.float32(tap + j)))
        store_first(shift(y, i), best, g.ow - i)
        store_bytes(shift(winner, i), place, g.ow - i)


@task
def max_rows(job, item, thread):
    table, x, y, winner, work, pitch, room = unpack(job, "naabaii")
    g = windows(table)
    work = shift(work, thread * room)
    offsets, line = integers(work), shift(work, 2 * g.kw)
    place_taps(g.kw, 1, g.sw, pitch, offsets)
    firsts = shift(line, g.sw * pitch + 2 * VL)
    plane = shift(firsts, g.ow + 4 * VL)
    for i in range(g.ow):
        column = i * g.sw - g.pw
        firsts[i] = max(0, -column) if column < g.w else -1
    for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
        part_plane(g, shift(x, p * g.h * g.w), pitch, line, plane, LOWEST)
        for o in range(g.oh):
            out = (p * g.oh + o) * g.ow
            max_line(g, plane, pitch, o, offsets, firsts, shift(y, out), shift(winner, out))


@task
def average_rows(job, item, thread):
    table, x, y, work, pitch, room = unpack(job, "naaaii")
    g = windows(table)
    work = shift(work, thread * room)
    offsets, line = integers(work), shift(work, 2 * g.kw)
    place_taps(g.kw, 1, g.sw, pitch, offsets)
    sizes = shift(line, g.sw * pitch + 2 * VL)
    plane, zero = shift(sizes, g.ow + 4 * VL), ONE - ONE
    for i in range(g.ow):
        sizes[i] = reach(i, g.sw, g.pw, g.kw, g.w)[3]
    for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
        part_plane(g, shift(x, p * g.h * g.w), pitch, line, plane, zero)
        for o in range(g.oh):
            begin, end, _, tall = reach(o, g.sh, g.ph, g.kh, g.h)
            for i in range(0, g.ow, VL):
                total = splat(zero)
                for h in range(begin, end):
                    row = shift(plane, h * g.sw * pitch + i)
                    for j in range(g.kw):
                        total = total + load(shift(row, offsets[j]))
                size = load(shift(sizes, i)) * splat(np.float32(tall))
                store_first(shift(y, (p * g.oh + o) * g.ow + i), total / size, g.ow - i)
