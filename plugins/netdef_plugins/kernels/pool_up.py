"""Gradients of columns of windows, down a plane: what windows further down add to stays in registers."""

from numba.core import cgutils, types
from numba.extending import intrinsic

from .interleave import merged
from .pool2d import Windows
from .pool_columns import NOTHING, Columns, constant, each_window, floats, number, octets, tag
from .simd import masked_byte_load, masked_store
from .tile import Loop


class _OfLargest:
    """dy where the tag is the tap's."""

    def __init__(self, columns, winner, zeros):
        self.columns, self.winner, self.zeros = columns, winner, columns.bld.bitcast(zeros, winner.type)

    def row(self, o, found, parts):
        """The function that says what tap (a, b) gives of a row of windows."""
        columns, bld = self.columns, self.columns.bld
        rows = columns.rows(self.winner, o, columns.g.oh, columns.g.ow, self.zeros)
        tags = [columns.read(rows, part, tag(0), masked_byte_load) for part in parts]

        def given(a, b):
            here = bld.icmp_unsigned("==", tags[b // columns.stride], tag(a * columns.kernel + b))
            return bld.select(here, found[b // columns.stride], NOTHING)

        return given


class _OfMean:
    """dy / the window's size."""

    def __init__(self, columns, wide, zeros):
        self.columns, self.wide = columns, wide

    def row(self, o, found, parts):
        bld, columns = self.columns.bld, self.columns
        tall, wide = columns.size(o), [self.wide] * columns.planes
        sizes = [bld.fmul(tall, columns.read(wide, part, constant(1))) for part in parts]
        shares = [bld.fdiv(*both) for both in zip(found, sizes, strict=True)]
        return lambda a, b: shares[b // columns.stride]


def _walk(columns, kind, dx, dy, zeros, trash):
    bld, g, kernel, stride = columns.bld, columns.g, columns.kernel, columns.stride
    moves, more = range(-(-kernel // stride)), kernel - stride
    parts, put = [columns.windows(move) for move in moves], columns.pixels()
    last = bld.sdiv(bld.add(bld.add(g.h, g.ph), number(stride - 1)), number(stride))
    loop = Loop(bld, last, [NOTHING] * (more * stride))
    sums = [loop.carried[a : a + stride] for a in range(0, more * stride, stride)]
    sums += [[None] * stride for _ in range(stride)]
    rows = columns.rows(dy, loop.index, g.oh, g.ow, zeros)
    given = kind.row(loop.index, [columns.read(rows, part, NOTHING) for part in parts], parts)
    for a in range(kernel):
        for b in range(kernel):
            old, new = sums[a][b % stride], given(a, b)
            sums[a][b % stride] = new if old is None else bld.fadd(old, new)
    top = bld.sub(bld.mul(loop.index, number(stride)), g.ph)
    for a in range(stride):
        rows = columns.rows(dx, bld.add(top, number(a)), g.h, g.w, trash)
        for v, parts in zip(merged(bld, sums[a]), put, strict=True):
            for k, at, mask in parts:
                masked_store(bld, bld.gep(rows[k], [at]), v, mask)
    loop.end([v for line in sums[stride:] for v in line])


def _make(kind, notes):
    @intrinsic
    def up(typingctx, g, narrow, dx, dy, notes_, zeros, trash, first, second):
        """The gradients of the pixels that columns begin with, from the first on, of one plane or where they are narrow
        of the plane `second` after it too, from the tags or the widths. Rows of dy above and below are `zeros`; what is
        beside dx goes to `trash`, a row of it."""

        def codegen(context, bld, signature, args):
            g, narrow, dx, dy, notes_, zeros, trash, first, second = args
            g = Windows(*cgutils.unpack_tuple(bld, g))

            def emit(*window):
                columns = Columns(bld, g, *window, first, second)
                _walk(columns, kind(columns, notes_, zeros), dx, dy, zeros, trash)

            each_window(bld, g, narrow, emit)
            return context.get_dummy_value()

        number_ = types.intp
        return types.void(g, types.boolean, floats, floats, notes, floats, floats, number_, number_), codegen

    return up


largest_up, mean_up = _make(_OfLargest, octets), _make(_OfMean, floats)
