"""The backward pass of a 3 x 3 or 5 x 5 convolution whose results are fewer than its pixels, by Winograd's transforms
transposed: squares of gradients are spread over the pixels that they were computed from, and added where these overlap.
Squares of pixels, as winograd meets them, would be more, and partly see nothing but zeros."""

import numpy as np

from . import threads, winograd_plan
from .gather import pad_channels
from .interleave import merge4
from .native import helper, task, unpack
from .plan import ITEMS_PER_THREAD, apart, round_up, scratch
from .simd import VL, ZERO, load, load_first, shift, splat, store_first
from .squares import gather_pixels, spread_square
from .winograd import APART, WM, WN, Geometry, copy_square, geometry, multiply, transform_weights


@helper
def see_gradients(g, dy, first, last, work, seen):
    """seen[point, panel, channel, WN]: the squares first .. last - 1 of all channels, whole images."""
    padded, packed, room = shift(work, g.padded_at), shift(work, g.packed_at), shift(work, g.room_at)
    panels, plane, squares = (last - first + WN - 1) // WN, g.height * g.width, g.qh * g.qw
    point, row, image = (panels * g.channels + 1) * WN, 4 * g.pitch, g.groups * g.channels * plane
    dy = shift(dy, first // squares * image)
    for c in range(g.channels):
        pad_channels(padded, shift(dy, c * plane), 1, g.height, g.width, image, g.tall, 0, 0, 4, 4, g.pitch,
                     0, (last - first) // squares * g.tall)  # fmt: skip
        q = 0
        while q < last - first:
            n = min(g.qw - q % g.qw, last - first - q, WN - q % WN)
            source = shift(padded, q // g.qw * 4 * row + q % g.qw)
            copy_square(4, shift(packed, q // WN * 16 * WN + q % WN), source, g.pitch, n)
            q += n
        for p in range(panels):
            for v in range(0, WN, VL):
                out = shift(seen, (p * g.channels + c) * WN + v)
                spread_square(g.n, shift(packed, p * 16 * WN + v), 4 * WN, WN, out, g.n * point, point, room)


@helper
def line_up(n, square, lines):
    """Each of n rows of n vectors in two lines of 4 * VL pixels: below each square, and what it reaches over."""
    zero = splat(ZERO)
    for i in range(n):
        s, line = shift(square, i * n * VL), shift(lines, 8 * i * WN)
        far = shift(s, 4 * VL)
        merge4(line, 0, 4 * VL, (load(s), load(shift(s, VL)), load(shift(s, 2 * VL)), load(shift(s, 3 * VL))))
        a, b = load(far), load(shift(far, VL))
        if n == 8:
            merge4(shift(line, 4 * WN), 0, 4 * VL, (a, b, load(shift(far, 2 * VL)), load(shift(far, 3 * VL))))
        else:
            merge4(shift(line, 4 * WN), 0, 4 * VL, (a, b, zero, zero))


@helper
def add_line(row, width, left, line, n):
    """row[left + j] += line[j] for j < n, where that is one of 0 .. width - 1."""
    begin, end = max(0, -left), min(n, width - left)
    for j in range(begin, end, VL):
        d, some = shift(row, left + j), end - j
        store_first(d, load_first(d, some) + load_first(shift(line, j), some), some)


@helper
def add_squares(g, products, panels, rows, first, last, top, left, work, dx):
    """Transforms the products of some rows back and adds them to dx, the squares' image being its first."""
    room = shift(work, g.room_at)
    square, lines, points = shift(room, 64 * VL), shift(room, 128 * VL), g.n * g.n
    image, plane = g.groups * g.rows * g.oh * g.ow, g.oh * g.ow
    for m in range(rows):
        for p in range(panels):
            for v in range(0, WN, VL):
                source = shift(products, (m // WM * panels + p) * points * APART + m % WM * WN + v)
                gather_pixels(g.n, source, g.n * APART, APART, square, g.n * VL, VL, room)
                line_up(g.n, square, shift(lines, 4 * v))
            q = p * WN
            while q < min(last - first, (p + 1) * WN):
                n = min(g.qw - q % g.qw, last - first - q, WN - q % WN)
                out = shift(dx, q // (g.qh * g.qw) * image + m * plane)
                h, w = q // g.qw % g.qh * 4 + top, q % g.qw * 4 + left
                for i in range(max(0, -h), min(g.n, g.oh - h)):
                    row, line = shift(out, (h + i) * g.ow), shift(lines, 8 * i * WN + q % WN * 4)
                    add_line(row, g.ow, w, line, 4 * n)
                    add_line(row, g.ow, w + 4, shift(line, 4 * WN), 4 * n)
                q += n


@task
def spread_images(job, item, thread):
    """Some images of one group."""
    dy, u, dx, work, table = unpack(job, "aaaan")
    g = geometry(table)
    pad, squares = shift(table, len(g)), g.qh * g.qw
    group, first = item // g.blocks, item % g.blocks * g.size
    last = min(first + g.size, g.batch * squares)
    panels, points, plane = (last - first + WN - 1) // WN, g.n * g.n, g.oh * g.ow
    work = shift(work, thread * g.work)
    seen, products = shift(work, g.side_at), shift(work, g.products_at)
    see_gradients(g, shift(dy, group * g.channels * g.height * g.width), first, last, work, seen)
    for image in range(first // squares, last // squares):
        out, size = shift(dx, (image * g.groups + group) * g.rows * plane), g.rows * plane
        for j in range(0, size, VL):
            store_first(shift(out, j), splat(ZERO), size - j)
    dx, point = shift(dx, first // squares * g.groups * g.rows * plane), (g.tiles * g.channels + 1) * WM
    for tile0 in range(0, g.tiles, g.some):
        some, row0 = min(g.some, g.tiles - tile0), group * g.rows + tile0 * WM
        part = shift(u, group * points * point + tile0 * g.channels * WM)
        multiply(points, part, point, seen, g.channels, panels, some, products)
        rows = min(some * WM, g.rows - tile0 * WM)
        add_squares(g, products, panels, rows, first, last, -pad[0], -pad[1], work, shift(dx, row0 * plane))


def plan(kernel: int, batch: int, groups: int, channels: int, rows: int, given: tuple[int, int],
         image: tuple[int, int], pad: tuple[int, int]) -> tuple[np.ndarray, int, int, int, int]:  # fmt: skip
    """The plan of a pass from dy[batch, groups * channels, *given] to dx[batch, groups * rows, *image]: the table, the
    items of either task, floats of weights and of scratch."""
    n, qh, qw, tiles, taps = kernel + 3, -(-given[0] // 4), -(-given[1] // 4), -(-rows // WM), kernel * kernel
    points, squares = n * n, qh * qw
    fair = -(-batch * groups // (ITEMS_PER_THREAD * threads.count()))
    images = min(batch, fair, winograd_plan.POINTS // (points * squares))
    size, blocks = images * squares, -(-batch // images)
    wide = round_up(size, WN)
    some = max(1, min(tiles, winograd_plan.PRODUCTS // (wide * points * WM)))
    packed_at = round_up(images * qh * 4 * 4 * (qw + 1) + 64, 16)
    room_at = packed_at + wide * 16 + 64
    side_at = room_at + 128 * VL + 64 * WN
    products_at = side_at + round_up(points * (channels * wide + WN) + 64, 16)
    work = apart(products_at + some * wide // WN * points * APART)
    g = Geometry(
        n=n, batch=batch, groups=groups, channels=channels, height=given[0], width=given[1], rows=rows, tiles=tiles,
        qh=qh, qw=qw, oh=image[0], ow=image[1], tall=4 * qh, top=0, left=0, pitch=qw + 1, across=taps,
        along=rows * taps, flip=0, size=size, blocks=blocks, some=some, deep=channels, padded_at=0,
        packed_at=packed_at, room_at=room_at, side_at=side_at, products_at=products_at, work=work, scaled=0, biased=0,
        relu=0,
    )  # fmt: skip
    kept = groups * points * (tiles * channels + 1) * WM
    return np.array([*g, *pad], np.int64), groups * tiles, groups * blocks, kept, scratch(work)


def spread(dy, w, factor, bias, dx, plan) -> None:
    """Runs the plan; there is no factor and no bias."""
    table, firsts, seconds, weights, floats = plan
    kept, work = threads.scratch("weights", weights), threads.scratch("work", floats)
    threads.run(transform_weights, firsts, w, kept, work, table)
    threads.run(spread_images, seconds, dy, kept, dx, work, table)
