"""Convolution with one tap: images are matrices, read where they lie as the weights are, and results are written once.
With a stride, every so many pixels are."""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import plan as planning
from . import threads
from .native import fields, helper, task, unpack
from .plan import ITEMS_PER_THREAD, PLAIN, End, Plan, apart, round_up, scratch
from .simd import F32, I64, VECTOR, VL, first_lanes, fma_function, masked_load, masked_store, shift, splat_value
from .steps import spread_rows, take_rows
from .tile import MR, NR, NV, Loop, multiply_add, prefetch, zeros

# Floats of the input that all rows meet before the next are read: they stay in a second-level cache.
RUN = 32 * 1024
# Weights that a first-level cache holds, however they lie.
CLOSE = 8 * 1024
# Rows of pixels that are asked for before they are met, where all of a tile are more than that.
SOON = 12
# Weights that no second-level cache holds, and pixels of images that are cut into many runs then.
MANY, LARGE = 1024 * 1024, 1024
pointer = types.CPointer(types.float32)


class Geometry(NamedTuple):
    """What an item needs to know."""

    groups: int
    channels: int  # of the input, in a group
    rows: int  # channels of the output, in a group
    plane: int  # pixels that are met of an image, or results
    tiles: int
    size: int  # pixels of an item
    blocks: int  # of an image
    part: int  # tiles of rows in an item
    run: int  # pixels that all rows meet before the next are read
    soon: int  # floats from pixels to those that come nearer meanwhile
    every: int  # floats of a group's weights; from those of a tile of rows to the next's, of a row, and of a channel
    apart: int
    across: int
    along: int
    height: int  # of the images that are met, or of the results if back, `sh` and `sw` pixels apart
    width: int
    qw: int
    sh: int
    sw: int
    back: int
    work: int
    scaled: int
    biased: int
    relu: int


geometry = fields(Geometry)


def _number(bld, p, row, given, otherwise):
    """p[row] in every lane, or another number where p is not given."""
    spare = cgutils.alloca_once_value(bld, ir.Constant(F32, otherwise))
    return splat_value(bld, bld.load(bld.select(given, bld.gep(p, [row]), spare)), VECTOR)


def put_row(bld, sums, ends, row, c, plane, rows, masks):
    """Stores the sums of one row times its factor, plus its bias, rectified; nothing where it is none of the `rows`. A
    NaN stays one."""
    known, none = bld.icmp_signed("<", row, rows), ir.Constant(masks[0].type, None)
    row, masks = bld.select(known, row, ir.Constant(I64, 0)), [bld.select(known, m, none) for m in masks]
    out = bld.gep(c, [bld.mul(plane, row)])
    factor, scaled, bias, biased, relu = ends
    f, b = _number(bld, factor, row, scaled, 1.0), _number(bld, bias, row, biased, 0.0)
    never = splat_value(bld, ir.Constant(F32, float("-inf")), VECTOR)
    low = bld.select(relu, ir.Constant(VECTOR, None), never)
    for v, (value, mask) in enumerate(zip(sums, masks, strict=True)):
        value = bld.call(fma_function(bld.module), [value, f, b])
        value = bld.select(bld.fcmp_ordered("<", value, low), low, value)
        masked_store(bld, bld.gep(out, [ir.Constant(I64, v * VL)]), value, mask)


def _begin_fetch(bld, far, begun, pieces, plane):
    """Where a piece of NR pixels of a later run lies, and which it is of its row."""
    row, place = bld.udiv(begun, pieces), bld.urem(begun, pieces)
    return [bld.gep(far, [bld.add(bld.mul(row, plane), bld.mul(place, ir.Constant(I64, NR)))]), place]


def _fetch(bld, piece, place, pieces, plane):
    """Asks for a piece, and moves on to the next, row after row: memory is slow to jump between rows."""
    for v in range(NV):
        prefetch(bld, bld.gep(piece, [ir.Constant(I64, v * VL)]), near=2)
    place = bld.add(place, ir.Constant(I64, 1))
    ended, beside = bld.icmp_signed("==", place, pieces), bld.gep(piece, [ir.Constant(I64, NR)])
    below = bld.gep(beside, [bld.sub(plane, bld.mul(pieces, ir.Constant(I64, NR)))])
    return [bld.select(ended, below, beside), bld.select(ended, ir.Constant(I64, 0), place)]


def _sums(bld, rows, along, b, plane, soon, k, masks, begun, fetch):
    """The products of rows of weights, `along` floats apart, with the pixels at b, while those `soon` floats on come
    nearer; what is fetched from afar goes on from `begun`."""
    several = MR * len(masks)
    loop = Loop(bld, k, zeros(several) + begun)
    begun = fetch(*loop.carried[several:])
    at, bk = bld.mul(loop.index, along), bld.gep(b, [bld.mul(plane, loop.index)])
    vectors, later = [], bld.gep(bk, [soon])
    for v, mask in enumerate(masks):
        prefetch(bld, bld.gep(later, [ir.Constant(I64, (v + 1) * VL - 1)]))  # no line is missed in between
        vectors.append(masked_load(bld, bld.gep(bk, [ir.Constant(I64, v * VL)]), mask))
    sums = multiply_add(bld, [bld.gep(row, [at]) for row in rows], vectors, loop.carried[:several])
    return loop.end(sums + begun)[:several]


