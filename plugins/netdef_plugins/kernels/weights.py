"""The core of a convolution's update: dw[m, c, t] += sum over pixels of dy[m, q] x[c, q * stride + offset of t].

Channels of dy stand in the vectors and pixels of x are read where they lie, so nothing is unfolded.
"""

from typing import NamedTuple

from .gather import find_runs, pad_channels
from .native import fields, helper, task, unpack
from .simd import VL, ZERO, integers, shift
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
    panels: int  # of NR rows
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
    n0 = first // (g.qh * g.qw)
    begin = first // g.qw % g.qh * g.sh
    rest = g.tall - (g.qh - 1) * g.sh
    end = ((last - 1) // (g.qh * g.qw) - n0) * g.tall + (last - 1) // g.qw % g.qh * g.sh + rest
    image, row, start = g.tall * g.pitch, g.sh * g.pitch, (n0 * g.tall + begin) * g.pitch
    if g.plain:
        image, row, start = g.groups * g.channels * g.height * g.width, g.sh * g.width, 0
    for q in range(first, last):
        i = q // g.qw
        at[q - first] = i // g.qh * image + i % g.qh * row + q % g.qw * g.sw - start
    return begin, end


@helper
def place_lines(g, channels, plane, offsets, lines):
    """lines[k]: where line k = (c, t) begins in x or its padded copy; the last tile is filled up with the last line."""
    n = channels * g.taps
    for k in range((n + MR - 1) // MR * MR):
        known = min(k, n - 1)
        lines[k] = known // g.taps * plane + offsets[known % g.taps]


@helper
def multiply(x, lines, tiles, at, dy, rows, size, pixels, sums, more):
    """sums[tile, panel, MR, NR] (+)= the products of all lines with all rows over the block's pixels."""
    panels = (rows + NR - 1) // NR
    for k in range(tiles):
        for m in range(panels):
            c, panel = shift(sums, (k * panels + m) * MR * NR), shift(dy, m * size * NR)
            if rows - m * NR > VL:
                gather_tile(x, shift(lines, k * MR), at, panel, at, c, pixels, more)
            else:
                thin_gather_tile(x, shift(lines, k * MR), at, panel, at, c, pixels, more)


@helper
def add_sums(g, sums, channels, dw):
    """dw[m, k] += sums[k, m] for all rows and `channels` channels."""
    across, depth = g.channels * g.taps, channels * g.taps
    for k in range(0, depth, MR):
        line = shift(sums, k * g.panels * NR)
        for m in range(0, g.rows, VL):
            n, source = min(VL, g.rows - m), shift(line, m // NR * MR * NR + m % NR)
            turn_add(source, NR, MR, n, shift(dw, m * across + k), across, min(MR, depth - k))


@task
def sum_share(job, item, thread):
    """One share of the pixels, for one group and a part of its channels; added to dw where it is the only share."""
    x, dy, dw, kept, work, table = unpack(job, "aaaaan")
    g = geometry(table)
    offsets = shift(table, len(g))
    part, group, share = item % g.parts, item // g.parts % g.groups, item // (g.parts * g.groups)
    c0 = part * g.some
    channels, plane = min(g.some, g.channels - c0), g.height * g.width
    image, pixels = g.groups * g.channels * plane, g.batch * g.qh * g.qw
    dy = shift(dy, group * g.rows * g.qh * g.qw)
    x = shift(x, (group * g.channels + c0) * plane)
    work = shift(work, thread * g.work)
    runs, lines, padded = integers(work), integers(shift(work, g.lines_at)), shift(work, g.padded_at)
    turned, sums = shift(work, g.dy_at), shift(work, g.sums_at)
    tiles = (channels * g.taps + MR - 1) // MR
    if g.shares > 1:
        sums = shift(kept, item * g.panels * NR * ((g.some * g.taps + MR - 1) // MR * MR))
    begun = share * g.blocks // g.shares
    for block in range(begun, (share + 1) * g.blocks // g.shares):
        first = block * g.size
        last = min(first + g.size, pixels)
        count = find_runs(first, last, 1, g.qh * g.qw, g.groups * g.rows * g.qh * g.qw, 0, 1, 0, NR, runs)
        turn_block(dy, g.qh * g.qw, g.rows, runs, count, turned, g.size)
        begin, end = place_pixels(g, first, last, runs)
        source, n0 = x, first // (g.qh * g.qw)
        if not g.plain:
            source, plane = padded, (end - begin) * g.pitch
            pad_channels(padded, shift(x, n0 * image), channels, g.height, g.width, image, g.tall, g.top,
                         g.left, 1, 1, g.pitch, begin, end)  # fmt: skip
        place_lines(g, channels, plane, offsets, lines)
        multiply(source, lines, tiles, runs, turned, g.rows, g.size, last - first, sums, block > begun)
    if g.shares == 1:
        add_sums(g, sums, channels, shift(dw, (group * g.rows * g.channels + c0) * g.taps))


@task
def add_shares(job, item, thread):
    """Adds the shares of one group and part to dw, always in the same order."""
    dw, kept, table = unpack(job, "aan")
    g = geometry(table)
    part, group = item % g.parts, item // g.parts
    c0 = part * g.some
    one = g.panels * NR * ((g.some * g.taps + MR - 1) // MR * MR)
    dw = shift(dw, (group * g.rows * g.channels + c0) * g.taps)
    for share in range(g.shares):
        sums = shift(kept, ((share * g.groups + group) * g.parts + part) * one)
        add_sums(g, sums, min(g.some, g.channels - c0), dw)


@task
def sum_channels(job, item, thread):
    """db[c] += the sum over images and pixels of dy[n, c, :], for one channel."""
    dy, db, batch, channels, plane = unpack(job, "aaiii")
    s = 0.0
    for n in range(batch):
        part, source = ZERO, shift(dy, (n * channels + item) * plane)
        for i in range(plane):
            part += source[i]
        s += part
    db[item] += s
