"""Convolution backward where strides are large: the results of a place stand side by side in vectors, as the taps that
they meet do in the weights, and the pixels of dy are read one by one."""

from typing import NamedTuple

from . import threads
from .enlarge_plan import Geometry, Panel, Piece
from .gather import clear, pad_channels, rows_met
from .interleave import merge1
from .native import fields, helper, task, unpack
from .plan import Plan
from .simd import VL, ZERO, integers, load, load_first, load_halves, shift, store, store_first
from .tile import MR, NR, gather_tile, thin_gather_tile

geometry, panel_of, piece_of = fields(Geometry), fields(Panel), fields(Piece)
PANEL, PIECE = len(Panel._fields), len(Piece._fields)


class Places(NamedTuple):
    """Of the places of a block, each an array: where they begin in the copy of dy, in dx, and in their image, down and
    right; whether no result leaves the image, and for none of the next one's either, which is in the same row."""

    rows: object
    out: object
    down: object
    right: object
    inside: object
    together: object


@helper
def places_from(g, p, q):
    """From the q-th place on."""
    p, room = shift(p, q), g.size + MR
    return Places(p, shift(p, room), shift(p, 2 * room), shift(p, 3 * room), shift(p, 4 * room), shift(p, 5 * room))


@helper
def place_results(g, first, count, begin, to):
    """Lists `count` places from the first on; the last stands in for MR - 1 past it, which a tile may meet."""
    image, tall = g.groups * g.rows * g.h * g.w, g.qh + g.th - 1
    n, i, j = 0, first // g.qw % g.qh, first % g.qw
    for q in range(count + MR - 1):
        y, x = (g.top + i) * g.sh - g.ph, (g.left + j) * g.sw - g.pw
        to.rows[q], to.out[q] = (n * tall + i - begin) * (g.qw + g.tw - 1) + j, n * image + y * g.w + x
        to.down[q], to.right[q] = y, x
        inside = y >= 0 and y + g.sh <= g.h and x >= 0
        to.inside[q] = inside and x + g.sw <= g.w
        to.together[q] = inside and x + 2 * g.sw <= g.w and j + 1 < g.qw
        if q < count - 1:
            j += 1
        if j == g.qw:
            i, j = i + 1, 0
        if i == g.qh:
            n, i = n + 1, 0


@helper
def pack(g, panel, pieces, w, plane, at, kept):
    """at[k]: where what a panel meets lies, from its place on, in a copy of dy with planes of a size; kept[k, NR]: its
    weights."""
    k = 0
    for m in range(g.channels):
        for t in range(panel.down):
            for u in range(panel.across):
                at[k] = m * plane + (g.th - 1 - t) * (g.qw + g.tw - 1) + g.tw - 1 - u
                source, target = shift(w, m * g.rows * g.kernel + t * g.below + u * g.sw), shift(kept, k * NR)
                for i in range(panel.first, panel.last):
                    piece = piece_of(shift(pieces, i * PIECE))
                    v = load_first(shift(source, piece.source), piece.size)
                    store_first(shift(target, piece.lane), v, piece.size)
                k += 1


@helper
def multiply(g, panel, copy, rows, at, kept, c, n):
    """c[q, NR] = the results of n places."""
    depth = g.channels * panel.down * panel.across
    for q in range(0, n, MR):
        if depth == 0:
            clear(shift(c, q * NR), MR * NR, ZERO)
        elif panel.wide:
            gather_tile(copy, shift(rows, q), at, kept, at, shift(c, q * NR), depth, False)
        else:
            thin_gather_tile(copy, shift(rows, q), at, kept, at, shift(c, q * NR), depth, False)


@helper
def put(g, c, piece, to, n, dx):
    """Writes a piece of n places to dx; what leaves the image is none."""
    c, dx, paired, q = shift(c, piece.lane), shift(dx, piece.target), 2 * piece.size == VL == 2 * g.sw, 0
    while q < n:
        source, out = shift(c, q * NR), shift(dx, to.out[q])
        if paired and to.together[q] and q + 1 < n:
            store(out, load_halves(source, shift(source, NR)))
            q += 1
        elif to.inside[q]:
            store_first(out, load(source), piece.size)
        elif 0 <= to.down[q] + piece.down < g.h:
            x = to.right[q] + piece.right
            merge1(out, -x, min(g.w - x, piece.size), (load(source),))
        q += 1


@task
def enlarge_block(job, item, thread):
    """One block of places of one group, for a part of the panels."""
    dy, w, dx, work, table = unpack(job, "aaaan")
    g = geometry(table)
    panels = shift(table, len(g))
    pieces = shift(panels, g.panels * PANEL)
    part, block, group = item % g.parts * g.part, item // g.parts % g.blocks, item // (g.parts * g.blocks)
    last, first = min(part + g.part, g.panels), block * g.size
    count, plane, n0 = min(g.size, g.places - first), g.oh * g.ow, first // (g.qh * g.qw)
    tall, pitch = g.qh + g.th - 1, g.qw + g.tw - 1
    work = shift(work, thread * g.work)
    places, at = integers(work), integers(shift(work, g.at_at))
    kept, c, copy = shift(work, g.kept_at), shift(work, g.c_at), shift(work, g.copy_at)
    begin, end = rows_met(first, first + count, g.qh, g.qw, 1, tall)
    place_results(g, first, count, begin, places_from(g, places, 0))
    image = g.groups * g.channels * plane
    pad_channels(copy, shift(dy, n0 * image + group * g.channels * plane), g.channels, g.oh, g.ow, image,
                 tall, g.top - g.th + 1, g.left - g.tw + 1, 1, 1, pitch, begin, end)  # fmt: skip
    w, depth = shift(w, group * g.channels * g.rows * g.kernel), g.channels * g.th * g.tw
    dx = shift(dx, (n0 * g.groups + group) * g.rows * g.h * g.w)
    for p in range(part, last):
        panel, here = panel_of(shift(panels, p * PANEL)), (p - part) * depth
        pack(g, panel, pieces, w, (end - begin) * pitch, shift(at, here), shift(kept, here * NR))
    for q in range(0, count, g.run):
        n, to = min(g.run, count - q), places_from(g, places, q)
        for p in range(part, last):
            panel, here = panel_of(shift(panels, p * PANEL)), (p - part) * depth
            multiply(g, panel, copy, to.rows, shift(at, here), shift(kept, here * NR), c, n)
            for i in range(panel.first, panel.last):
                put(g, c, piece_of(shift(pieces, i * PIECE)), to, n, dx)


def backward(dy, w, factor, bias, dx, plan: Plan) -> None:
    """Runs the plan."""
    threads.run(enlarge_block, plan.items, dy, w, dx, threads.scratch("work", plan.scratch), plan.table)
