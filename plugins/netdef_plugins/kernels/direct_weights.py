"""The update of the convolutions of `direct`: sums of products of planes of gradients with planes of pixels."""

from . import strip_sums, strips
from .direct import KINDS, far, geometry, named, rows_of
from .gather import clear, summed
from .native import inlined, unpack
from .simd import VL, ZERO, load_first, shift, total
from .strip_sums import LINE, ask
from .strips import lanes

# How many outputs of a group an update meets at once, where registers hold the sums of more than one.
BOTH = {} if VL == 8 else {(3, 1): 2, (3, 2): 2}


def rows_together(size, both):
    """Rows of dy that are met at once. Most planes have a multiple of seven rows, but enlarged ones a power of two, and
    beside the sums of 25 taps there are registers for four."""
    return 4 if size > 3 else rows_of(both)


def make_add_plane(size, step, parts, both):
    n, taps = rows_together(size, both), size * size
    inner, edge = (strips.make_collect(size, step, n, whole, parts, both) for whole in (True, False))
    single = strips.make_collect(size, step, 1, False, parts, both)
    take, give = strip_sums.make_take(both * taps), strip_sums.make_give(both * taps)
    tall, long, some = (n - 1) * step + size, (VL - 1) * step + size, VL // parts

    @inlined
    def add_plane(g, x, apart, dy, beside, kept, soon, later, lines):
        """kept[b, tap, VL] += the products of the planes b < both of dy with one of x; lanes that dy lacks are not met.

        At each strip so many lines of dy are asked for, and as many of x as belong to them.
        """
        end, sums, next = g.oh // n * n, take(kept), g.oh * g.ow
        for top in range(0, end, g.bands * n):
            for i in range(0, g.ow, some):
                at, given = i * step - g.pw, lanes(0, min(some, g.ow - i))
                valid, inside = lanes(-at, g.w - at), at >= 0 and at + long <= g.w and i + VL <= g.ow
                for o in range(top, min(end, top + g.bands * n), n):
                    if g.ahead:
                        ask(soon, lines * step * step)
                        ask(later, lines)
                        soon, later = shift(soon, lines * step * step * LINE), shift(later, lines * LINE)
                    first, source, d = o * step - g.ph, shift(x, at), shift(dy, o * g.ow + i)
                    if parts == 1 and inside and first >= 0 and first + tall <= g.h:
                        sums = inner(sums, source, apart, first, g.h, g.w, valid, d, beside, g.ow, given, next)
                    else:
                        sums = edge(sums, source, apart, first, g.h, g.w, valid, d, beside, g.ow, given, next)
        for i in range(0, g.ow, some):
            at, given = i * step - g.pw, lanes(0, min(some, g.ow - i))
            valid, source = lanes(-at, g.w - at), shift(x, at)
            for o in range(end, g.oh):
                d = shift(dy, o * g.ow + i)
                sums = single(sums, source, apart, o * step - g.ph, g.h, g.w, valid, d, beside, g.ow, given, next)
        give(kept, sums)

    return add_plane


def make_update(size, step, parts, both):
    add_plane, taps, half = make_add_plane(size, step, parts, both), size * size, VL // parts
    some, n = both * taps, rows_together(size, both)
    soonest = far(n, taps)

    @inlined
    def sum_planes(g, dy, db, given, m):
        """Adds the pixels of `both` planes, which were met just now, to the gradients of the biases from m on."""
        for b in range(both):
            db[m + b] += summed(shift(dy, given + b * g.oh * g.ow), g.oh * g.ow)

    @inlined
    def place(g, image, i):
        """Where the planes of x and dy begin that are met by the i-th of an image's kernels, or `both` of them."""
        m = i // g.channels * both
        c = (image * g.groups + m // g.outputs) * g.channels + i % g.channels
        return c * g.h * g.w, (image * g.groups * g.outputs + m) * g.oh * g.ow

    @inlined
    def foresee(g, image, i, source, given):
        """Where to ask for memory meanwhile, and for how many lines at a strip: a little further on; or, where a group
        has several kernels, for a part of what it meets of the next image."""
        lines, soon, later = n, source + soonest * n * step * step * LINE, given + soonest * n * LINE
        if g.channels > 1:
            kernels, lines = g.channels * g.outputs // both, max(1, n * both // g.outputs)
            group = (image + 1) * g.groups + i // kernels
            soon = (group * kernels + i % kernels) * g.channels * g.h * g.w // kernels
            later = (group * kernels + i % kernels) * g.outputs * g.oh * g.ow // kernels
        return soon, later, lines

    def update(job, item, thread):
        """Image after image, for they are far apart: sums of all weights of the item are kept meanwhile."""
        dy, x, dw, db, work, table = unpack(job, "aaaaan")
        g = geometry(table)
        first, sums = item * g.some, shift(work, thread * g.work)
        last = min(g.planes, first + g.some)
        clear(sums, (last - first + parts - 1) // parts * some * VL, ZERO)
        for image in range(g.batch):
            for i in range(first, last, parts):
                (source, given), (apart, beside) = place(g, image, i), (0, 0)
                if parts == 2 and i + 1 < last:
                    there, others = place(g, image, i + 1)
                    apart, beside = there - source, others - given
                soon, later, lines = foresee(g, image, i, source, given)
                kept, soon, later = shift(sums, (i - first) // parts * some * VL), shift(x, soon), shift(dy, later)
                add_plane(g, shift(x, source), apart, shift(dy, given), beside, kept, soon, later, lines)
                for k in range(i, min(i + parts, last) if g.biased else i):
                    if k % g.channels == 0:
                        sum_planes(g, dy, db, place(g, image, k)[1], k // g.channels * both)
        for i in range(first, last):
            for k in range(some):
                part = shift(sums, ((i - first) // parts * some + k) * VL + (i - first) % parts * half)
                kernel = (i // g.channels * both + k // taps) * g.channels + i % g.channels
                dw[kernel * taps + k % taps] += total(load_first(part, half))

    return update


UPDATE = {(*kind, 1): named(make_update, *kind, "", 1) for kind in KINDS}
UPDATE |= {(*k, BOTH[k[:2]]): named(make_update, *k, "both", BOTH[k[:2]]) for k in KINDS if k[:2] in BOTH}
# Other processes find a task by its name in this module.
globals().update((t.function.__name__, t) for t in UPDATE.values())
