"""Convolution with few channels a group and kernels of 3 x 3 to 5 x 5, on planes read where they lie, for float32."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import strips, threads
from .gather import clear
from .native import fields, inlined, task, unpack
from .simd import VL, ZERO, load, shift, splat, total
from .strips import ROWS, lanes

# Floats of the planes of an item, about: long ways through memory for whoever fetches ahead. An item of weights goes
# through all images for them, and has sums to keep.
LONG, SHORT = 128 * 1024, 8 * 1024
# The most channels and outputs of a group that are met plane by plane.
FEW = 8
LEAST = np.float32(-np.inf)
# Sizes of kernels and strides; 4 x 4 with a stride of 2 enlarges images twice, as the backward pass of a convolution.
KINDS = (3, 1), (3, 2), (4, 2), (5, 1), (5, 2)


class Geometry(NamedTuple):
    """Sizes of planes, groups and items."""

    planes: int  # that all items make; of weights, for update
    some: int  # of them in an item
    batch: int
    groups: int
    channels: int  # of x, in a group
    outputs: int  # in a group
    h: int
    w: int
    oh: int
    ow: int
    ph: int
    pw: int
    work: int
    biased: int
    relu: int


geometry = fields(Geometry)


def make_forward_rows(size, step, n):
    inner, edge = (strips.make_correlate(size, step, n, whole) for whole in (True, False))
    alike, put = strips.make_alike(n), strips.make_put(n)
    reach = (size - 1) // step * step + step * VL

    @inlined
    def rows(g, x, taps, bias, y, o):
        """n rows of y's plane from row o on."""
        first, least, plane = o * step - g.ph, splat(ZERO if g.relu else LEAST), g.h * g.w
        for i in range(0, g.ow, VL):
            at, sums = i * step - g.pw, alike(bias)
            whole, valid = at >= 0 and at + reach <= g.w, lanes(-at, g.w - at)
            for c in range(g.channels):
                source, w = shift(x, c * plane + at), shift(taps, c * size * size)
                if whole:
                    sums = inner(sums, source, first, g.h, g.w, valid, w)
                else:
                    sums = edge(sums, source, first, g.h, g.w, valid, w)
            put(shift(y, o * g.ow + i), g.ow, sums, lanes(0, g.ow - i), least)

    return rows


