"""The core of convolution forward and backward: y[m, q] = sum over c, t of w[m, c, t] x[c, q * stride + offset[t]]."""

from typing import NamedTuple

from .gather import clear, find_runs, merge_row, pack_panels, pad_channels, rows_met
from .native import fields, helper, task, unpack
from .simd import ONE, VL, ZERO, fma, greater, integers, load, shift, splat, store_first
from .tile import MR, NR, listed_tile, own, packed_tile, thin_listed_tile, thin_packed_tile


class Geometry(NamedTuple):
    """Everything a block needs to know; in memory follow the offsets of the taps, then for each corner how many taps it
    sees and how many the corners before it do, then for each of those its place in the kernel and among the taps."""

    batch: int
    groups: int
    channels: int  # of the input, in a group
    height: int
    width: int
    rows: int  # channels of the output, in a group
    across: int  # in the weights, from a row to the next, and from a channel to the next
    along: int
    tiles: int
    taps: int
    qh: int  # the grid of results
    qw: int
    sh: int  # pixels of the input from one result to the next
    sw: int
    oh: int  # the output's plane
    ow: int
    step_h: int  # the corners: results at each place of the grid, beside each other in the output
    step_w: int
    used: int  # taps that the corners see, together: the kernel's
    plain: int  # 1: read in place; 0: from a padded copy of `tall` rows an image
    tall: int
    top: int
    left: int
    phases: int
    pitch: int
    size: int  # pixels in a block
    blocks: int
    part: int  # tiles of rows in an item
    packed: int  # 1: the weights come as pack_weights leaves them
    some: int  # channels packed at a time
    lines_at: int  # where the lines of corners, the packed pixels, the results and the padded copy begin in the scratch
    b_at: int
    c_at: int
    padded_at: int
    work: int
    scaled: int
    biased: int
    relu: int


geometry = fields(Geometry)


