"""Convolution of every channel by itself (one input channel a group), row by row in vectors, for float32."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import enlarge_plan, threads
from .gather import clear, part_row, place_taps, summed
from .native import fields, helper, task, unpack
from .simd import VL, ZERO, fma, greater, integers, load, load_first, shift, splat, store_first, total

# The least stride at which the results of one place fill lanes better than results side by side.
FAR = 4


class Geometry(NamedTuple):
    """Sizes of planes, kernels and the padded copies of rows."""

    batch: int
    groups: int
    rows: int  # outputs of a group
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
    dh: int
    dw: int
    pitch: int  # of a phase of a row of x, for forward and update
    wide: int  # of a row of dy with zeros between its pixels, for backward
    work: int
    biased: int
    relu: int


geometry = fields(Geometry)


@helper
def part_plane(g, x, out):
    """out[h, phase, pitch]: the plane's rows with zeros around, every sw-th pixel together."""
    for h in range(g.h):
        row = shift(out, h * g.sw * g.pitch)
        part_row(row, shift(x, h * g.w), g.w, -g.pw, g.sw, g.sw, g.pitch, g.pitch, ZERO)
    clear(shift(out, g.h * g.sw * g.pitch), VL, ZERO)


@helper
def rooms(g, work):
    """The taps' offsets and a parted plane, in a thread's scratch."""
    offsets = integers(work)
    place_taps(g.kw, g.dw, g.sw, g.pitch, offsets)
    return offsets, shift(work, 2 * g.kw)


@helper
def spread_plane(g, dy, out):
    """out[o, wide]: the plane's rows with zeros between and around, from pixel pw - (kw - 1) * dw on."""
    left = g.pw - (g.kw - 1) * g.dw
    for o in range(g.oh):
        row = shift(out, o * g.wide)
        if g.sw == 1:
            part_row(row, shift(dy, o * g.ow), g.ow, left, 1, 1, g.wide, g.wide, ZERO)
        else:
            clear(row, g.wide, ZERO)
            for i in range(g.ow):
                if 0 <= i * g.sw - left < g.wide:
                    row[i * g.sw - left] = dy[o * g.ow + i]


@task
def convolve_plane(job, item, thread):
    """All outputs of one plane."""
    x, w, bias, y, work, table = unpack(job, "aaaaan")
    g = geometry(table)
    offsets, plane = rooms(g, shift(work, thread * g.work))
    part_plane(g, shift(x, item * g.h * g.w), plane)
    for m in range(g.rows):
        row = item % g.groups * g.rows + m
        taps, b = shift(w, row * g.kh * g.kw), splat(bias[row] if g.biased else ZERO)
        out = shift(y, (item * g.rows + m) * g.oh * g.ow)
        for o in range(g.oh):
            for i in range(0, g.ow, VL):
                sums = b
                for a in range(g.kh):
                    h = o * g.sh - g.ph + a * g.dh
                    if 0 <= h < g.h:
                        s = shift(plane, h * g.sw * g.pitch + i)
                        for j in range(g.kw):
                            sums = fma(splat(taps[a * g.kw + j]), load(shift(s, offsets[j])), sums)
                if g.relu:
                    sums = greater(splat(ZERO), sums)
                store_first(shift(out, o * g.ow + i), sums, g.ow - i)


