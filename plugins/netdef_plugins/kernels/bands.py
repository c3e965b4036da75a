"""Convolution of few channels: bands of an image's results, for which each column of taps has a copy of the pixels it
meets, so that every tap of every channel sees a whole band as one row of memory."""

from typing import NamedTuple

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .interleave import split1, split2, split4
from .native import fields, helper, task, unpack
from .pointwise import put_row, row_places, truth
from .simd import I64, VL, ZERO, first_lanes, masked_load, shift, splat, store_first
from .tile import MR, NV, Loop, multiply_add, zeros


class Geometry(NamedTuple):
    """What an item needs to know. In memory follow the columns of taps, how far down each phase begins, in a pass where
    the taps of each channel lie in the weights, and where their lines begin in the copies, the last of which, where an
    update is biased, holds ones."""

    batch: int
    groups: int
    channels: int  # of the input, in a group
    rows: int  # channels of the output, in a group
    across: int  # in the weights, from a row to the next
    images: int  # copied at a time
    columns: int
    phases: int  # in which copied rows are sorted: by the stride down, or by the taps where these are far apart
    deep: int  # rows copied of each
    step: int  # floats of an image's copies
    height: int
    width: int
    taps: int
    qh: int  # results of an image
    qw: int
    sh: int
    sw: int
    tall: int  # rows of results in a band
    bands: int  # of an image
    shares: int  # of the bands, each summed apart
    work: int
    scaled: int
    biased: int
    relu: int


geometry = fields(Geometry)


@helper
def copy_column(src, below, width, at, step, dst, apart, rows, n):
    """The first n <= VL of every step-th pixel from column `at` on of rows `below` apart, zeros beside the image."""
    low, high = -at, width - at
    for i in range(rows):
        s, d = shift(src, i * below + at), shift(dst, i * apart)
        if step == 1:
            split1(s, low, high, ZERO, d, 0, 1, n)
        elif step == 2:
            split2(s, low, high, ZERO, d, 0, 1, n)
        elif step == 4:
            split4(s, low, high, ZERO, d, 0, 1, n)
        else:
            for j in range(min(n, VL)):
                d[j] = s[j * step] if low <= j * step < high else ZERO


@helper
def blank(dst, first, last, size):
    """Clears dst[first] .. dst[last - 1], and some behind, but none from `size` on."""
    for i in range(first, last, VL):
        store_first(shift(dst, i), splat(ZERO), size - i)


@helper
def lay(g, x, first, columns, downs, copies):
    """copies[channel, column of taps, phase, row, qw] of one group of an image: the pixels that the results from row
    `first` on meet, zeros beside the image."""
    apart = g.phases * g.deep * g.qw
    for phase in range(g.phases):
        h = first * g.sh + downs[phase]
        begin, end = max(0, (g.sh - 1 - h) // g.sh), min(g.deep, (g.height - h + g.sh - 1) // g.sh)
        for c in range(g.channels):
            source = shift(x, (c * g.height + h + begin * g.sh) * g.width)
            for j in range(g.columns):
                out = shift(copies, (c * g.columns + j) * apart + phase * g.deep * g.qw)
                blank(out, 0, min(begin, g.deep) * g.qw, g.deep * g.qw)
                blank(out, max(end, 0) * g.qw, g.deep * g.qw, g.deep * g.qw)
                for v in range(0, g.qw, VL):
                    at, d = columns[j] + v * g.sw, shift(out, begin * g.qw + v)
                    copy_column(source, g.sh * g.width, g.width, at, g.sw, d, g.qw, end - begin, g.qw - v)


def _make_tile(mr, nv, whole):
    """C[rows, n] = W B and what becomes of it: step i meets the weights from w + at[i] on, rows `across` floats apart,
    and the pixels from b + lines[i] on; rows of C are `plane` floats apart. rows is at most mr and n at most nv * VL,
    and just that if whole."""

    @intrinsic
    def tile(typingctx, w, across, at, b, lines, k, c, plane, factor, scaled, bias, biased, relu, rows, n):
        def codegen(context, bld, signature, args):
            w, across, at, b, lines, k, c, plane, factor, scaled, bias, biased, relu, rows, n = args
            counts = [bld.sub(ir.Constant(I64, nv * VL) if whole else n, ir.Constant(I64, v * VL)) for v in range(nv)]
            masks, known = [first_lanes(bld, count) for count in counts], ir.Constant(I64, mr) if whole else rows
            places = row_places(bld, w, across, known, mr)
            loop = Loop(bld, k, zeros(mr * nv))
            tap, line = (bld.load(bld.gep(p, [loop.index])) for p in (at, lines))
            line = bld.gep(b, [line])
            pixels = [masked_load(bld, bld.gep(line, [ir.Constant(I64, v * VL)]), m) for v, m in enumerate(masks)]
            sums = loop.end(multiply_add(bld, [bld.gep(p, [tap]) for p in places], pixels, loop.carried))
            ends = factor, truth(bld, scaled), bias, truth(bld, biased), truth(bld, relu)
            for i in range(mr):
                put_row(bld, sums[i * nv : (i + 1) * nv], ends, ir.Constant(I64, i), c, plane, known, masks)
            return context.get_dummy_value()

        p, i, table = types.CPointer(types.float32), types.intp, types.CPointer(types.int64)
        return types.void(p, i, table, p, table, i, p, i, p, i, p, i, i, i, i), codegen

    return tile


# Where few rows are left, half as many meet twice the pixels.
HALF, WIDE = MR // 2, 2 * NV
whole, edge, low = _make_tile(MR, NV, True), _make_tile(MR, NV, False), _make_tile(HALF, WIDE, False)


@helper
def multiply(g, w, at, copies, lines, size, rows, y, factor, bias):
    """`size` results of up to MR rows, written to y."""
    depth, plane = g.channels * g.taps, g.qh * g.qw
    for q in range(0, size, WIDE * VL if rows <= HALF else NV * VL):
        p, out, n = shift(copies, q), shift(y, q), size - q
        if rows <= HALF:
            n = min(n, WIDE * VL)
            low(w, g.across, at, p, lines, depth, out, plane, factor, g.scaled, bias, g.biased, g.relu, rows, n)
        elif rows == MR and n >= NV * VL:
            whole(w, g.across, at, p, lines, depth, out, plane, factor, g.scaled, bias, g.biased, g.relu, rows, n)
        else:
            n = min(n, NV * VL)
            edge(w, g.across, at, p, lines, depth, out, plane, factor, g.scaled, bias, g.biased, g.relu, rows, n)


@task
def correlate_band(job, item, thread):
    """One band of one group of one image."""
    x, w, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    columns, depth, plane = shift(table, len(g)), g.channels * g.taps, g.qh * g.qw
    downs, copies = shift(columns, g.columns), shift(work, thread * g.work)
    at = shift(downs, g.phases)
    image, first = item // g.bands, item % g.bands * g.tall
    row0 = image % g.groups * g.rows
    lay(g, shift(x, image * g.channels * g.height * g.width), first, columns, downs, copies)
    y, size = shift(y, image * g.rows * plane + first * g.qw), min(g.tall, g.qh - first) * g.qw
    for m in range(0, g.rows, MR):
        taps, f, b = shift(w, row0 * depth + m * g.across), shift(factor, row0 + m), shift(bias, row0 + m)
        multiply(g, taps, at, copies, shift(at, depth), size, min(MR, g.rows - m), shift(y, m * plane), f, b)
