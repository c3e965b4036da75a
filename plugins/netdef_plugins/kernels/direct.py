"""Convolution with few channels a group and kernels of 3 x 3 to 5 x 5, on planes read where they lie, for float32.

A task goes through planes in bands of rows, and through bands in strips of columns; where a plane is no wider than half
of a vector, two planes share one (`parts`).
"""

from typing import NamedTuple

from . import strip_sums, strips
from .native import fields, inlined, task, unpack
from .simd import VL, ZERO, shift
from .strip_sums import LINE, ask
from .strips import ROWS, lanes

# Sizes of kernels and strides; 4 x 4 with a stride of 2 enlarges images twice, as the backward pass of a convolution.
SIZES = (3, 1), (3, 2), (4, 2), (5, 1), (5, 2)
# Multiply-adds in the time that memory takes to answer.
WAIT = 600 * 16


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
    along: int  # floats from the weights of an output to the next one's of its group
    across: int  # from those of a channel to the next one's
    begin: int  # the tap that comes first
    turn: int  # 1, or -1 where kernels are turned around
    bands: int  # that are met column by column, as the first cache holds them
    ahead: int  # whether to ask for memory before it is met
    work: int
    biased: int
    relu: int


geometry = fields(Geometry)


@inlined
def following(group, m, outputs):
    """The output after output m of a group, as group and output."""
    return (group, m + 1) if m + 1 < outputs else (group + 1, 0)


def far(n, taps):
    """How many strips of n rows ahead memory is to be asked for."""
    return WAIT // (n * taps * VL) + 1


def rows_of(both):
    """How many rows of results are met at once, of one output or of two."""
    return ROWS if both == 1 else 4


def make_band(size, step, parts, alone, both):
    n = rows_of(both)
    tall = (n - 1) * step + size
    inner, edge = (strips.make_correlate(size, step, n, whole, parts, both) for whole in (True, False))
    put, alike = strip_sums.make_put(n, parts, both), strip_sums.make_alike(n, both)
    rectify = strip_sums.make_rectify(both * n)
    long = (VL - 1) * step + size

    @inlined
    def band(g, x, apart, taps, beside, bias, other, y, beyond, o, i):
        """Some rows of y's plane from row o, column i on, and of the plane `beyond` it."""
        at, first, plane = i * step - g.pw, o * step - g.ph, g.h * g.w
        inside = first >= 0 and first + tall <= g.h and o + n <= g.oh and i + VL <= g.ow
        sums, out, valid, kept = alike(bias, other), shift(y, i), lanes(-at, g.w - at), lanes(0, g.ow - i)
        if parts == 1 and inside and at >= 0 and at + long <= g.w:
            for c in range(1 if alone else g.channels):
                source, w = shift(x, c * plane + at), shift(taps, c * g.across)
                sums = inner(sums, source, apart, first, g.h, g.w, valid, w, beside, g.turn)
        else:
            for c in range(1 if alone else g.channels):
                source, w = shift(x, c * plane + at), shift(taps, c * g.across)
                sums = edge(sums, source, apart, first, g.h, g.w, valid, w, beside, g.turn)
        if g.relu:
            sums = rectify(sums)
        put(out, beyond, o, g.oh, g.ow, kept, sums)

    return band


