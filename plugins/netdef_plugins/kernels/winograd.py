"""3 x 3 and 5 x 5 convolution with stride 1 by Winograd's transforms: 36 or 64 products for 144 or 400."""

from typing import NamedTuple

from .gather import find_runs, pad_channels, rows_met
from .interleave import merge4
from .native import fields, helper, task, unpack
from .simd import ONE, VL, ZERO, fma, greater, integers, load, load_first, shift, splat, store_first
from .squares import result_square, see_square, weigh_square
from .tile import make_tile
from .turn import turn

# The register tile: WM rows of WN tiles of the image.
WM, NV = VL, 1 if VL >= 8 else 2
WN = NV * VL
tile = make_tile(WM, NV)
# Products of one row tile and panel at two points lie this far apart: one vector more than they take, because lines at
# distances of a power of two would drive one another out of the caches.
APART = WM * WN + VL


class Geometry(NamedTuple):
    """Everything a block needs to know. A 'square' is a tile of 4 x 4 results."""

    n: int  # points an axis: 6 for 3 taps, 8 for 5
    batch: int
    groups: int
    channels: int  # of the input, in a group
    height: int
    width: int
    rows: int  # channels of the output, in a group
    tiles: int  # of WM rows
    qh: int  # squares down and across an image
    qw: int
    oh: int
    ow: int
    tall: int  # rows of an image in the padded copy
    top: int
    left: int
    pitch: int
    across: int  # floats from the weights of a row to those of the next, and of a channel
    along: int
    flip: int  # 1: the taps are met backwards
    size: int  # squares in a block
    blocks: int
    some: int  # tiles of rows that are multiplied at a time, or channels of an item that sees squares
    deep: int  # channels of the weights that are met at a time
    padded_at: int  # where the padded copy, packed squares, a single one, the second side and products begin
    packed_at: int
    room_at: int
    side_at: int
    products_at: int
    work: int
    scaled: int
    biased: int
    relu: int


geometry = fields(Geometry)


@helper
def weigh_rows(g, w, rows, channels, u, point, room):
    """u[point, c, WM] of a tile of rows and some channels; the taps stand side by side in w."""
    size = g.n - 3
    taps, turned = size * size, shift(room, 64 * VL)
    last = shift(turned, (taps - 1) * VL)
    for c in range(channels):
        for t in range(0, taps, VL):
            turn(shift(w, c * g.along + t), g.across, rows, min(VL, taps - t), shift(turned, t * VL), VL, VL)
        out = shift(u, c * WM)
        if g.flip:
            weigh_square(g.n, last, -size * VL, -VL, out, g.n * point, point, room)
        else:
            weigh_square(g.n, turned, size * VL, VL, out, g.n * point, point, room)


@task
def transform_weights(job, item, thread):
    """u[group, point, tile, c, WM] of one tile of rows of one group."""
    w, u, work, table = unpack(job, "aaan")
    g = geometry(table)
    group, first = item // g.tiles, item % g.tiles * WM
    point = (g.tiles * g.channels + 1) * WM
    w = shift(w, group * g.rows * g.channels * (g.n - 3) * (g.n - 3) + first * g.across)
    u = shift(u, group * g.n * g.n * point + first * g.channels)
    weigh_rows(g, w, g.rows - first, g.channels, u, point, shift(work, thread * g.work + g.room_at))