def row_places(bld, p, across, rows, count):
    """Where `count` rows begin, `across` floats apart; the last of the `rows` that exist stands in for more."""
    last, found = bld.sub(rows, ir.Constant(I64, 1)), []
    for i in range(count):
        here = ir.Constant(I64, i)
        here = bld.select(bld.icmp_signed("<", here, last), here, last)
        found.append(bld.gep(p, [bld.mul(here, across)]))
    return found


def _make(nv, whole, ahead=False):
    @intrinsic
    def tile(
        ctx, w, across, along, b, plane, soon, k, c, factor, scaled, bias, biased, relu, rows, n, far, begun, pieces
    ):
        """C[rows, n] = W B and what becomes of it: the rows of W `across` floats apart, its columns `along`, the rows
        of B and C `plane`. If ahead, meanwhile k pieces of the rows from `far` on come nearer, from piece `begun` on,
        of which a row has so many.

        rows is at most MR and n at most nv * VL, and just that if whole.
        """

        def codegen(context, bld, signature, args):
            w, across, along, b, plane, soon, k, c, *ends, rows, n, far, begun, pieces = args
            factor, scaled, bias, biased, relu = ends
            all_lanes, masks = ir.Constant(I64, VL), []
            for v in range(nv):
                masks.append(first_lanes(bld, all_lanes if whole else bld.sub(n, ir.Constant(I64, v * VL))))
            known = ir.Constant(I64, MR) if whole else rows

            def fetch(*at):
                return _fetch(bld, *at, pieces, plane) if ahead else []

            begun = _begin_fetch(bld, far, begun, pieces, plane) if ahead else []
            sums = _sums(bld, row_places(bld, w, across, known, MR), along, b, plane, soon, k, masks, begun, fetch)
            ends = factor, truth(bld, scaled), bias, truth(bld, biased), truth(bld, relu)
            for i in range(MR):
                put_row(bld, sums[i * nv : (i + 1) * nv], ends, ir.Constant(I64, i), c, plane, known, masks)
            return context.get_dummy_value()

        p, i = pointer, types.intp
        return types.void(p, i, i, p, i, i, i, p, p, i, p, i, i, i, i, p, i, i), codegen

    return tile


def truth(bld, flag):
    return bld.icmp_signed("!=", flag, ir.Constant(I64, 0))


whole_tile, edge_tile, thin_tile = _make(NV, True), _make(NV, False), _make(1, False)
first_tile = _make(NV, False, True)


@helper
def multiply_block(g, x, w, factor, bias, y, tile0, end, first, last):
    """The pixels first .. last - 1 of an image meet the tiles of rows tile0 .. end - 1; the first of these brings the
    next run nearer."""
    k, s, r, d, e, i = g.channels, g.scaled, g.relu, g.across, g.along, g.soon
    for run in range(first, last, g.run):
        far, pieces = shift(x, run + g.run), g.run // NR
        for m in range(tile0, end):
            row, rows = m * MR, min(MR, g.rows - m * MR)
            a, f, b = shift(w, m * g.apart), shift(factor, row), shift(bias, row)
            for q in range(run, min(run + g.run, last), NR):
                n, source, out, begun = min(NR, last - q), shift(x, q), shift(y, row * g.plane + q), (q - run) // NR * k
                if m == tile0 and run + g.run < last:
                    first_tile(a, d, e, source, g.plane, i, k, out, f, s, b, g.biased, r, rows, n, far, begun, pieces)
                elif n == NR and rows == MR:
                    whole_tile(a, d, e, source, g.plane, i, k, out, f, s, b, g.biased, r, rows, n, far, begun, pieces)
                elif n > VL:
                    edge_tile(a, d, e, source, g.plane, i, k, out, f, s, b, g.biased, r, rows, n, far, begun, pieces)
                else:
                    thin_tile(a, d, e, source, g.plane, i, k, out, f, s, b, g.biased, r, rows, n, far, begun, pieces)


@task
def pack_columns(job, item, thread):
    """A tile of rows of w[groups * channels, rows], side by side: where they lie, each channel's are a line of memory
    for themselves, and many fall on one place of the first cache."""
    w, packed, table = unpack(job, "aan")
    g = geometry(table)
    group, tile = item // g.tiles, item % g.tiles
    source, out = shift(w, group * g.channels * g.rows + tile * MR), shift(packed, item * g.apart)
    rows = min(MR, g.rows - tile * MR)
    for k in range(g.channels):
        for i in range(rows):
            out[k * MR + i] = source[k * g.rows + i]


