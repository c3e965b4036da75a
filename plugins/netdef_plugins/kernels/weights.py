"""The core of a convolution's update: dw[m, c, t] += sum over pixels of dy[m, q] x[c, q * stride + offset of t].

Channels of dy stand in the vectors and pixels of x are read where they lie, so nothing is unfolded.
"""

from typing import NamedTuple

from .gather import find_runs, pad_channels, rows_met, summed
from .native import fields, helper, task, unpack
from .simd import VL, ZERO, integers, load, shift, splat, store
from .tile import MR, NR, gather_tile, thin_gather_tile
from .turn import turn, turn_add


class Geometry(NamedTuple):
    """Everything an item needs to know; the offsets of the taps follow it in memory."""

    batch: int
    groups: int
    channels: int  # of x, in a group
    height: int
    width: int
    rows: int  # channels of dy, in a group
    span: int  # panels of NR rows in an item
    bands: int
    taps: int
    qh: int
    qw: int
    sh: int
    sw: int
    plain: int  # 1: x is read in place; 0: from a padded copy of `tall` rows an image
    tall: int
    top: int
    left: int
    pitch: int
    size: int  # pixels in a block
    blocks: int
    shares: int  # of the blocks, each summed apart
    some: int  # channels in an item
    parts: int
    lines_at: int  # where the offsets of lines, the packed dy, the sums and the padded copy begin in the scratch
    dy_at: int
    sums_at: int
    padded_at: int
    work: int
    biased: int  # 1: the rows' own sums are wanted too


geometry = fields(Geometry)


