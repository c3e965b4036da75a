"""What strips begin and end with: sums in registers, rows to be stored, memory to be asked for. Arguments are as in
`strips`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .interleave import merged
from .native import inlined
from .simd import VECTOR, VL, masked_store, shift, splat_value, vector_at
from .strips import both_parts, count, fixed, halves, number, pointer, shuffled, values, vectors, window
from .tile import prefetch

LINE = 16
"""Floats of a cache line."""


def put_line(bld, places, value, mask):
    """Stores the lanes of a mask; of two parts each to its place."""
    if len(places) == 1:
        return masked_store(bld, places[0], value, mask)
    for k, p in enumerate(places):
        masked_store(bld, p, shuffled(bld, value, value, list(range(k * VL // 2, (k + 1) * VL // 2))), mask)


def put_rows(bld, places, first, rows, width, n, put):
    """put(i, places of row first + i) for each i < n that there is."""
    begin = [fixed(bld, bld.gep(p, [bld.mul(first, width)])) for p in places]
    for i in range(n):
        with bld.if_then(bld.icmp_unsigned("<", bld.add(first, number(i)), rows)):
            put(i, [bld.gep(p, [bld.mul(width, number(i))]) for p in begin])


def make_put(n, parts, both=1):
    @intrinsic
    def put(typingctx, y, apart, first, rows, width, valid, sums):
        """Stores n rows from row `first` on; of `both` planes, if they were met at once."""

        def codegen(context, bld, signature, args):
            y, apart, first, rows, width, valid, sums = args
            sums, mask = values(bld, sums, both * n), window(bld, valid, 0, VL // parts)

            def put(i, places):
                for b in range(both):
                    put_line(bld, places[b : b + parts], sums[b * n + i], mask)

            put_rows(bld, both_parts(bld, y, apart, max(parts, both)), first, rows, width, n, put)
            return context.get_dummy_value()

        return types.void(pointer, count, count, count, count, count, vectors(both * n)), codegen

    return put


def make_rectify(n):
    @intrinsic
    def rectify(typingctx, sums):
        """n vectors with zeros for what is less; a NaN stays one."""

        def codegen(context, bld, signature, args):
            zero = ir.Constant(VECTOR, None)
            found = [bld.select(bld.fcmp_ordered(">", zero, v), zero, v) for v in values(bld, args[0], n)]
            return context.make_tuple(bld, signature.return_type, found)

        return vectors(n)(vectors(n)), codegen

    return rectify


def make_merge(step, n, parts):
    many = n * step * step

    @intrinsic
    def merge(typingctx, dx, apart, first, rows, width, valid, sums):
        """Stores n * step rows, the lanes of `step` vectors in turns."""

        def codegen(context, bld, signature, args):
            dx, apart, first, rows, width, valid, sums = args
            sums = values(bld, sums, many)

            def put(i, places):
                found = merged(bld, sums[i * step : (i + 1) * step])
                places = [(p, v * VL) for p in places for v in range(step // parts)]
                for (p, at), value in zip(places, found, strict=True):
                    masked_store(bld, bld.gep(p, [number(at)]), value, window(bld, valid, at))

            put_rows(bld, both_parts(bld, dx, apart, parts), first, rows, width, n * step, put)
            return context.get_dummy_value()

        return types.void(pointer, count, count, count, count, count, vectors(many)), codegen

    return merge


def make_alike(n, both=1):
    @intrinsic
    def alike(typingctx, a, b):
        """The same vector n times: a in its first half, b in the other. Or n times a, then b, for `both`."""

        def codegen(context, bld, signature, args):
            several = [splat_value(bld, v, VECTOR) for v in args]
            several = several if both > 1 else [halves(bld, several)]
            return context.make_tuple(bld, signature.return_type, [v for v in several for _ in range(n)])

        return vectors(both * n)(types.float32, types.float32), codegen

    return alike


def make_take(n):
    @intrinsic
    def take(typingctx, p):
        """n vectors from p on."""

        def codegen(context, bld, signature, args):
            found = [bld.load(vector_at(bld, args[0], number(i * VL)), align=4) for i in range(n)]
            return context.make_tuple(bld, signature.return_type, found)

        return vectors(n)(pointer), codegen

    return take


def make_give(n):
    @intrinsic
    def give(typingctx, p, sums):
        """Stores n vectors from p on."""

        def codegen(context, bld, signature, args):
            for i, value in enumerate(values(bld, args[1], n)):
                bld.store(value, vector_at(bld, args[0], number(i * VL)), align=4)
            return context.get_dummy_value()

        return types.void(pointer, vectors(n)), codegen

    return give


@intrinsic
def ask_line(typingctx, p):
    """Asks for the cache line at p, which may be no memory at all.

    To the second cache, and not to write: in the first, rows of a plane fall on few places and take each other's.
    """

    def codegen(context, bld, signature, args):
        prefetch(bld, args[0], near=1)
        return context.get_dummy_value()

    return types.void(p), codegen


@inlined
def ask(p, lines):
    """Asks for so many cache lines from p on."""
    for i in range(lines):
        ask_line(shift(p, i * LINE))