@helper
def list_taps(g, table, lines):
    """lines[0, corner, c, tap]: where a tap lies in the weights; lines[1, ...]: where its row begins in a panel."""
    corners = g.step_h * g.step_w
    for corner in range(corners):
        count, before = table[g.taps + 2 * corner], table[g.taps + 2 * corner + 1]
        known, first = shift(table, g.taps + 2 * (corners + before)), g.some * before
        for k in range(g.some * count):
            t = 2 * (k % count)
            lines[first + k] = k // count * g.along + known[t]
            lines[g.some * g.used + first + k] = (k // count * g.taps + known[t + 1]) * NR


@helper
def place_packed(g, table, c0, corner, tile):
    """Where a tile's packed weights of `some` channels from c0 on begin: [c0, corner, tile, line, MR]."""
    count, before, channels = table[g.taps + 2 * corner], table[g.taps + 2 * corner + 1], min(g.some, g.channels - c0)
    return (g.tiles * (c0 * g.used + channels * before) + tile * channels * count) * MR


@task
def pack_weights(job, item, thread):
    """One tile of rows of one group, side by side as its products need them: read where they lie they are some lines
    of memory for each step, far apart, and again for each block. The last row stands in for those past it."""
    w, packed, table = unpack(job, "aan")
    g = geometry(table)
    table, group, tile, size = shift(table, len(g)), item // g.tiles, item % g.tiles, g.channels * g.used
    source, out = shift(w, group * g.rows * size), shift(packed, group * g.tiles * MR * size)
    for c0 in range(0, g.channels, g.some):
        for corner in range(g.step_h * g.step_w):
            at, count = shift(out, place_packed(g, table, c0, corner, tile)), table[g.taps + 2 * corner]
            known = shift(table, g.taps + 2 * (g.step_h * g.step_w + table[g.taps + 2 * corner + 1]))
            for c in range(c0, min(c0 + g.some, g.channels)):
                for t in range(count):
                    seen = shift(source, c * g.along + known[2 * t])
                    for i in range(MR):
                        at[((c - c0) * count + t) * MR + i] = seen[min(tile * MR + i, g.rows - 1) * g.across]


@helper
def multiply(g, w, c0, b, k, pixels, tile0, tiles, table, lines, c):
    """Adds the products of all tiles of rows with all panels to c[corner, tile, panel, MR, NR], for the channels from
    c0 on that make the panels k deep; the first ones set them."""
    more, begun = c0 > 0, shift(w, c0 * g.along)
    panels = (pixels + NR - 1) // NR
    rows = shift(lines, 2 * g.some * g.used)
    for m in range(tiles):
        for i in range(MR):
            rows[i] = min((tile0 + m) * MR + i, g.rows - 1) * g.across
        for corner in range(g.step_h * g.step_w):
            count, before = table[g.taps + 2 * corner], table[g.taps + 2 * corner + 1]
            places, a = shift(lines, g.some * before), shift(w, place_packed(g, table, c0, corner, tile0 + m))
            for p in range(panels):
                at = shift(c, ((corner * tiles + m) * panels + p) * MR * NR)
                if count == 0:
                    clear(at, MR * NR, ZERO)
                    continue
                source, taps, depth = shift(b, p * k * NR), shift(places, g.some * g.used), k // g.taps * count
                thin = pixels - p * NR <= VL
                if g.packed and thin:
                    thin_packed_tile(a, source, taps, at, depth, more)
                elif g.packed:
                    packed_tile(a, source, taps, at, depth, more)
                elif not thin:
                    listed_tile(begun, rows, places, source, taps, at, depth, more)
                else:
                    thin_listed_tile(begun, rows, places, source, taps, at, depth, more)


@helper
def finish(g, c, panels, rows, runs, count, y, factor, bias):
    """Writes the results to y: row m, run by run, with its factor and bias, rectified; a NaN stays one."""
    zero, plane = splat(ZERO), g.oh * g.ow
    for m in range(rows):
        f, b = splat(factor[m] if g.scaled else ONE), splat(bias[m] if g.biased else ZERO)
        source, out = shift(c, (m // MR * panels * MR + m % MR) * NR), shift(y, m * plane)
        for r in range(count):
            q, n = runs[3 * r + 1], runs[3 * r + 2]
            s, d = shift(source, q // NR * MR * NR + q % NR), shift(out, runs[3 * r])
            for j in range(0, n, VL):
                v = fma(load(shift(s, j)), f, b)
                store_first(shift(d, j), greater(zero, v) if g.relu else v, n - j)


@helper
def cut_corners(g, first, runs, count, ends):
    """ends[r]: how many rows of corners of a run are in the image, and how many results of each."""
    for r in range(count):
        place = first + runs[3 * r + 1]
        ends[2 * r] = min(g.step_h, g.oh - place // g.qw % g.qh * g.step_h)
        ends[2 * r + 1] = min(g.ow - place % g.qw * g.step_w, runs[3 * r + 2] * g.step_w)


@helper
def merge_corners(g, c, panels, tiles, rows, runs, count, ends, y):
    """Writes the results to y: row m, run by run, those of all corners side by side; what leaves the image is none.
    Meanwhile the lines of row m + 1 come, which lie too far off to be foreseen."""
    apart, plane = tiles * panels * MR * NR, g.oh * g.ow
    for m in range(rows):
        source, out = shift(c, (m // MR * panels * MR + m % MR) * NR), shift(y, m * plane)
        for r in range(count):
            q, n, length = runs[3 * r + 1], runs[3 * r + 2], ends[2 * r + 1]
            s, d = shift(source, q // NR * MR * NR + q % NR), shift(out, runs[3 * r])
            for i in range(ends[2 * r]):
                later = shift(d, (plane if m + 1 < rows else 0) + i * g.ow)
                for k in range(0, length, 16):
                    own(shift(later, k))
                merge_row(shift(d, i * g.ow), length, 0, g.step_w, n, shift(s, i * g.step_w * apart), apart)


@helper
def locate(g, first, last, runs):
    """The runs of the pixels in the input or its padded copy, and the copy's first and last virtual row."""
    image, row = g.groups * g.channels * g.height * g.width, g.sh * g.width
    if g.plain:
        return find_runs(first, last, g.qh, g.qw, image, row, 1, 0, NR, runs), 0, 0
    length = g.phases * g.pitch
    begin, end = rows_met(first, last, g.qh, g.qw, g.sh, g.tall)
    start = (first // (g.qh * g.qw) * g.tall + begin) * length
    return find_runs(first, last, g.qh, g.qw, g.tall * length, g.sh * length, 1, start, NR, runs), begin, end


@helper
def locate_results(g, first, last, runs):
    """The runs of the pixels in the output; a whole image is one row where there is one corner."""
    image = g.groups * g.rows * g.oh * g.ow
    if g.step_h == 1 and g.step_w == 1:
        return find_runs(first, last, 1, g.qh * g.qw, image, 0, 1, 0, NR, runs)
    return find_runs(first, last, g.qh, g.qw, image, g.step_h * g.ow, g.step_w, 0, NR, runs)


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
    x, w, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    table = shift(table, len(g))
    group, tile0 = item // g.blocks % g.groups, item // (g.blocks * g.groups) * g.part
    first = item % g.blocks * g.size
    last = min(first + g.size, g.batch * g.qh * g.qw)
    tiles, panels = min(g.part, g.tiles - tile0), (last - first + NR - 1) // NR
    row0 = group * g.rows + tile0 * MR
    work = shift(work, thread * g.work)
    runs, lines, b, c = integers(work), integers(shift(work, g.lines_at)), shift(work, g.b_at), shift(work, g.c_at)
    x = shift(x, group * g.channels * g.height * g.width)
    w = shift(w, group * (g.tiles * MR if g.packed else g.rows) * g.channels * g.used)
    count, begin, end = locate(g, first, last, runs)
    list_taps(g, table, lines)
    for c0 in range(0, g.channels, g.some):
        k = gather(g, x, c0, first // (g.qh * g.qw), begin, end, work, table, runs, count)
        multiply(g, w, c0, b, k, last - first, tile0, tiles, table, lines, c)
    count, y = locate_results(g, first, last, runs), shift(y, row0 * g.oh * g.ow)
    rows = min(tiles * MR, g.rows - tile0 * MR)
    if g.step_h == 1 and g.step_w == 1:
        finish(g, c, panels, rows, runs, count, y, shift(factor, row0), shift(bias, row0))
    else:
        ends = shift(runs, 3 * (g.size + 1))
        cut_corners(g, first, runs, count, ends)
        merge_corners(g, c, panels, tiles, rows, runs, count, ends, y)
