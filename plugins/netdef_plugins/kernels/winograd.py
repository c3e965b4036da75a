"""3 x 3 convolution with stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications, in 36 small products."""

from typing import NamedTuple

from .gather import find_runs, pad_channels
from .native import fields, helper, task, unpack
from .points import input_axis, result_axis, weight_axis
from .simd import VL, ZERO, greater, integers, load, load_first, shift, splat, store, store_first, store_interleaved
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
    size: int  # squares in a block
    blocks: int
    some: int  # tiles of rows multiplied at a time
    line_at: int  # where a line, the padded copy, packed and transformed squares and products begin in the scratch
    padded_at: int
    packed_at: int
    seen_at: int
    products_at: int
    work: int
    biased: int
    relu: int


geometry = fields(Geometry)


@task
def transform_weights(job, item, thread):
    """u[point, tile, c, WM] of one tile of rows; the taps stand side by side in w, backwards where `flip` is set."""
    w, u, work, rows, tiles, channels, group, across, along, flip = unpack(job, "aaaiiiiiii")
    first = item % tiles * WM
    w = shift(w, item // tiles * group + first * across)
    point = (tiles * channels + 1) * WM
    u = shift(u, item // tiles * 36 * point + item % tiles * channels * WM)
    g, t = shift(work, thread * 64 * VL), shift(work, (thread * 64 + 16) * VL)
    for c in range(channels):
        turn(shift(w, c * along), across, rows - first, 9, g, VL, VL)
        for j in range(3):
            i0, step = (8 - j, -3) if flip else (j, 3)
            r = weight_axis(
                load(shift(g, i0 * VL)), load(shift(g, (i0 + step) * VL)), load(shift(g, (i0 + 2 * step) * VL))
            )
            for i in range(6):
                store(shift(t, (i * 3 + j) * VL), r[i])
        for i in range(6):
            s = shift(t, i * 3 * VL)
            r = weight_axis(load(s), load(shift(s, VL)), load(shift(s, 2 * VL)))
            for j in range(6):
                store(shift(u, (i * 6 + j) * point + c * WM), r[j])


@helper
def see_squares(packed, out, point):
    """Transforms one panel of WN squares of 6 x 6 pixels; point p goes to out + p * point."""
    for v in range(0, WN, VL):
        d = shift(packed, v)
        for j in range(6):
            s = shift(d, j * WN)
            r = input_axis(load(s), load(shift(s, 6 * WN)), load(shift(s, 12 * WN)), load(shift(s, 18 * WN)),
                           load(shift(s, 24 * WN)), load(shift(s, 30 * WN)))  # fmt: skip
            for i in range(6):
                store(shift(s, 6 * i * WN), r[i])
        for i in range(6):
            s = shift(d, 6 * i * WN)
            r = input_axis(load(s), load(shift(s, WN)), load(shift(s, 2 * WN)), load(shift(s, 3 * WN)),
                           load(shift(s, 4 * WN)), load(shift(s, 5 * WN)))  # fmt: skip
            for j in range(6):
                store(shift(out, (6 * i + j) * point + v), r[j])


@helper
def sum_squares(m, lines, b, relu):
    """Turns the products of one row and one panel, 36 points APART apart, into four lines of 4 * WN results."""
    zero = splat(ZERO)
    for v in range(0, WN, VL):
        for j in range(6):
            s = shift(m, j * APART + v)
            r = result_axis(load(s), load(shift(s, 6 * APART)), load(shift(s, 12 * APART)),
                            load(shift(s, 18 * APART)), load(shift(s, 24 * APART)),
                            load(shift(s, 30 * APART)))  # fmt: skip
            for i in range(4):
                store(shift(s, 6 * i * APART), r[i])
        for i in range(4):
            s = shift(m, 6 * i * APART + v)
            r = result_axis(load(s), load(shift(s, APART)), load(shift(s, 2 * APART)), load(shift(s, 3 * APART)),
                            load(shift(s, 4 * APART)), load(shift(s, 5 * APART)))  # fmt: skip
            y0, y1, y2, y3 = r[0] + b, r[1] + b, r[2] + b, r[3] + b
            if relu:
                y0, y1, y2, y3 = greater(y0, zero), greater(y1, zero), greater(y2, zero), greater(y3, zero)
            store_interleaved(shift(lines, 4 * (i * WN + v)), y0, y1, y2, y3)


@helper
def copy_square(dst, src, pitch, n):
    """Copies the 6 x 6 pixels of n squares in a row from the padded copy, where every fourth pixel stands together."""
    for i in range(6):
        for j in range(6):
            s, d = shift(src, (4 * i + j % 4) * pitch + j // 4), shift(dst, (6 * i + j) * WN)
            for v in range(0, n, VL):
                store_first(shift(d, v), load_first(shift(s, v), n - v), n - v)


@helper
def see_block(g, x, first, last, work, seen):
    """seen[point, panel, c, WN]: the squares first .. last - 1 of all channels."""
    runs, packed = integers(work), shift(work, g.packed_at)
    line, padded = shift(work, g.line_at), shift(work, g.padded_at)
    panels = (last - first + WN - 1) // WN
    n0 = first // (g.qh * g.qw)
    begin = first // g.qw % g.qh * 4
    end = ((last - 1) // (g.qh * g.qw) - n0) * g.tall + (last - 1) // g.qw % g.qh * 4 + 6
    image, row, point = g.groups * g.channels * g.height * g.width, 4 * g.pitch, (panels * g.channels + 1) * WN
    start = (n0 * g.tall + begin) * row
    count = find_runs(first, last, g.qh, g.qw, g.tall * row, 4 * row, 1, start, WN, runs)
    x = shift(x, n0 * image)
    for c in range(g.channels):
        pad_channels(padded, line, shift(x, c * g.height * g.width), 1, g.height, g.width, image, g.tall, g.top, g.left,
                     4, 4, g.pitch, begin, end)  # fmt: skip
        for r in range(count):
            q, n = runs[3 * r + 1], runs[3 * r + 2]
            copy_square(shift(packed, q // WN * 36 * WN + q % WN), shift(padded, runs[3 * r]), g.pitch, n)
        for p in range(panels):
            see_squares(shift(packed, p * 36 * WN), shift(seen, (p * g.channels + c) * WN), point)


@helper
def multiply(u, point, seen, channels, panels, tiles, products):
    """products[tile, panel, point, WM, WN]."""
    for p in range(36):
        for m in range(tiles):
            for q in range(panels):
                a, b = p * point + m * channels * WM, (p * (panels * channels + 1) + q * channels) * WN
                c = shift(products, ((m * panels + q) * 36 + p) * APART)
                tile(shift(u, a), shift(seen, b), c, channels, WN, False)


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
def finish(g, products, panels, rows, runs, count, lines, y, bias):
    """Transforms the products of some rows back and writes them to y."""
    for m in range(rows):
        b = splat(bias[m] if g.biased else ZERO)
        r = 0
        for p in range(panels):
            sum_squares(shift(products, (m // WM * panels + p) * 36 * APART + m % WM * WN), lines, b, g.relu)
            s = r
            while s < count and runs[3 * s + 1] // WN == p:
                s += 1
            put_squares(g, shift(y, m * g.oh * g.ow), lines, runs, r, s)
            r = s


@task
def convolve_block(job, item, thread):
    """One block of squares of one group."""
    x, u, bias, y, work, table = unpack(job, "aaaaan")
    g = geometry(table)
    group, first = item // g.blocks, item % g.blocks * g.size
    last = min(first + g.size, g.batch * g.qh * g.qw)
    panels = (last - first + WN - 1) // WN
    work = shift(work, thread * g.work)
    seen, products, lines = shift(work, g.seen_at), shift(work, g.products_at), shift(work, g.packed_at)
    see_block(g, shift(x, group * g.channels * g.height * g.width), first, last, work, seen)
    point = (g.tiles * g.channels + 1) * WM
    runs, image = integers(work), g.groups * g.rows * g.oh * g.ow
    count = find_runs(first, last, g.qh, g.qw, image, 4 * g.ow, 4, 0, WN, runs)
    for tile0 in range(0, g.tiles, g.some):
        some, row0 = min(g.some, g.tiles - tile0), group * g.rows + tile0 * WM
        rows = min(some * WM, g.rows - tile0 * WM)
        part = shift(u, group * 36 * point + tile0 * g.channels * WM)
        multiply(part, point, seen, g.channels, panels, some, products)
        finish(g, products, panels, rows, runs, count, lines, shift(y, row0 * g.oh * g.ow), shift(bias, row0))
