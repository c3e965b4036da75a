"""The update of a 3 x 3 or 5 x 5 convolution by Winograd's transforms: sums over squares in place of pixels."""

from typing import NamedTuple

from .gather import clear
from .native import fields, helper, task, unpack
from .simd import VL, ZERO, load, shift, store
from .squares import gather_square, see_square, spread_square
from .turn import turn, turn_add
from .winograd import WM, WN, tile

# Squares that are transposed at a time.
RUN = 16


class Geometry(NamedTuple):
    """Everything an item needs to know."""

    n: int  # points an axis: 6 for 3 taps, 8 for 5
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
    turned_at: (
        int  # where transposed pixels, single squares, and the two sides seen from the points begin in the scratch
    )
    room_at: int
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
        clear(line, begin * VL, ZERO)
        for j in range(begin, end, VL):
            turn(shift(src, h * width + left + j), plane, channels, min(VL, end - j), shift(line, j * VL), VL, VL)
        clear(shift(line, end * VL), (across - end) * VL, ZERO)


@helper
def see_block(g, src, channels, backward, first, last, work, out, lanes, point):
    """out[point, panel, square, lanes] for all channels of x, or of dy where `backward` is set."""
    turned, room = shift(work, g.turned_at), shift(work, g.room_at)
    height, width = (g.oh, g.ow) if backward else (g.height, g.width)
    image = g.groups * (g.rows if backward else g.channels) * height * width
    edge, top, left = (4, 0, 0) if backward else (g.n, g.top, g.left)
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
                    spread_square(g.n, d, across * VL, VL, o, g.n * point, point, room)
                else:
                    see_square(g.n, d, across * VL, VL, o, g.n * point, point, room)
        q += n


@helper
def gather_weights(g, sums, shares, apart, tiles, channels, room, dw):
    """dw += the sums over the shares, `apart` floats apart, as taps again; sums[point, tile, panel, WM, WN]."""
    point, whole, taps = tiles * g.panels * WM * WN, shift(room, 64 * VL), (g.n - 3) * (g.n - 3)
    found, across = shift(room, 128 * VL), g.channels * taps
    for c in range(channels):
        for m in range(0, g.rows, VL):
            s = shift(sums, ((c // WM * g.panels + m // WN) * WM + c % WM) * WN + m % WN)
            for p in range(g.n * g.n):
                v = load(shift(s, p * point))
                for share in range(1, shares):
                    v = v + load(shift(s, p * point + share * apart))
                store(shift(whole, p * VL), v)
            gather_square(g.n, whole, g.n * VL, VL, found, (g.n - 3) * VL, VL, room)
            for t in range(0, taps, VL):
                to = shift(dw, m * across + c * taps + t)
                turn_add(shift(found, t * VL), VL, taps - t, min(VL, g.rows - m), to, across, min(VL, taps - t))


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
    sums = shift(sums, (item if g.shares > 1 else thread) * g.n * g.n * g.some * g.panels * WM * WN)
    b, a = shift(work, g.dy_at), shift(work, g.x_at)
    b_point, a_point = (g.panels * g.size + 1) * WN, (g.some * g.size + 1) * WM
    begun = share * g.blocks // g.shares
    for block in range(begun, (share + 1) * g.blocks // g.shares):
        first = block * g.size
        last = min(first + g.size, squares)
        see_block(g, dy, g.rows, True, first, last, work, b, WN, b_point)
        see_block(g, x, channels, False, first, last, work, a, WM, a_point)
        for p in range(g.n * g.n):
            for c in range(tiles):
                for m in range(g.panels):
                    out = shift(sums, ((p * tiles + c) * g.panels + m) * WM * WN)
                    left, right = shift(a, p * a_point + c * g.size * WM), shift(b, p * b_point + m * g.size * WN)
                    tile(left, right, out, last - first, WN, block > begun)
    if g.shares == 1:
        dw = shift(dw, (group * g.rows * g.channels + c0) * (g.n - 3) * (g.n - 3))
        gather_weights(g, sums, 1, 0, tiles, channels, shift(work, g.room_at), dw)


@task
def add_shares(job, item, thread):
    """Adds the shares of one group and part, transformed back, to dw."""
    dw, sums, work, table = unpack(job, "aaan")
    g = geometry(table)
    part, group = item % g.parts, item // g.parts
    c0, one = part * g.some * WM, g.n * g.n * g.some * g.panels * WM * WN
    channels = min(g.some * WM, g.channels - c0)
    tiles = (channels + WM - 1) // WM
    dw = shift(dw, (group * g.rows * g.channels + c0) * (g.n - 3) * (g.n - 3))
    room = shift(work, thread * g.work + g.room_at)
    gather_weights(g, shift(sums, item * one), g.shares, g.groups * g.parts * one, tiles, channels, room, dw)