def make_forward(size, step, parts, alone, both):
    """Of channels by themselves where they are `alone`: then their taps stay in registers from strip to strip; or of
    `both` outputs at once."""
    band, taps, together, n = make_band(size, step, parts, alone, both), size * size, max(parts, both), rows_of(both)
    made, taken, soonest = n, n * step * step, far(n, taps)

    @inlined
    def place(g, group, m):
        """Where the planes of x begin that output m of a group meets, and its weights, and its bias."""
        known = group % g.groups * g.outputs
        return group * g.channels * g.h * g.w, known * g.channels * taps + m * g.along + g.begin, known + m

    def forward(job, item, thread):
        x, w, b, y, table = unpack(job, "aaaan")
        g = geometry(table)
        start, plane = item * g.some, g.oh * g.ow
        last, group, m = min(g.planes, start + g.some), start // g.outputs, start % g.outputs
        for p in range(start, last, together):
            (source, kernel, k), (apart, beside, beyond) = place(g, group, m), (0, 0, 0)
            bias = b[k] if g.biased else ZERO
            other, (group, m) = bias, following(group, m, g.outputs)
            if together == 2 and p + 1 < last:
                there, its, k = place(g, group, m)
                apart, beside, beyond, other = there - source, its - kernel, plane, b[k] if g.biased else ZERO
                group, m = following(group, m, g.outputs)
            seen, weights, out = shift(x, source), shift(w, kernel), shift(y, p * plane)
            soon, later = shift(seen, soonest * taken * LINE), shift(out, soonest * made * LINE)
            if g.channels > 1:
                next = p + g.outputs
                soon, later = shift(x, next * g.channels // g.outputs * g.h * g.w), shift(y, next * plane)
            for top in range(0, g.oh, g.bands * n):
                for i in range(0, g.ow, VL // parts):
                    for o in range(top, min(g.oh, top + g.bands * n), n):
                        if g.ahead:
                            ask(soon, taken)
                            ask(later, made)
                            soon, later = shift(soon, taken * LINE), shift(later, made * LINE)
                        band(g, seen, apart, weights, beside, bias, other, out, beyond, o, i)

    return forward


def make_backward(size, step, parts, alone, _):
    n, back = ROWS // 2, (size - 1) // step
    inner, edge = (strips.make_spread(size, step, n, whole, parts) for whole in (True, False))
    alike, merge = strip_sums.make_alike(n * step * step), strip_sums.make_merge(step, n, parts)
    taken, made, soonest = n, n * step * step, far(n, size * size)

    @inlined
    def band(g, dy, apart, taps, beside, dx, beyond, q, t):
        """The n * step rows of dx's plane that lie from row q * step, column t * step of the padded plane on."""
        at, first, left, plane, some = t - back, q - back, t * step - g.pw, g.oh * g.ow, g.channels * size * size
        sums, inside = alike(ZERO, ZERO), at >= 0 and at + back + VL <= g.ow and first >= 0 and q + n <= g.oh
        valid = lanes(-at, g.ow - at)
        for m in range(1 if alone else g.outputs):
            source, w = shift(dy, m * plane + at), shift(taps, m * some)
            if parts == 1 and inside:
                sums = inner(sums, source, apart, first, g.oh, g.ow, valid, w, beside)
            else:
                sums = edge(sums, source, apart, first, g.oh, g.ow, valid, w, beside)
        merge(shift(dx, left), beyond, q * step - g.ph, g.h, g.w, lanes(-left, g.w - left), sums)

    @inlined
    def place(g, p):
        """Where the planes of dy begin that plane p of dx meets, and its weights."""
        group, c = p // g.channels, p % g.channels
        return group * g.outputs * g.oh * g.ow, (group % g.groups * g.outputs * g.channels + c) * size * size

    def backward(job, item, thread):
        dy, w, dx, table = unpack(job, "aaan")
        g = geometry(table)
        last, begin, end = min(g.planes, item * g.some + g.some), g.ph // step, (g.h + g.ph + step - 1) // step
        for p in range(item * g.some, last, parts):
            (source, kernel), (apart, beside, beyond) = place(g, p), (0, 0, 0)
            if parts == 2 and p + 1 < last:
                there, its = place(g, p + 1)
                apart, beside, beyond = there - source, its - kernel, g.h * g.w
            given, weights, out = shift(dy, source), shift(w, kernel), shift(dx, p * g.h * g.w)
            soon, later = shift(given, soonest * taken * LINE), shift(out, soonest * made * LINE)
            if g.outputs > 1:
                next = p + g.channels
                soon, later = shift(dy, next * g.outputs // g.channels * g.oh * g.ow), shift(dx, next * g.h * g.w)
            for top in range(begin, end, g.bands * n):
                for t in range(g.pw // step, (g.w + g.pw + step - 1) // step, VL // parts):
                    for q in range(top, min(end, top + g.bands * n), n):
                        if g.ahead:
                            ask(soon, taken)
                            ask(later, made)
                            soon, later = shift(soon, taken * LINE), shift(later, made * LINE)
                        band(g, given, apart, weights, beside, out, beyond, q, t)

    return backward


def named(make, size, step, parts, word, *more):
    """A task under a name of its own, by which other processes find it."""
    function = make(size, step, parts, *more)
    name = f"{function.__name__}{size}{step}{'pairs' if parts > 1 else ''}{word}"
    function.__name__ = function.__qualname__ = name
    return task(function)


KINDS = [(size, step, parts) for size, step in SIZES for parts in (1, 2)]
STEPPED = [kind for kind in KINDS if kind[1] > 1]
# What a task is named by, whether its channels are alone, and how many outputs it meets at once.
WHO = ("", False, 1), ("alone", True, 1)
FORWARD = {(*kind, *who): named(make_forward, *kind, word, *who) for kind in KINDS for word, *who in WHO}
BACKWARD = {(*kind, *who): named(make_backward, *kind, word, *who) for kind in STEPPED for word, *who in WHO}
"""Without a stride, a backward pass is a forward pass with kernels turned around."""
if VL != 8:
    FORWARD[3, 2, 1, False, 2] = named(make_forward, 3, 2, 1, "both", False, 2)
# Other processes find a task by its name in this module.
globals().update((t.function.__name__, t) for tasks in (FORWARD, BACKWARD) for t in tasks.values())
