"""The core of convolution forward and backward: y[m, q] = sum over c, t of w[m, c, t] x[c, q * stride + offset[t]]."""

from typing import NamedTuple

from .gather import find_runs, pack_panels, pad_channels
from .interleave import put_even
from .native import fields, helper, task, unpack
from .simd import ONE, VL, ZERO, fma, greater, integers, load, shift, splat, store_first
from .tile import MR, NR, tile
from .turn import turn


class Geometry(NamedTuple):
    """Everything a block needs to know; the offsets of the taps follow it in memory."""

    batch: int
    groups: int
    channels: int  # of the input, in a group
    height: int
    width: int
    rows: int  # channels of the output, in a group
    tiles: int
    taps: int
    qh: int  # the grid of results
    qw: int
    sh: int  # pixels of the input from one result to the next
    sw: int
    oh: int  # the output's plane, and where on it the results lie
    ow: int
    step_h: int
    step_w: int
    corner: int
    plain: int  # 1: read in place; 0: from a padded copy of `tall` rows an image
    tall: int
    top: int
    left: int
    phases: int
    pitch: int
    size: int  # pixels in a block
    blocks: int
    part: int  # tiles of rows in an item
    some: int  # channels packed at a time
    b_at: int  # where the packed pixels, the results and the padded copy begin in the scratch of a thread
    c_at: int
    padded_at: int
    work: int
    scaled: int
    biased: int
    relu: int


geometry = fields(Geometry)


@task
def pack_weights(job, item, thread):
    """a[tile, c, t, MR] from w[m * across + c * along + picks[t]]; what stands past the last row does not matter.

    `width` tells how many taps from one on stand side by side: all channels' (channels * taps), one's (taps), or 1.
    """
    w, a, rows, tiles, channels, taps, picks, width, group, across, along = unpack(job, "aaiiiiniiii")
    first = item % tiles * MR
    w = shift(w, item // tiles * group + first * across)
    rows = min(MR, rows - first)
    a = shift(a, item * channels * taps * MR)
    for k in range(0, channels * taps, width):
        source, target = shift(w, k // taps * along + picks[k % taps]), shift(a, k * MR)
        if width == 1:
            for i in range(rows):
                target[i] = source[i * across]
        else:
            for j in range(0, width, VL):
                turn(shift(source, j), across, rows, min(VL, width - j), shift(target, j * MR), MR, MR)


@helper
def multiply(a, depth, k0, b, k, panels, tiles, c):
    """Adds the products of all tiles of rows with all panels to c[tile, panel, MR, NR]; the first block sets them."""
    for m in range(tiles):
        for p in range(panels):
            at = shift(c, (m * panels + p) * MR * NR)
            tile(shift(a, (m * depth + k0) * MR), shift(b, p * k * NR), at, k, NR, k0 > 0)


@helper
def finish(g, c, panels, rows, runs, count, y, factor, bias):
    """Writes the results to y: row m, run by run, with its factor and bias, rectified; a NaN stays one."""
    zero, plane, step = splat(ZERO), g.oh * g.ow, g.step_w
    for m in range(rows):
        f, b = factor[m] if g.scaled else ONE, bias[m] if g.biased else ZERO
        source, out = shift(c, (m // MR * panels * MR + m % MR) * NR), shift(y, m * plane)
        for r in range(count):
            q, n = runs[3 * r + 1], runs[3 * r + 2]
            s, d = shift(source, q // NR * MR * NR + q % NR), shift(out, runs[3 * r])
            if step > 2:
                for j in range(n):
                    v = s[j] * f + b
                    d[j * step] = ZERO if v < 0 and g.relu else v
            else:
                for j in range(0, n, VL):
                    v = fma(load(shift(s, j)), splat(f), splat(b))
                    v = greater(zero, v) if g.relu else v
                    if step == 2:
                        put_even(shift(d, 2 * j), v, n - j)
                    else:
                        store_first(shift(d, j), v, n - j)


@helper
def locate(g, first, last, runs):
    """The runs of the pixels in the input or its padded copy, and the copy's first and last virtual row."""
    image, row = g.groups * g.channels * g.height * g.width, g.sh * g.width
    if g.plain:
        return find_runs(first, last, g.qh, g.qw, image, row, 1, 0, NR, runs), 0, 0
    length = g.phases * g.pitch
    n0 = first // (g.qh * g.qw)
    begin = first // g.qw % g.qh * g.sh
    rest = g.tall - (g.qh - 1) * g.sh
    end = ((last - 1) // (g.qh * g.qw) - n0) * g.tall + (last - 1) // g.qw % g.qh * g.sh + rest
    start = (n0 * g.tall + begin) * length
    return find_runs(first, last, g.qh, g.qw, g.tall * length, g.sh * length, 1, start, NR, runs), begin, end


@helper
def locate_results(g, first, last, runs):
    """The runs of the pixels in the output; a whole image is one row where no column is skipped."""
    image = g.groups * g.rows * g.oh * g.ow
    if g.step_h == 1 and g.step_w == 1 and g.qh == g.oh and g.qw == g.ow:
        return find_runs(first, last, 1, g.qh * g.qw, image, 0, 1, 0, NR, runs)
    return find_runs(first, last, g.qh, g.qw, image, g.step_h * g.ow, g.step_w, -g.corner, NR, runs)


@helper
def gather(g, x, c0, n0, begin, end, work, offsets, runs, count):
    """Packs `some` channels of x from c0 on into panels; returns the depth of the panels."""
    channels = min(g.some, g.channels - c0)
    source, plane = shift(x, c0 * g.height * g.width), g.height * g.width
    padded = shift(work, g.padded_at)
    if not g.plain:
        image = g.groups * g.channels * plane
        pad_channels(padded, shift(source, n0 * image), channels, g.height, g.width, image, g.tall, g.top,
                     g.left, g.sw, g.phases, g.pitch, begin, end)  # fmt: skip
        source, plane = padded, (end - begin) * g.phases * g.pitch
    pack_panels(shift(work, g.b_at), source, channels, plane, g.taps, offsets, runs, count)
    return channels * g.taps


@task
def correlate_block(job, item, thread):
    """One block of pixels of one group, for one part of the rows."""
    x, a, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    offsets = shift(table, len(g))
    group, tile0 = item // g.blocks % g.groups, item // (g.blocks * g.groups) * g.part
    first = item % g.blocks * g.size
    last = min(first + g.size, g.batch * g.qh * g.qw)
    tiles, panels = min(g.part, g.tiles - tile0), (last - first + NR - 1) // NR
    row0 = group * g.rows + tile0 * MR
    work = shift(work, thread * g.work)
    runs, b, c = integers(work), shift(work, g.b_at), shift(work, g.c_at)
    x = shift(x, group * g.channels * g.height * g.width)
    depth = g.channels * g.taps
    a = shift(a, (group * g.tiles + tile0) * depth * MR)
    count, begin, end = locate(g, first, last, runs)
    for c0 in range(0, g.channels, g.some):
        k = gather(g, x, c0, first // (g.qh * g.qw), begin, end, work, offsets, runs, count)
        multiply(a, depth, c0 * g.taps, b, k, panels, tiles, c)
    count = locate_results(g, first, last, runs)
    rows = min(tiles * MR, g.rows - tile0 * MR)
    finish(g, c, panels, rows, runs, count, shift(y, row0 * g.oh * g.ow), shift(factor, row0), shift(bias, row0))
