"""The update of a 3 x 3 convolution with stride 1 by Winograd's transforms: sums over squares in place of pixels."""

from typing import NamedTuple

from .gather import clear
from .native import fields, helper, task, unpack
from .points import gather_axis, input_axis, spread_axis
from .simd import VL, load, shift, store
from .turn import turn, turn_add
from .winograd import WM, WN, tile

# Squares that are transposed at a time.
RUN = 16


class Geometry(NamedTuple):
    """Everything an item needs to know."""

    batch: int
    groups: int
    channels: int  # of x, in a group
    height: int
    width: int
    rows: int  # channels of dy, in a group
    panels: int  # of WN rows
    qh: int  # squares of 4 x 4 gradients, down and across
    qw: int
    oh: int
    ow: int
    top: int
    left: int
    size: int  # squares in a block
    blocks: int
    shares: int  # of the blocks, each summed apart
    some: int  # tiles of WM channels in an item
    parts: int
    turned_at: int  # where transposed pixels, a square, and the two sides seen from the points begin in the scratch
    square_at: int
    dy_at: int
    x_at: int
    work: int


geometry = fields(Geometry)


@helper
def turn_pixels(src, plane, channels, height, width, top, left, down, across, out):
    """out[i, j, VL] = pixel (top + i, left + j) of VL channels, zero outside; only `channels` of them exist."""
    for i in range(down):
        line, h = shift(out, i * across * VL), top + i
        begin = min(max(0, -left), across)
        end = max(begin, min(across, width - left))
        if not 0 <= h < height:
            begin, end = across, across
        clear(line, begin * VL)
        for j in range(begin, end, VL):
            turn(shift(src, h * width + left + j), plane, channels, min(VL, end - j), shift(line, j * VL), VL, VL)
        clear(shift(line, end * VL), (across - end) * VL)


@helper
def see_square(d, across, square, out, point):
    """6 x 6 pixels, from d on, seen from the points: point p goes to out + p * point."""
    for j in range(6):
        s, row = shift(d, j * VL), across * VL
        r = input_axis(load(s), load(shift(s, row)), load(shift(s, 2 * row)), load(shift(s, 3 * row)),
                       load(shift(s, 4 * row)), load(shift(s, 5 * row)))  # fmt: skip
        for i in range(6):
            store(shift(square, (i * 6 + j) * VL), r[i])
    for i in range(6):
        s = shift(square, i * 6 * VL)
        r = input_axis(load(s), load(shift(s, VL)), load(shift(s, 2 * VL)), load(shift(s, 3 * VL)),
                       load(shift(s, 4 * VL)), load(shift(s, 5 * VL)))  # fmt: skip
        for j in range(6):
            store(shift(out, (i * 6 + j) * point), r[j])


@helper
def spread_square(d, across, square, out, point):
    """4 x 4 gradients, from d on, seen from the points."""
    for j in range(4):
        s, row = shift(d, j * VL), across * VL
        r = spread_axis(load(s), load(shift(s, row)), load(shift(s, 2 * row)), load(shift(s, 3 * row)))
        for i in range(6):
            store(shift(square, (i * 4 + j) * VL), r[i])
    for i in range(6):
        s = shift(square, i * 4 * VL)
        r = spread_axis(load(s), load(shift(s, VL)), load(shift(s, 2 * VL)), load(shift(s, 3 * VL)))
        for j in range(6):
            store(shift(out, (i * 6 + j) * point), r[j])


