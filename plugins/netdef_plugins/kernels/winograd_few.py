"""Winograd's convolution where squares are few: they are seen first, and weights by whoever multiplies with them."""

from .gather import find_runs
from .native import task, unpack
from .simd import integers, shift
from .winograd import APART, WM, WN, finish, geometry, see_block, tile, weigh_rows


@task
def see_part(job, item, thread):
    """seen[group, block, point, panel, c, WN] of one block of squares of one group, for `some` channels."""
    x, seen, work, table = unpack(job, "aaan")
    g = geometry(table)
    parts = (g.channels + g.some - 1) // g.some
    block, group, c0 = item // parts % g.blocks, item // (parts * g.blocks), item % parts * g.some
    first = block * g.size
    last = min(first + g.size, g.batch * g.qh * g.qw)
    seen = shift(seen, (group * g.blocks + block) * g.n * g.n * (g.size * g.channels + WN))
    x = shift(x, group * g.channels * g.height * g.width)
    see_block(g, x, c0, min(c0 + g.some, g.channels), first, last, shift(work, thread * g.work), seen)


@task
def convolve_rows(job, item, thread):
    """One tile of rows of one group, for one block of squares."""
    w, seen, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    m, block, group = item % g.tiles * WM, item // g.tiles % g.blocks, item // (g.tiles * g.blocks)
    first, points = block * g.size, g.n * g.n
    last = min(first + g.size, g.batch * g.qh * g.qw)
    panels, row0, rows = (last - first + WN - 1) // WN, group * g.rows + m, min(WM, g.rows - m)
    w = shift(w, group * g.rows * g.channels * (g.n - 3) * (g.n - 3) + m * g.across)
    seen = shift(seen, (group * g.blocks + block) * points * (g.size * g.channels + WN))
    work = shift(work, thread * g.work)
    u, products = shift(work, g.side_at), shift(work, g.products_at)
    mine, theirs = (g.deep + 1) * WM, (panels * g.channels + 1) * WN
    for c0 in range(0, g.channels, g.deep):
        k = min(g.deep, g.channels - c0)
        weigh_rows(g, shift(w, c0 * g.along), rows, k, u, mine, shift(work, g.room_at))
        for p in range(points):
            for q in range(panels):
                b, c = shift(seen, p * theirs + (q * g.channels + c0) * WN), shift(products, (q * points + p) * APART)
                tile(shift(u, p * mine), b, c, k, WN, c0 > 0)
    runs, image = integers(work), g.groups * g.rows * g.oh * g.ow
    count = find_runs(first, last, g.qh, g.qw, image, 4 * g.ow, 4, 0, WN, runs)
    out = shift(y, row0 * g.oh * g.ow)
    finish(g, products, panels, rows, runs, count, work, out, shift(factor, row0), shift(bias, row0))
