"""The update of a convolution of few channels: dw[m, line] += the scalar product of dy[m] and the line, the pixels that
a tap of a channel meets, which stand side by side as bands.lay leaves them."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .bands import geometry, lay
from .gather import clear
from .native import task, unpack
from .pointwise import row_places
from .simd import I64, ONE, VL, ZERO, first_lanes, fma_function, load, masked_load, shift, splat, total
from .tile import Loop, prefetch, put, zeros

# Rows of dy and lines that a tile multiplies: the products and one side stay in the registers.
ROWS, LINES = (3, 3) if VL == 8 else (4, 6)


def _products(bld, begins, pixels, q, n, sums):
    """sums[i, j] + begins[i][q + v] * pixels[j][q + v] in each lane v < n."""
    fma, mask, out = fma_function(bld.module), first_lanes(bld, n), [None] * len(sums)
    left = [masked_load(bld, bld.gep(p, [q]), mask) for p in begins]
    for j, p in enumerate(pixels):
        right = masked_load(bld, bld.gep(p, [q]), mask)
        for i, a in enumerate(left):
            at = i * len(pixels) + j
            out[at] = bld.call(fma, [a, right, sums[at]])
    return out


@intrinsic
def dot_tile(typingctx, dy, plane, rows, dy_step, x, lines, x_step, n, images, later, sums, more):
    """sums[ROWS, LINES, VL] (+)= dy[i, p] * x[lines[j] + p], summed by lanes over p < n and over images, which follow
    each other at dy_step and x_step; rows of dy are `plane` floats apart; the last of the `rows` stands in for more.

    Meanwhile the row `later`, which will be met, comes nearer. Masks take an eighth of the time: only the last step has
    one."""

    def codegen(context, bld, signature, args):
        dy, plane, rows, dy_step, x, lines, x_step, n, images, later, sums, more = args
        begins = row_places(bld, dy, plane, rows, ROWS)
        offsets = [bld.load(bld.gep(lines, [ir.Constant(I64, j)])) for j in range(LINES)]
        width = ir.Constant(I64, VL)
        steps = bld.sdiv(bld.sub(n, ir.Constant(I64, 1)), width)
        image = Loop(bld, images, zeros(ROWS * LINES))
        mine, theirs = bld.mul(image.index, dy_step), bld.gep(x, [bld.mul(image.index, x_step)])
        begins, pixels = [bld.gep(p, [mine]) for p in begins], [bld.gep(theirs, [at]) for at in offsets]
        step = Loop(bld, steps, image.carried, least=0)
        q = bld.mul(step.index, width)
        prefetch(bld, bld.gep(later, [bld.add(mine, q)]), near=2)
        found = step.end(_products(bld, begins, pixels, q, width, step.carried))
        q = bld.mul(steps, width)
        found = image.end(_products(bld, begins, pixels, q, bld.sub(n, q), found))
        put(bld, found, sums, ir.Constant(I64, LINES * VL), LINES, more)
        return context.get_dummy_value()

    p, i = types.CPointer(types.float32), types.intp
    return types.void(p, i, i, i, p, types.CPointer(types.int64), i, i, i, p, p, types.boolean), codegen


@task
def sum_bands(job, item, thread):
    """kept[share, group, rows / ROWS, lines / LINES, ROWS, LINES, VL]: the products of one share of the bands."""
    x, dy, kept, work, table = unpack(job, "aaaan")
    g = geometry(table)
    columns, depth, plane = shift(table, len(g)), g.channels * g.taps, g.qh * g.qw
    lines, share, group = shift(columns, g.columns), item // g.groups, item % g.groups
    tiles, copies = (depth + g.biased + LINES - 1) // LINES, shift(work, thread * g.work)
    one = ROWS * LINES * VL
    sums = shift(kept, item * ((g.rows + ROWS - 1) // ROWS) * tiles * one)
    blocks = (g.batch + g.images - 1) // g.images * g.bands
    begun = share * blocks // g.shares
    for block in range(begun, (share + 1) * blocks // g.shares):
        image, first = block // g.bands * g.images, block % g.bands * g.tall
        count, size = min(g.images, g.batch - image), min(g.tall, g.qh - first) * g.qw
        for i in range(count):
            mine = shift(copies, i * g.step)
            source = ((image + i) * g.groups + group) * g.channels * g.height * g.width
            lay(g, shift(x, source), first, columns, mine)
            if g.biased:
                clear(shift(mine, lines[depth]), size, ONE)
        for m in range(0, g.rows, ROWS):
            d = shift(dy, ((image * g.groups + group) * g.rows + m) * plane + first * g.qw)
            for k in range(tiles):
                at = shift(sums, (m // ROWS * tiles + k) * one)
                later = shift(d, (ROWS + k) * plane) if k < ROWS and m + ROWS + k < g.rows else d
                dot_tile(d, plane, min(ROWS, g.rows - m), g.groups * g.rows * plane, copies, shift(lines, k * LINES),
                         g.step, size, count, later, at, block > begun)  # fmt: skip


@task
def add_bands(job, item, thread):
    """dw[m, line] += the sums of all shares for ROWS rows of one group, and db[m] those of the line of ones."""
    dw, db, kept, table = unpack(job, "aaan")
    g = geometry(table)
    depth, parts = g.channels * g.taps, (g.rows + ROWS - 1) // ROWS
    tiles, part, group = (depth + g.biased + LINES - 1) // LINES, item % parts, item // parts
    one, row0 = ROWS * LINES * VL, group * g.rows + part * ROWS
    for i in range(min(ROWS, g.rows - part * ROWS)):
        for k in range(depth + g.biased):
            v = splat(ZERO)
            for share in range(g.shares):
                mine = ((share * g.groups + group) * parts + part) * tiles + k // LINES
                v = v + load(shift(kept, mine * one + (i * LINES + k % LINES) * VL))
            if k < depth:
                dw[(row0 + i) * depth + k] += total(v)
            else:
                db[row0 + i] += total(v)
