"""Columns of windows of float32 planes in vectors: VL of one plane, or half as many of two."""

from llvmlite import ir
from numba.core import types

from .simd import F32, I64, VECTOR, VL, lanes_between, masked_load, splat_value

# The windows there are columns of, all squares: size and stride.
WINDOWS = ((2, 2), (3, 2), (3, 1))
BYTES = ir.VectorType(ir.IntType(8), VL)
NOTHING = ir.Constant(VECTOR, None)
floats, octets = types.CPointer(types.float32), types.CPointer(types.uint8)


def number(n):
    return ir.Constant(I64, n)


def constant(x):
    return ir.Constant(VECTOR, [x] * VL)


def tag(n):
    return ir.Constant(BYTES, [n] * VL)


class Columns:
    """The columns of windows from the first-th on, of one plane or, of half as many, the plane `second` after it too.

    `g` are the sizes, a Windows of LLVM's values. A vector's parts are (plane, column in its rows, mask).
    """

    def __init__(self, bld, g, kernel, stride, planes, first, second):
        self.bld, self.g, self.kernel, self.stride, self.planes = bld, g, kernel, stride, planes
        self.first, self.start = first, bld.sub(bld.mul(first, number(stride)), g.pw)
        self.moves = (number(0), second)[:planes]

    def rows(self, p, i, height, pitch, instead):
        """Row i of each plane from p on, or what stands for a row outside them."""
        bld = self.bld
        inside = bld.icmp_unsigned("<", i, height)  # a row above is larger than anything
        rows = (bld.mul(bld.add(i, bld.mul(move, height)), pitch) for move in self.moves)
        return [bld.select(inside, bld.gep(p, [row]), instead) for row in rows]

    def side_by_side(self, at, size):
        """The parts of a vector of columns from `at` on; there are columns 0 .. size - 1."""
        bld, half, parts = self.bld, VL // self.planes, []
        for k in range(self.planes):
            begin, end = number(k * half), number(k * half + half)
            mask = lanes_between(bld, bld.sub(begin, at), bld.add(bld.sub(size, at), begin))
            parts.append((k, bld.sub(at, begin), bld.and_(mask, lanes_between(bld, begin, end))))
        return parts

    def windows(self, before=0):
        """The parts of the vector of windows so many before the columns."""
        return self.side_by_side(self.bld.sub(self.first, number(before)), self.g.ow)

    def in_turns(self, i):
        """The parts of the i-th vector of pixels where two of them go in turns to the columns."""
        plane, i = (i, 0) if self.planes == 2 else (0, i)
        low, high = self.bld.neg(self.start), self.bld.sub(self.g.w, self.start)
        return [(plane, self.bld.add(self.start, number(i * VL)), lanes_between(self.bld, low, high, i * VL))]

    def pixels(self):
        """For each vector of all pixels of the columns its parts."""
        return [self.side_by_side(self.start, self.g.w)] if self.stride == 1 else [self.in_turns(i) for i in range(2)]

    def read(self, rows, parts, outside, load=masked_load):
        """A vector; `outside` where its parts have nothing."""
        for k, at, mask in parts:
            outside = load(self.bld, self.bld.gep(rows[k], [at]), mask, outside)
        return outside

    def size(self, o):
        """How many rows window o has within the padded image, at least 1, as a float in every lane."""
        bld, g = self.bld, self.g
        start = bld.sub(bld.mul(o, number(self.stride)), g.ph)
        ends = bld.add(start, number(self.kernel)), bld.add(g.h, g.ph)
        rows = bld.sub(bld.select(bld.icmp_signed("<", *ends), *ends), start)
        rows = bld.select(bld.icmp_signed("<", rows, number(1)), number(1), rows)
        return splat_value(bld, bld.sitofp(rows, F32), VECTOR)


def each_window(bld, g, narrow, emit):
    """Emits code for every window and number of planes, to be run where it is g's and `narrow` is whether two."""
    for kernel, stride in WINDOWS:
        here = bld.and_(bld.icmp_signed("==", g.kw, number(kernel)), bld.icmp_signed("==", g.sw, number(stride)))
        for planes in (1, 2):
            count = bld.icmp_signed("==", bld.zext(narrow, I64), number(planes - 1))
            with bld.if_then(bld.and_(here, count)):
                emit(kernel, stride, planes)