@task
def convolve_back(job, item, thread):
    """The gradient of one plane."""
    dy, w, dx, work, table = unpack(job, "aaaan")
    g = geometry(table)
    planes = shift(work, thread * g.work)
    for m in range(g.rows):
        spread_plane(g, shift(dy, (item * g.rows + m) * g.oh * g.ow), shift(planes, m * g.oh * g.wide))
    clear(shift(planes, g.rows * g.oh * g.wide), VL, ZERO)
    kernels = shift(w, item % g.groups * g.rows * g.kh * g.kw)
    for h in range(g.h):
        for i in range(0, g.w, VL):
            sums = splat(ZERO)
            for a in range(g.kh):
                at = h + g.ph - a * g.dh
                if at % g.sh == 0 and 0 <= at < g.oh * g.sh:
                    for m in range(g.rows):
                        s = shift(planes, (m * g.oh + at // g.sh) * g.wide + i)
                        taps = shift(kernels, (m * g.kh + a) * g.kw)
                        for j in range(g.kw):
                            sums = fma(splat(taps[j]), load(shift(s, (g.kw - 1 - j) * g.dw)), sums)
            store_first(shift(dx, (item * g.h + h) * g.w + i), sums, g.w - i)


@task
def sum_plane(job, item, thread):
    """Adds to the weights of one group, and to its biases, image after image."""
    dy, x, dw, db, work, table = unpack(job, "aaaaan")
    g = geometry(table)
    offsets, plane = rooms(g, shift(work, thread * g.work))
    for n in range(g.batch):
        at = n * g.groups + item
        part_plane(g, shift(x, at * g.h * g.w), plane)
        for k in range(g.rows * g.kh * g.kw):
            m, a, j = k // (g.kh * g.kw), k // g.kw % g.kh, k % g.kw
            sums = splat(ZERO)
            for o in range(g.oh):
                h = o * g.sh - g.ph + a * g.dh
                if 0 <= h < g.h:
                    s = shift(plane, h * g.sw * g.pitch + offsets[j])
                    d = shift(dy, ((at * g.rows + m) * g.oh + o) * g.ow)
                    for i in range(0, g.ow, VL):
                        sums = fma(load_first(shift(d, i), g.ow - i), load_first(shift(s, i), g.ow - i), sums)
            dw[item * g.rows * g.kh * g.kw + k] += total(sums)
        for m in range(g.rows if g.biased else 0):
            db[item * g.rows + m] += summed(shift(dy, (at * g.rows + m) * g.oh * g.ow), g.oh * g.ow)


@lru_cache(maxsize=1024)
def _table(batch, groups, rows, image, out, kernel, stride, pad, dilation, biased, relu, count):
    pitch = out[1] + (kernel[1] - 1) * dilation[1] // stride[1]
    wide = image[1] + (kernel[1] - 1) * dilation[1]
    work = max(stride[1] * pitch * image[0], rows * out[0] * wide) + 2 * kernel[1] + 8 * VL
    work = (work + 15) // 16 * 16
    sizes = (batch, groups, rows, *image, *out, *kernel, *stride, *pad, *dilation, pitch, wide, work, biased, relu)
    return np.array(Geometry(*sizes), np.int64), work * count


def _run(task_, items, arrays, x, w, y, stride, pad, dilation, biased=False, relu=False):
    groups = x.shape[1]
    how = tuple(stride), tuple(pad), tuple(dilation), biased, relu, threads.count()
    table, floats = _table(x.shape[0], groups, w.shape[0] // groups, x.shape[2:], y.shape[2:], w.shape[2:], *how)
    threads.run(task_, items, *arrays, threads.scratch("work", floats), table)


def forward(x, w, b, y, stride, pad, dilation, relu) -> None:
    """As conv2d.forward, for x.shape[1] groups."""
    planes = x.shape[0] * x.shape[1]
    _run(convolve_plane, planes, (x, w, b, y), x, w, y, stride, pad, dilation, b is not None, relu)


def backward(dy, w, dx, stride, pad, dilation) -> None:
    """As conv2d.backward, for dx.shape[1] groups."""
    if stride[1] >= FAR and tuple(dilation) == (1, 1):
        from . import enlarge

        sizes = dx.shape[0], dx.shape[1], w.shape[0] // dx.shape[1], 1, dy.shape[2:], dx.shape[2:], w.shape[2:]
        plan = enlarge_plan.plan(*sizes, tuple(stride), tuple(pad), threads.count())
        return enlarge.backward(dy, w, None, None, dx, plan)
    _run(convolve_back, dx.shape[0] * dx.shape[1], (dy, w, dx), dx, w, dy, stride, pad, dilation)


def update(dy, x, dw, db, stride, pad, dilation) -> None:
    """As conv2d.update, for x.shape[1] groups."""
    _run(sum_plane, x.shape[1], (dy, x, dw, db), x, dw, dy, stride, pad, dilation, db is not None)