def make_forward(size, step):
    many, one = (make_forward_rows(size, step, n) for n in (ROWS, 1))

    def forward(job, item, thread):
        x, w, b, y, table = unpack(job, "aaaan")
        g = geometry(table)
        for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
            m = p % (g.groups * g.outputs)
            source, taps = shift(x, p // g.outputs * g.channels * g.h * g.w), shift(w, m * g.channels * size * size)
            bias, out = splat(b[m] if g.biased else ZERO), shift(y, p * g.oh * g.ow)
            if g.oh < ROWS:
                for o in range(g.oh):
                    one(g, source, taps, bias, out, o)
            else:
                for o in range(0, g.oh, ROWS):
                    many(g, source, taps, bias, out, min(o, g.oh - ROWS))

    return forward


def make_backward_rows(size, step, n):
    inner, edge = (strips.make_spread(size, step, n, whole) for whole in (True, False))
    alike, merge = strips.make_alike(n * step * step), strips.make_merge(step, n)
    back = (size - 1) // step

    @inlined
    def rows(g, dy, taps, dx, q):
        """The n * step rows of dx's plane that lie from row q * step of the padded plane on."""
        plane, some = g.oh * g.ow, g.channels * size * size
        for t in range(g.pw // step, (g.w + g.pw + step - 1) // step, VL):
            at, sums, left = t - back, alike(splat(ZERO)), t * step - g.pw
            whole, valid = at >= 0 and at + back + VL <= g.ow, lanes(-at, g.ow - at)
            for m in range(g.outputs):
                source, w = shift(dy, m * plane + at), shift(taps, m * some)
                if whole:
                    sums = inner(sums, source, q - back, g.oh, g.ow, valid, w)
                else:
                    sums = edge(sums, source, q - back, g.oh, g.ow, valid, w)
            merge(shift(dx, left), q * step - g.ph, g.h, g.w, lanes(-left, g.w - left), sums)

    return rows


def make_backward(size, step):
    count = ROWS if step == 1 else ROWS // 2
    many, one = (make_backward_rows(size, step, n) for n in (count, 1))

    def backward(job, item, thread):
        dy, w, dx, table = unpack(job, "aaan")
        g = geometry(table)
        begin, end = g.ph // step, (g.h + g.ph + step - 1) // step
        for p in range(item * g.some, min(g.planes, item * g.some + g.some)):
            group, c = p // g.channels, p % g.channels
            source, out = shift(dy, group * g.outputs * g.oh * g.ow), shift(dx, p * g.h * g.w)
            taps = shift(w, (group % g.groups * g.outputs * g.channels + c) * size * size)
            if end - begin < count:
                for q in range(begin, end):
                    one(g, source, taps, out, q)
            else:
                for q in range(begin, end, count):
                    many(g, source, taps, out, min(q, end - count))

    return backward


def make_add_plane(size, step):
    many, one = (ROWS if size == 3 else 4), 1
    (inner, edge), (inner1, edge1) = (
        [strips.make_collect(size, step, n, whole) for whole in (True, False)] for n in (many, one)
    )
    take, give = strips.make_take(size * size), strips.make_give(size * size)
    beyond = (size - 1) // step * step

    @inlined
    def add_plane(g, x, dy, kept):
        """kept[tap, VL] += the products of a plane of dy with one of x; lanes that dy lacks are not met."""
        last, sums = g.oh // many * many, take(kept)
        for i in range(0, g.ow, VL):
            at, n = i * step - g.pw, min(VL, g.ow - i)
            whole = at >= 0 and at + beyond + step * VL <= g.w and n == VL
            valid, given, seen = lanes(-at, g.w - at), lanes(0, n), lanes(0, step * n)
            for o in range(0, last, many):
                source, d, first = shift(x, at), shift(dy, o * g.ow + i), o * step - g.ph
                if whole:
                    sums = inner(sums, source, first, g.h, g.w, valid, d, g.ow, given, seen)
                else:
                    sums = edge(sums, source, first, g.h, g.w, valid, d, g.ow, given, seen)
            for o in range(last, g.oh):
                source, d, first = shift(x, at), shift(dy, o * g.ow + i), o * step - g.ph
                if whole:
                    sums = inner1(sums, source, first, g.h, g.w, valid, d, g.ow, given, seen)
                else:
                    sums = edge1(sums, source, first, g.h, g.w, valid, d, g.ow, given, seen)
        give(kept, sums)

    return add_plane


def make_update(size, step):
    add_plane, taps = make_add_plane(size, step), size * size

    def update(job, item, thread):
        """Image after image, for they are far apart: sums of all weights of the item are kept meanwhile."""
        dy, x, dw, work, table = unpack(job, "aaaan")
        g = geometry(table)
        first, sums = item * g.some, shift(work, thread * g.work)
        last, outputs = min(g.planes, first + g.some), g.groups * g.outputs
        clear(sums, (last - first) * taps * VL, ZERO)
        for n in range(g.batch):
            for i in range(first, last):
                m = i // g.channels
                source = shift(x, ((n * g.groups + m // g.outputs) * g.channels + i % g.channels) * g.h * g.w)
                add_plane(g, source, shift(dy, (n * outputs + m) * g.oh * g.ow), shift(sums, (i - first) * taps * VL))
        for k in range((last - first) * taps):
            dw[first * taps + k] += total(load(shift(sums, k * VL)))

    return update


def named(make, size, step):
    """A task under a name of its own, by which other processes find it."""
    function = make(size, step)
    function.__name__ = function.__qualname__ = f"{function.__name__}{size}{step}"
    return task(function)


forward31, forward32, forward42, forward51, forward52 = (named(make_forward, *kind) for kind in KINDS)
backward31, backward32, backward42, backward51, backward52 = (named(make_backward, *kind) for kind in KINDS)
update31, update32, update42, update51, update52 = (named(make_update, *kind) for kind in KINDS)
FORWARD = dict(zip(KINDS, (forward31, forward32, forward42, forward51, forward52), strict=True))
BACKWARD = dict(zip(KINDS, (backward31, backward32, backward42, backward51, backward52), strict=True))
UPDATE = dict(zip(KINDS, (update31, update32, update42, update51, update52), strict=True))


def suits(weights, stride, dilation, group: int) -> bool:
    """Whether it is done here: groups are small, and there are kernels for weights [M, C / group, K, K]."""
    square = weights[2] == weights[3] and stride[0] == stride[1] and dilation == (1, 1)
    return square and (weights[2], stride[0]) in KINDS and weights[1] <= FEW and weights[0] <= FEW * group


@lru_cache(maxsize=1024)
def _table(planes, chunk, batch, weights, group, image, out, pad, biased, relu, count):
    """The geometry, how many items there are, and floats of scratch."""
    some = max(1, min(chunk // max(image[0] * image[1], out[0] * out[1]), planes // (4 * count)))
    work = (some * weights[2] * weights[3] + 1) * VL
    sizes = planes, some, batch, group, weights[1], weights[0] // group, *image, *out, *pad, work, biased, relu
    return np.array(Geometry(*sizes), np.int64), -(-planes // some), work * count


def _plan(planes: int, chunk: int, x, w, y, pad, biased=False, relu=False):
    group, places = x.shape[1] // w.shape[1], (x.shape[2:], y.shape[2:], tuple(pad))
    return _table(planes, chunk, x.shape[0], w.shape, group, *places, biased, relu, threads.count())


def forward(x, w, b, y, stride, pad, dilation, relu) -> None:
    """As conv2d.forward, where it suits."""
    table, items, _ = _plan(y.shape[0] * y.shape[1], LONG, x, w, y, pad, b is not None, relu)
    threads.run(FORWARD[w.shape[2], stride[0]], items, x, w, b, y, table)


def backward(dy, w, dx, stride, pad, dilation) -> None:
    """As conv2d.backward, where it suits."""
    table, items, _ = _plan(dx.shape[0] * dx.shape[1], LONG, dx, w, dy, pad)
    threads.run(BACKWARD[w.shape[2], stride[0]], items, dy, w, dx, table)


def update(dy, x, dw, stride, pad, dilation) -> None:
    """As conv2d.update, where it suits, without db."""
    table, items, floats = _plan(dw.shape[0] * dw.shape[1], SHORT, x, dw, dy, pad)
    threads.run(UPDATE[dw.shape[2], stride[0]], items, dy, x, dw, threads.scratch("work", floats), table)