@helper
def see_block(g, src, channels, backward, first, last, work, out, lanes, point):
    """out[point, panel, square, lanes] for all channels of x, or of dy where `backward` is set."""
    turned, square = shift(work, g.turned_at), shift(work, g.square_at)
    height, width = (g.oh, g.ow) if backward else (g.height, g.width)
    image = g.groups * (g.rows if backward else g.channels) * height * width
    edge, top, left = (4, 0, 0) if backward else (6, g.top, g.left)
    q = first
    while q < last:
        n = min(min(g.qw - q % g.qw, last - q), RUN)
        down, right, across = q // g.qw % g.qh * 4 + top, q % g.qw * 4 + left, 4 * n + edge - 4
        source = shift(src, q // (g.qh * g.qw) * image)
        for c in range(0, channels, VL):
            turn_pixels(shift(source, c * height * width), height * width, channels - c, height, width, down, right,
                        edge, across, turned)  # fmt: skip
            panel = shift(out, (c // lanes * g.size + q - first) * lanes + c % lanes)
            for s in range(n):
                d, o = shift(turned, 4 * s * VL), shift(panel, s * lanes)
                if backward:
                    spread_square(d, across, square, o, point)
                else:
                    see_square(d, across, square, o, point)
        q += n


@helper
def gather_weights(g, sums, shares, apart, tiles, channels, square, dw):
    """dw += the sums over the shares, `apart` floats apart, as taps again; sums[point, tile, panel, WM, WN]."""
    point, taps = tiles * g.panels * WM * WN, shift(square, 18 * VL)
    for c in range(channels):
        for m in range(0, g.rows, VL):
            s = shift(sums, ((c // WM * g.panels + m // WN) * WM + c % WM) * WN + m % WN)
            for j in range(6):
                r = gather_axis(total(s, j, point, shares, apart), total(s, 6 + j, point, shares, apart),
                                total(s, 12 + j, point, shares, apart), total(s, 18 + j, point, shares, apart),
                                total(s, 24 + j, point, shares, apart),
                                total(s, 30 + j, point, shares, apart))  # fmt: skip
                for i in range(3):
                    store(shift(square, (i * 6 + j) * VL), r[i])
            for i in range(3):
                a = shift(square, i * 6 * VL)
                r = gather_axis(load(a), load(shift(a, VL)), load(shift(a, 2 * VL)), load(shift(a, 3 * VL)),
                                load(shift(a, 4 * VL)), load(shift(a, 5 * VL)))  # fmt: skip
                for j in range(3):
                    store(shift(taps, (i * 3 + j) * VL), r[j])
            across = g.channels * 9
            turn_add(taps, VL, 9, min(VL, g.rows - m), shift(dw, m * across + c * 9), across, 9)


@helper
def total(sums, p, point, shares, apart):
    """The sum of the shares at point p."""
    v = load(shift(sums, p * point))
    for share in range(1, shares):
        v = v + load(shift(sums, p * point + share * apart))
    return v


@task
def sum_share(job, item, thread):
    """sums[share, group, part, point, tile, panel, WM, WN] over one share of the squares."""
    x, dy, dw, sums, work, table = unpack(job, "aaaaan")
    g = geometry(table)
    part, group, share = item % g.parts, item // g.parts % g.groups, item // (g.parts * g.groups)
    c0, squares = part * g.some * WM, g.batch * g.qh * g.qw
    channels = min(g.some * WM, g.channels - c0)
    tiles = (channels + WM - 1) // WM
    dy = shift(dy, group * g.rows * g.oh * g.ow)
    x = shift(x, (group * g.channels + c0) * g.height * g.width)
    work = shift(work, thread * g.work)
    sums = shift(sums, (item if g.shares > 1 else thread) * 36 * g.some * g.panels * WM * WN)
    b, a = shift(work, g.dy_at), shift(work, g.x_at)
    b_point, a_point = (g.panels * g.size + 1) * WN, (g.some * g.size + 1) * WM
    begun = share * g.blocks // g.shares
    for block in range(begun, (share + 1) * g.blocks // g.shares):
        first = block * g.size
        last = min(first + g.size, squares)
        see_block(g, dy, g.rows, True, first, last, work, b, WN, b_point)
        see_block(g, x, channels, False, first, last, work, a, WM, a_point)
        for p in range(36):
            for c in range(tiles):
                for m in range(g.panels):
                    out = shift(sums, ((p * tiles + c) * g.panels + m) * WM * WN)
                    left, right = shift(a, p * a_point + c * g.size * WM), shift(b, p * b_point + m * g.size * WN)
                    tile(left, right, out, last - first, WN, block > begun)
    if g.shares == 1:
        dw = shift(dw, (group * g.rows * g.channels + c0) * 9)
        gather_weights(g, sums, 1, 0, tiles, channels, shift(work, g.square_at), dw)


@task
def add_shares(job, item, thread):
    """Adds the shares of one group and part, transformed back, to dw."""
    dw, sums, work, table = unpack(job, "aaan")
    g = geometry(table)
    part, group = item % g.parts, item // g.parts
    c0, one = part * g.some * WM, 36 * g.some * g.panels * WM * WN
    channels = min(g.some * WM, g.channels - c0)
    tiles = (channels + WM - 1) // WM
    dw = shift(dw, (group * g.rows * g.channels + c0) * 9)
    square = shift(work, thread * g.work + g.square_at)
    gather_weights(g, shift(sums, item * one), g.shares, g.groups * g.parts * one, tiles, channels, square, dw)
