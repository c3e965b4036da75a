"""Tiles of scalar products of rows of pixels: rows of one array with rows of another."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .pointwise import row_places
from .simd import I64, VL, first_lanes, fma_function, masked_load
from .strips import shuffled
from .thin_plan import ROWS, SIZES
from .tile import Loop, prefetch, put, zeros

LINES = SIZES[-1]
pointer = types.CPointer(types.float32)


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


def _halved(bld, a, b, size):
    """The sums of the halves of each `size` lanes of two vectors, those of the first before those of the other."""
    low = [i for i in range(2 * VL) if i % size < size // 2]
    picks = low, [i + size // 2 for i in low]
    return bld.fadd(*(shuffled(bld, a, b, some) for some in picks))


def _totals(bld, sums):
    """The sum of each vector's lanes, VL to a vector."""
    sums, size = sums + zeros(-len(sums) % VL), VL
    while size > 1:
        sums = [_halved(bld, a, b, size) for a, b in zip(sums[::2], sums[1::2], strict=True)]
        size //= 2
    return sums


def _put(bld, found, sums, more):
    totals = _totals(bld, found)
    put(bld, totals, sums, ir.Constant(I64, len(totals) * VL), len(totals), more)


def _sum(bld, begins, row_step, x, offsets, line_step, n, images, later):
    """The products of all rows with all lines over n pixels of some images; meanwhile what is `later` comes nearer.
    Masks take an eighth of the time: only the last step has one."""
    width = ir.Constant(I64, VL)
    steps = bld.sdiv(bld.sub(n, ir.Constant(I64, 1)), width)
    image = Loop(bld, images, zeros(len(begins) * len(offsets)))
    mine, theirs = bld.mul(image.index, row_step), bld.gep(x, [bld.mul(image.index, line_step)])
    begins, pixels = [bld.gep(p, [mine]) for p in begins], [bld.gep(theirs, [at]) for at in offsets]
    step = Loop(bld, steps, image.carried, least=0)
    q = bld.mul(step.index, width)
    for row in later:
        prefetch(bld, bld.gep(row, [bld.add(mine, q)]), near=2)
    found = step.end(_products(bld, begins, pixels, q, width, step.carried))
    q = bld.mul(steps, width)
    return image.end(_products(bld, begins, pixels, q, bld.sub(n, q), found))


@intrinsic
def dot_tile(typingctx, dy, plane, rows, dy_step, x, lines, x_step, n, images, later, sums, more):
    """sums[ROWS, LINES] (+)= dy[i, p] * x[lines[j] + p], summed over p < n and over images, which follow
    each other at dy_step and x_step; rows of dy are `plane` floats apart; the last of the `rows` stands in for more.

    Meanwhile the row `later`, which will be met, comes nearer.
    """

    def codegen(context, bld, signature, args):
        dy, plane, rows, dy_step, x, lines, x_step, n, images, later, sums, more = args
        begins = row_places(bld, dy, plane, rows, ROWS)
        offsets = [bld.load(bld.gep(lines, [ir.Constant(I64, j)])) for j in range(LINES)]
        found = _sum(bld, begins, dy_step, x, offsets, x_step, n, images, [later])
        _put(bld, found, sums, more)
        return context.get_dummy_value()

    p, i = pointer, types.intp
    return types.void(p, i, i, i, p, types.CPointer(types.int64), i, i, i, p, p, types.boolean), codegen


def make_open(lines, fetched):
    @intrinsic
    def tile(typingctx, a, rows, a_step, b, few, b_step, plane, n, images, later, sums, more):
        """sums[ROWS, lines] (+)= a[i, p] * b[j, p], summed over p < n and over images, which follow each
        other at a_step and b_step; rows of both are `plane` floats apart; the last that exists stands in for more.

        Meanwhile the rows from `later` on, where `fetched`, come nearer.
        """

        def codegen(context, bld, signature, args):
            a, rows, a_step, b, few, b_step, plane, n, images, later, sums, more = args
            offsets = [bld.mul(plane, ir.Constant(I64, i)) for i in range(max(ROWS, lines))]
            last = bld.sub(few, ir.Constant(I64, 1))
            known = [ir.Constant(I64, j) for j in range(lines)]
            known = [bld.mul(plane, bld.select(bld.icmp_signed("<", j, last), j, last)) for j in known]
            soon = [bld.gep(later, [at]) for at in offsets[:ROWS]] if fetched else []
            found = _sum(bld, row_places(bld, a, plane, rows, ROWS), a_step, b, known, b_step, n, images, soon)
            _put(bld, found, sums, more)
            return context.get_dummy_value()

        p, i = pointer, types.intp
        return types.void(p, i, i, p, i, i, i, i, i, p, p, types.boolean), codegen

    return tile