@task
def multiply_image(job, item, thread):
    """One block of pixels of one group of one image, for one part of the rows. What is met with a stride is brought
    together before, what goes apart is put there behind: in between it stays with the core, which saves a fifth."""
    x, w, factor, bias, y, work, table = unpack(job, "aaaaaan")
    g = geometry(table)
    parts = (g.tiles + g.part - 1) // g.part
    tile0, block, image = item % parts * g.part, item // parts % g.blocks, item // (parts * g.blocks)
    group, k, stepped, whole = image % g.groups, g.channels, g.sh * g.sw > 1, g.height * g.width
    first, last, end = block * g.size, min(g.plane, (block + 1) * g.size), min(tile0 + g.part, g.tiles)
    x = shift(x, image * k * (g.plane if g.back else whole))
    y = shift(y, image * g.rows * (whole if g.back else g.plane))
    source, target = x, y
    if stepped and g.back:
        target = shift(work, thread * g.work)
    elif stepped:
        source = shift(work, thread * g.work)
        for c in range(k):
            take_rows(shift(x, c * whole), shift(source, c * g.plane), first // g.qw, (last - 1) // g.qw + 1,
                      g.height, g.width, g.plane // g.qw, g.qw, g.sh, g.sw)  # fmt: skip
    w, factor, bias = shift(w, group * g.every), shift(factor, group * g.rows), shift(bias, group * g.rows)
    multiply_block(g, source, w, factor, bias, target, tile0, end, first, last)
    if stepped and g.back:
        for m in range(tile0 * MR, min(end * MR, g.rows)):
            spread_rows(shift(target, m * g.plane), shift(y, m * whole), first // g.qw, (last - 1) // g.qw + 1,
                        g.height, g.width, g.qw, g.sh, g.sw)  # fmt: skip


def pays(batch: int, channels: int, rows: int, plane: int) -> bool:
    """Whether the lanes wasted at the images' ends cost less than packing weights and pixels, in lanes measured on one
    core; and all weights are not read from afar again and again, as each run of a large image meets them."""
    wasted = batch * (round_up(plane, VL) - plane)
    cheap = wasted * channels * rows <= 24 * channels * rows + batch * (6 * plane + 13 * NR) * (channels + rows)
    return cheap and (channels * rows < MANY or plane < LARGE)


def suits(kernel, pad, stride, batch: int, channels: int, rows: int, out: tuple[int, int]) -> bool:
    """Whether a convolution's images, or every stride-th pixel of them, are matrices, and it gains by their being left
    where they lie."""
    return kernel == (1, 1) and pad == (0, 0) and pays(batch, channels, rows, out[0] * out[1])


def _weights(groups: int, channels: int, rows: int, pixels: int, backward: bool) -> tuple[int, int, int, int, int]:
    """Where weights lie, as Geometry's every, apart, across and along; and the floats they take if they are packed."""
    if not backward:
        return rows * channels, MR * channels, channels, 1, 0
    size = round_up(rows, MR) * channels
    if pixels < planning.PIXELS or not CLOSE < size * groups <= planning.WEIGHTS:
        return rows * channels, MR, 1, rows, 0
    return size, MR * channels, 1, MR, groups * size


def plan(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], grid: tuple[int, int],
         stride: tuple[int, int], backward: bool, end: End = PLAIN) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of w[groups * rows, channels], or w[groups * channels, rows] if backward, times the matrices
    x[batch, groups * channels, *grid]: every stride-th pixel of each image, of x or if backward of y; the others of y
    get zero. Then the items that pack the weights before, and the floats they take (0 where they are read where they
    lie)."""
    tiles, wanted, images, plane = -(-rows // MR), ITEMS_PER_THREAD * threads.count(), batch * groups, grid[0] * grid[1]
    stepped = stride != (1, 1)
    size = round_up(-(-plane // -(-wanted // images)), grid[1] if stepped else NR)
    blocks = -(-plane // size)
    part = -(-tiles // -(-wanted // (blocks * images)))
    run = max(NR, min(round_up(size, NR), RUN // channels // NR * NR))
    every, between, across, along, packed = _weights(groups, channels, rows, batch * plane, backward)
    work = apart((rows if backward else channels) * plane) if stepped else 0
    soon = NR if channels * NR <= CLOSE else SOON * plane
    table = Geometry(groups=groups, channels=channels, rows=rows, plane=plane, tiles=tiles, size=size, blocks=blocks,
                     part=part, run=run, soon=soon, every=every, apart=between, across=across, along=along,
                     height=image[0], width=image[1], qw=grid[1], sh=stride[0], sw=stride[1], back=backward, work=work,
                     **end._asdict())  # fmt: skip
    items = images * blocks * -(-tiles // part)
    return Plan(np.array(table, np.int64), items, scratch(work) if stepped else 0), groups * tiles, packed


def multiply(x, w, factor, bias, y, plan: tuple[Plan, int, int]) -> None:
    """Runs the plan."""
    (table, items, floats), packs, packed = plan
    if packed:
        kept = threads.scratch("weights", packed)
        threads.run(pack_columns, packs, w, kept, table)
        w = kept
    threads.run(multiply_image, items, x, w, factor, bias, y, threads.scratch("work", floats), table)