@helper
def turn_block(dy, plane, rows, runs, count, out, size):
    """out[panel, pixel, NR]: the block's pixels of dy, channels last; what stands past the last row does not matter."""
    for m in range(0, rows, VL):
        panel = shift(out, m // NR * size * NR + m % NR)
        for r in range(count):
            source, target = shift(dy, m * plane + runs[3 * r]), shift(panel, runs[3 * r + 1] * NR)
            for j in range(0, runs[3 * r + 2], VL):
                n = min(VL, runs[3 * r + 2] - j)
                turn(shift(source, j), plane, rows - m, n, shift(target, j * NR), NR, VL)


@helper
def place_pixels(g, first, last, at):
    """at[p]: where pixel p lies in x or its padded copy. Returns the copy's first and last virtual row."""
    begin, end = rows_met(first, last, g.qh, g.qw, g.sh, g.tall)
    image, row, start = g.tall * g.pitch, g.sh * g.pitch, (first // (g.qh * g.qw) * g.tall + begin) * g.pitch
    if g.plain:
        image, row, start = g.groups * g.channels * g.height * g.width, g.sh * g.width, 0
    q = first
    while q < last:
        i, j = q // g.qw, q % g.qw
        n, begun = min(g.qw - j, last - q), i // g.qh * image + i % g.qh * row + j * g.sw - start
        for k in range(n):
            at[q - first + k] = begun + k * g.sw
        q += n
    return begin, end


@helper
def place_lines(g, channels, plane, offsets, lines):
    """lines[k]: where line k = (c, t) begins in x or its padded copy; the last tile is filled up with the last line."""
    n = channels * g.taps
    for k in range((n + MR - 1) // MR * MR):
        known = min(k, n - 1)
        lines[k] = known // g.taps * plane + offsets[known % g.taps]


@helper
def multiply(x, lines, depth, at, dy, rows, span, size, pixels, sums, more):
    """sums[tile, panel, MR, NR] (+)= the products of all lines with all rows over the block's pixels."""
    for k in range(0, depth, MR):
        for m in range(0, rows, NR):
            c, panel = shift(sums, (k * span + m // NR * MR) * NR), shift(dy, m * size)
            if rows - m > VL:
                gather_tile(x, shift(lines, k), at, panel, at, c, pixels, more)
            else:
                thin_gather_tile(x, shift(lines, k), at, panel, at, c, pixels, more)


@helper
def add_pixels(dy, rows, size, pixels, sums, more):
    """sums[row] (+)= the sum over the pixels of a turned block."""
    for m in range(0, rows, VL):
        source = shift(dy, m // NR * size * NR + m % NR)
        a = b = c = d = splat(ZERO)
        for p in range(0, pixels - 3, 4):
            four = shift(source, p * NR)
            a, b = a + load(four), b + load(shift(four, NR))
            c, d = c + load(shift(four, 2 * NR)), d + load(shift(four, 3 * NR))
        for p in range(pixels // 4 * 4, pixels):
            a = a + load(shift(source, p * NR))
        v, to = (a + b) + (c + d), shift(sums, m)
        store(to, load(to) + v if more else v)


@helper
def add_tile(g, sums, rows, lines, dw):
    """dw[m, k] += sums[panel, k, m] for all rows and the `lines` lines of a tile."""
    across = g.channels * g.taps
    for m in range(0, rows, VL):
        source = shift(sums, m // NR * MR * NR + m % NR)
        turn_add(source, NR, MR, min(VL, rows - m), shift(dw, m * across), across, min(MR, lines))


@helper
def add_rows(sums, rows, db):
    """db[m] += sums[m]."""
    for m in range(rows):
        db[m] += sums[m]


@helper
def kept_floats(g):
    """Of the sums of an item."""
    return g.span * NR * ((g.some * g.taps + MR - 1) // MR * MR + 1)


@task
def sum_share(job, item, thread):
    """One share of the pixels, for a band of rows and a part of the channels of one group; added to dw and db where it
    is the only share, else kept: sums[tile, panel, MR, NR] and then the rows' own."""
    x, dy, dw, db, kept, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    offsets = shift(table, len(g))
    part, band, place = item % g.parts, item // g.parts % g.bands, item // (g.parts * g.bands)
    group, share, c0, m0 = place % g.groups, place // g.groups, part * g.some, band * g.span * NR
    channels, rows, plane = min(g.some, g.channels - c0), min(g.span * NR, g.rows - m0), g.height * g.width
    image, pixels = g.groups * g.channels * plane, g.batch * g.qh * g.qw
    row0 = group * g.rows + m0
    dy = shift(dy, row0 * g.qh * g.qw)
    x = shift(x, (group * g.channels + c0) * plane)
    work = shift(work, thread * g.work)
    runs, lines, padded = integers(work), integers(shift(work, g.lines_at)), shift(work, g.padded_at)
    turned, sums = shift(work, g.dy_at), shift(work, g.sums_at)
    depth = channels * g.taps
    if g.shares > 1:
        sums = shift(kept, item * kept_floats(g))
    own = shift(sums, kept_floats(g) - g.span * NR)
    begun = share * g.blocks // g.shares
    for block in range(begun, (share + 1) * g.blocks // g.shares):
        first = block * g.size
        last = min(first + g.size, pixels)
        count = find_runs(first, last, 1, g.qh * g.qw, g.groups * g.rows * g.qh * g.qw, 0, 1, 0, NR, runs)
        turn_block(dy, g.qh * g.qw, rows, runs, count, turned, g.size)
        begin, end = place_pixels(g, first, last, runs)
        source, n0 = x, first // (g.qh * g.qw)
        if not g.plain:
            source, plane = padded, (end - begin) * g.pitch
            pad_channels(padded, shift(x, n0 * image), channels, g.height, g.width, image, g.tall, g.top,
                         g.left, 1, 1, g.pitch, begin, end)  # fmt: skip
        place_lines(g, channels, plane, offsets, lines)
        multiply(source, lines, depth, runs, turned, rows, g.span, g.size, last - first, sums, block > begun)
        if g.biased and part == 0:
            add_pixels(turned, rows, g.size, last - first, own, block > begun)
    if g.shares == 1:
        dw = shift(dw, (row0 * g.channels + c0) * g.taps)
        for k in range(0, depth, MR):
            add_tile(g, shift(sums, k * g.span * NR), rows, depth - k, shift(dw, k))
        if g.biased and part == 0:
            add_rows(own, rows, shift(db, row0))


@helper
def add_up(kept, apart, shares, floats, sums):
    """sums = the sum of some vectors, `apart` floats apart."""
    for i in range(0, floats, VL):
        v = load(shift(kept, i))
        for share in range(1, shares):
            v = v + load(shift(kept, share * apart + i))
        store(shift(sums, i), v)


@task
def add_shares(job, item, thread):
    """Adds the shares of a tile of lines, for one band, group and part, to dw, always in the same order; the first tile
    of the first part also those of the rows' own to db."""
    dw, db, kept, work, table = unpack(job, "aaaan")
    g = geometry(table)
    tiles, whole = (g.some * g.taps + MR - 1) // MR, kept_floats(g)
    tile, place = item % tiles, item // tiles
    part, band, group = place % g.parts, place // g.parts % g.bands, place // (g.parts * g.bands)
    c0, m0 = part * g.some, band * g.span * NR
    rows, row0 = min(g.span * NR, g.rows - m0), group * g.rows + m0
    lines = min(g.some, g.channels - c0) * g.taps - tile * MR
    kept, sums = shift(kept, place * whole), shift(work, thread * g.work)
    apart = g.parts * g.bands * g.groups * whole
    if lines > 0:
        add_up(shift(kept, tile * g.span * MR * NR), apart, g.shares, g.span * MR * NR, sums)
        add_tile(g, sums, rows, lines, shift(dw, (row0 * g.channels + c0) * g.taps + tile * MR))
    if g.biased and part == 0 and tile == 0:
        add_up(shift(kept, whole - g.span * NR), apart, g.shares, g.span * NR, sums)
        add_rows(sums, rows, shift(db, row0))


@task
def sum_channels(job, item, thread):
    """db[c] += the sum over images and pixels of dy[n, c, :], for one channel."""
    dy, db, batch, channels, plane = unpack(job, "aaiii")
    s = 0.0
    for n in range(batch):
        s += summed(shift(dy, (n * channels + item) * plane), plane)
    db[item] += s
