"""Convolution backward into few channels, or from few pixels: the products of rows of dy with all taps of some channels
of dx, as one matrix, are added up in the places of dx that the taps lead to."""

from . import threads
from .gather import clear, merge_row
from .native import fields, helper, task, unpack
from .plan import Plan
from .scatter_plan import DEPTH, MR, Geometry
from .simd import VL, ZERO, load, load_first, shift, store
from .tile import NR, NV, make_open_tile

geometry, tile = fields(Geometry), make_open_tile(MR, NV)


@helper
def pack(w, pitch, channels, rows, out):
    """out[tile, channels, MR] = the columns of w[channels, pitch] up to `rows`, zeros past them."""
    for r in range(0, rows, MR):
        for m in range(channels):
            source, target = shift(w, m * pitch + r), shift(out, r * channels + m * MR)
            for i in range(0, MR, VL):
                store(shift(target, i), load_first(shift(source, i), min(MR, rows - r) - i))


@helper
def multiply(dy, plane, channels, rows, n, weights, products, length, more):
    """products[rows, n] (+)= the packed weights times dy[channels, n]; the last tile meets some pixels again."""
    for q in range(0, n, NR):
        at = min(q, n - NR)
        for r in range(0, rows, MR):
            tile(shift(weights, r * channels), shift(dy, at), plane, shift(products, r * length + at), channels, length,
                 more)  # fmt: skip


@helper
def add(sums, products, n):
    """sums[n] += products."""
    whole = n - n % VL
    for j in range(0, whole, VL):
        store(shift(sums, j), load(shift(sums, j)) + load(shift(products, j)))
    if whole < n:
        store(shift(sums, whole), load(shift(sums, whole)) + load_first(shift(products, whole), n - whole))


@helper
def spread(g, products, sums, o, y, count, rows):
    """Adds the products of the row o of dy, where they are for the rows y .. y + count - 1 of dx."""
    long = g.sw * g.pitch
    for i in range(g.kh):
        row = o * g.sh - g.ph + i * g.dh - y
        if 0 <= row < count:
            for c in range(rows):
                target, source = (
                    shift(sums, (c * count + row) * long),
                    shift(products, (c * g.kh + i) * g.kw * g.length),
                )
                for j in range(g.kw):
                    at = j * g.dw
                    add(shift(target, at % g.sw * g.pitch + at // g.sw), shift(source, j * g.length), g.ow)


@task
def scatter_band(job, item, thread):
    """A band of rows of some channels of dx."""
    dy, w, dx, work, table = unpack(job, "aaaan")
    g = geometry(table)
    band, part, image = item % g.bands, item // g.bands % g.parts, item // (g.bands * g.parts)
    y, first = band * g.band, part * g.part
    count, rows, taps, plane = min(g.band, g.h - y), min(g.part, g.rows - first), g.kh * g.kw, g.oh * g.ow
    weights = shift(work, thread * g.work)
    products, sums = shift(weights, g.products_at), shift(weights, g.sums_at)
    clear(sums, rows * count * g.sw * g.pitch, ZERO)
    dy = shift(dy, image * g.channels * plane)
    w = shift(w, (image % g.groups * g.channels * g.rows + first) * taps)
    begin = max(0, (y + g.ph - (g.kh - 1) * g.dh + g.sh - 1) // g.sh)
    end = min(g.oh, (y + count - 1 + g.ph) // g.sh + 1)
    for next in range(begin, end, g.run):
        o = min(next, g.oh - g.run)  # the last run meets some rows again
        for m in range(0, g.channels, DEPTH):
            depth = min(DEPTH, g.channels - m)
            if next == begin or g.channels > DEPTH:
                pack(shift(w, m * g.rows * taps), g.rows * taps, depth, rows * taps, weights)
            multiply(shift(dy, m * plane + o * g.ow), plane, depth, rows * taps, g.run * g.ow, weights, products,
                     g.length, m > 0)  # fmt: skip
        for i in range(next - o, min(g.run, end - o)):
            spread(g, shift(products, i * g.ow), sums, o + i, y, count, rows)
    dx = shift(dx, (image * g.rows + first) * g.h * g.w)
    for c in range(rows):
        for i in range(count):
            source = shift(sums, (c * count + i) * g.sw * g.pitch)
            merge_row(
                shift(dx, (c * g.h + y + i) * g.w), g.w, -g.pw, g.sw, (g.w + g.pw - 1) // g.sw + 1, source, g.pitch
            )


def backward(dy, w, factor, bias, dx, plan: Plan) -> None:
    """Runs the plan."""
    threads.run(scatter_band, plan.items, dy, w, dx, threads.scratch("work", plan.scratch), plan.table)
