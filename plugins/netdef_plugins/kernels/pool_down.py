"""The largest and the mean of columns of windows, down a plane; what windows have in common stays in registers."""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .interleave import parted
from .pool2d import Windows
from .pool_columns import NOTHING, Columns, constant, each_window, floats, number, octets, tag
from .simd import F32, I32, VL, fma_function, masked_byte_store, masked_store
from .tile import Loop

LEAST = float(np.finfo(np.float32).min)


class _Pixels:
    """What windows meet of a row of pixels."""

    def __init__(self, columns, outside):
        bld, self.columns, self.outside = columns.bld, columns, constant(outside)
        if columns.stride == 1:
            starts = [bld.add(columns.start, number(b)) for b in range(columns.kernel)]
            self.parts = [columns.side_by_side(start, columns.g.w) for start in starts]
        else:  # and the first pixel after them, where two planes have none
            self.parts = columns.pixels() + [columns.in_turns(2)] * (columns.kernel > 2 and columns.planes == 1)

    def read(self, rows):
        """The vectors that are read, and for each tap the vector of the pixels that the windows have there."""
        columns = self.columns
        found = [columns.read(rows, parts, self.outside) for parts in self.parts]
        if columns.stride == 1:
            return found, found
        taps, half = parted(columns.bld, found[:2]), VL // columns.planes
        if columns.kernel > 2:
            picks = [VL if i % half == half - 1 else i + 1 for i in range(VL)]
            last = [*found[2:], self.outside][0]
            taps.append(columns.bld.shuffle_vector(taps[0], last, ir.Constant(ir.VectorType(I32, VL), picks)))
        return found, taps


class _Largest:
    """Rows of numbers and tags, which say the tap. `state` is 0, or NaN where a number is not finite, or is LEAST."""

    outside, each = LEAST, 2

    def __init__(self, columns, y, winner):
        self.columns, self.y, self.winner, self.state = columns, y, winner, [NOTHING]
        self.kept = columns.windows()
        self.fma = fma_function(columns.bld.module)

    def across(self, found, taps):
        for v in found:
            self._test(v)
        best = taps[0], tag(0)
        for b, tap in enumerate(taps[1:], 1):
            best = self._larger(best, (tap, tag(b)))
        return best

    def put(self, o, rows):
        bld, columns, best, every = self.columns.bld, self.columns, rows[0], None
        for a, (v, tags) in enumerate(rows[1:], 1):
            best = self._larger(best, (v, bld.add(tags, tag(a * columns.kernel))))
        y, winner = (columns.rows(p, o, columns.g.oh, columns.g.ow, p) for p in (self.y, self.winner))
        for k, at, mask in self.kept:
            masked_store(bld, bld.gep(y[k], [at]), best[0], mask)
            masked_byte_store(bld, bld.gep(winner[k], [at]), best[1], mask)
            every = mask if every is None else bld.or_(every, mask)
        self._test(bld.select(every, bld.fadd(best[0], best[0]), NOTHING))

    def _larger(self, a, b):
        """The larger of two pairs, the first of equals."""
        bld = self.columns.bld
        better = bld.fcmp_ordered(">", b[0], a[0])
        return tuple(bld.select(better, *pair) for pair in zip(b, a, strict=True))

    def _test(self, v):
        self.state = [self.columns.bld.call(self.fma, [v, NOTHING, *self.state])]


class _Mean:
    """Rows of sums, divided by the windows' sizes; `wide` has how many columns each window has."""

    outside, each = 0.0, 1

    def __init__(self, columns, y, wide):
        self.columns, self.y, self.state, self.kept = columns, y, [], columns.windows()
        self.wide = columns.read([wide] * columns.planes, self.kept, constant(1))

    def across(self, found, taps):
        return (self._sum(taps),)

    def put(self, o, rows):
        bld, columns = self.columns.bld, self.columns
        mean = bld.fdiv(self._sum([row[0] for row in rows]), bld.fmul(columns.size(o), self.wide))
        y = columns.rows(self.y, o, columns.g.oh, columns.g.ow, self.y)
        for k, at, mask in self.kept:
            masked_store(bld, bld.gep(y[k], [at]), mean, mask)

    def _sum(self, values):
        total = values[0]
        for value in values[1:]:
            total = self.columns.bld.fadd(total, value)
        return total


def _walk(columns, kind, x, outside):
    """Down all windows of a plane; the rows that the next window meets too stay in registers."""
    bld, g, kernel, stride = columns.bld, columns.g, columns.kernel, columns.stride
    pixels = _Pixels(columns, kind.outside)

    def across(row):
        return kind.across(*pixels.read(columns.rows(x, row, g.h, g.w, outside)))

    rows = [across(bld.sub(number(a), g.ph)) for a in range(kernel - stride)]
    loop = Loop(bld, g.oh, [*kind.state, *(v for row in rows for v in row)])
    n, each = len(kind.state), kind.each
    kind.state, kept = loop.carried[:n], loop.carried[n:]
    rows = [tuple(kept[i : i + each]) for i in range(0, len(kept), each)]
    top = bld.sub(bld.mul(loop.index, number(stride)), g.ph)
    rows += [across(bld.add(top, number(a))) for a in range(len(rows), kernel)]
    kind.put(loop.index, rows)
    return loop.end([*kind.state, *(v for row in rows[stride:] for v in row)])[:n]


def _make(kind, notes):
    @intrinsic
    def down(typingctx, g, narrow, x, y, notes_, outside, first, second):
        """Columns of windows of one plane to y, from the first-th on, or where they are narrow all of the plane
        `second` after it too; with their tags, or their widths. `outside` is a row of pixels that stands for what is
        above and below. Returns whether all is well: nothing infinite or NaN, and no largest as small as LEAST."""

        def codegen(context, bld, signature, args):
            g, narrow, x, y, notes_, outside, first, second = args
            g, result = Windows(*cgutils.unpack_tuple(bld, g)), cgutils.alloca_once_value(bld, ir.Constant(F32, 0))

            def emit(*window):
                columns = Columns(bld, g, *window, first, second)
                for v in _walk(columns, kind(columns, y, notes_), x, outside):
                    lanes = [bld.extract_element(v, ir.Constant(I32, i)) for i in range(VL)]
                    while len(lanes) > 1:
                        lanes = [bld.fadd(*pair) for pair in zip(lanes[::2], lanes[1::2], strict=True)]
                    bld.store(lanes[0], result)

            each_window(bld, g, narrow, emit)
            return bld.fcmp_ordered("==", bld.load(result), ir.Constant(F32, 0))

        number_ = types.intp
        return types.boolean(g, types.boolean, floats, floats, notes, floats, number_, number_), codegen

    return down


largest_down, mean_down = _make(_Largest, octets), _make(_Mean, floats)