@helper
def copy_square(n, dst, src, pitch, count):
    """Copies the n x n pixels of `count` squares in a row from the padded copy, which keeps each fourth together."""
    for i in range(n):
        for j in range(n):
            s, d = shift(src, (4 * i + j % 4) * pitch + j // 4), shift(dst, (n * i + j) * WN)
            for v in range(0, count, VL):
                store_first(shift(d, v), load_first(shift(s, v), count - v), count - v)


@helper
def see_block(g, x, begin_c, end_c, first, last, work, seen):
    """seen[point, panel, c, WN]: the squares first .. last - 1 of the channels begin_c .. end_c - 1."""
    runs, packed, room = integers(work), shift(work, g.packed_at), shift(work, g.room_at)
    padded = shift(work, g.padded_at)
    panels = (last - first + WN - 1) // WN
    n0 = first // (g.qh * g.qw)
    begin, end = rows_met(first, last, g.qh, g.qw, 4, g.tall)
    image, row, point = g.groups * g.channels * g.height * g.width, 4 * g.pitch, (panels * g.channels + 1) * WN
    start = (n0 * g.tall + begin) * row
    count = find_runs(first, last, g.qh, g.qw, g.tall * row, 4 * row, 1, start, WN, runs)
    x, points = shift(x, n0 * image), g.n * g.n
    for c in range(begin_c, end_c):
        pad_channels(padded, shift(x, c * g.height * g.width), 1, g.height, g.width, image, g.tall, g.top, g.left,
                     4, 4, g.pitch, begin, end)  # fmt: skip
        for r in range(count):
            q = runs[3 * r + 1]
            to = shift(packed, q // WN * points * WN + q % WN)
            copy_square(g.n, to, shift(padded, runs[3 * r]), g.pitch, runs[3 * r + 2])
        for p in range(panels):
            for v in range(0, WN, VL):
                source, out = shift(packed, p * points * WN + v), shift(seen, (p * g.channels + c) * WN + v)
                see_square(g.n, source, g.n * WN, WN, out, g.n * point, point, room)


@helper
def multiply(points, u, point, seen, channels, panels, tiles, products):
    """products[tile, panel, point, WM, WN]."""
    for p in range(points):
        for m in range(tiles):
            for q in range(panels):
                a, b = p * point + m * channels * WM, (p * (panels * channels + 1) + q * channels) * WN
                c = shift(products, ((m * panels + q) * points + p) * APART)
                tile(shift(u, a), shift(seen, b), c, channels, WN, False)


@helper
def line_up(square, f, b, relu, lines):
    """Four lines of 4 * VL results, rows 4 * WN apart, from 4 x 4 vectors of them."""
    zero = splat(ZERO)
    for i in range(4):
        s = shift(square, 4 * i * VL)
        y0, y1 = fma(load(s), f, b), fma(load(shift(s, VL)), f, b)
        y2, y3 = fma(load(shift(s, 2 * VL)), f, b), fma(load(shift(s, 3 * VL)), f, b)
        if relu:
            y0, y1, y2, y3 = greater(zero, y0), greater(zero, y1), greater(zero, y2), greater(zero, y3)
        merge4(shift(lines, 4 * i * WN), 0, 4 * VL, (y0, y1, y2, y3))


@helper
def put_squares(g, y, lines, runs, first_run, last_run):
    """Writes the four lines of a panel's results to y, run by run, where they lie within the image."""
    image = g.groups * g.rows * g.oh * g.ow
    for r in range(first_run, last_run):
        at = runs[3 * r]
        down, right = at % image // g.ow, at % image % g.ow
        n = min(4 * runs[3 * r + 2], g.ow - right)
        for i in range(min(4, g.oh - down)):
            s, d = shift(lines, 4 * (i * WN + runs[3 * r + 1] % WN)), shift(y, at + i * g.ow)
            for j in range(0, n, VL):
                store_first(shift(d, j), load(shift(s, j)), n - j)


@helper
def finish(g, products, panels, rows, runs, count, work, y, factor, bias):
    """Transforms the products of some rows back and writes them to y."""
    room, square, lines = shift(work, g.room_at), shift(work, g.room_at + 64 * VL), shift(work, g.room_at + 80 * VL)
    points = g.n * g.n
    for m in range(rows):
        f, b = splat(factor[m] if g.scaled else ONE), splat(bias[m] if g.biased else ZERO)
        r = 0
        for p in range(panels):
            for v in range(0, WN, VL):
                source = shift(products, (m // WM * panels + p) * points * APART + m % WM * WN + v)
                result_square(g.n, source, g.n * APART, APART, square, 4 * VL, VL, room)
                line_up(square, f, b, g.relu, shift(lines, 4 * v))
            s = r
            while s < count and runs[3 * s + 1] // WN == p:
                s += 1
            put_squares(g, shift(y, m * g.oh * g.ow), lines, runs, r, s)
            r = s


@task
def convolve_block(job, item, thread):
    """One block of squares of one group."""
    x, u, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    group, first = item // g.blocks, item % g.blocks * g.size
    last = min(first + g.size, g.batch * g.qh * g.qw)
    panels, points = (last - first + WN - 1) // WN, g.n * g.n
    work = shift(work, thread * g.work)
    seen, products = shift(work, g.side_at), shift(work, g.products_at)
    see_block(g, shift(x, group * g.channels * g.height * g.width), 0, g.channels, first, last, work, seen)
    point = (g.tiles * g.channels + 1) * WM
    runs, image = integers(work), g.groups * g.rows * g.oh * g.ow
    count = find_runs(first, last, g.qh, g.qw, image, 4 * g.ow, 4, 0, WN, runs)
    for tile0 in range(0, g.tiles, g.some):
        some, row0 = min(g.some, g.tiles - tile0), group * g.rows + tile0 * WM
        rows = min(some * WM, g.rows - tile0 * WM)
        part = shift(u, group * points * point + tile0 * g.channels * WM)
        multiply(points, part, point, seen, g.channels, panels, some, products)
        out = shift(y, row0 * g.oh * g.ow)
        finish(g, products, panels, rows, runs, count, work, out, shift(factor, row0), shift(bias, row0))
