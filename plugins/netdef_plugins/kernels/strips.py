"""Strips of VL columns, several rows of results at a time in registers: a row of pixels is read once for all it meets.

Kernels are `size` x `size` with a stride of `step`. Masks are integers, a bit a float: `valid` tells which floats from
a pointer on exist; where `whole` is set all do. `first` is the first row that is met; those that the plane of `rows` x
`width` does not have are left out.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .interleave import merged, parted
from .native import inlined
from .simd import I64, MASK, VECTOR, VL, fma_function, masked_load, masked_store, splat_value, vec, vector_at

pointer, count = types.CPointer(types.float32), types.intp
ROWS = 4 if VL == 8 else 7
"""Rows of results, with one tap each and some pixels: of 16 registers with AVX2, else of 32."""
REACH = 48
"""Floats that a mask tells of: as many as VL results meet, taps and stride included."""


@inlined
def lanes(low, high):
    """The mask of the floats from low to before high."""
    low, high = min(max(low, 0), REACH), min(max(high, 0), REACH)
    return (1 << high) - (1 << min(low, high))


def vectors(n):
    return types.UniTuple(vec, n)


def number(n):
    return ir.Constant(I64, n)


def values(bld, several, n):
    return [bld.extract_value(several, i) for i in range(n)]


def window(bld, valid, i):
    """The mask of the VL floats from the i-th on."""
    return bld.bitcast(bld.trunc(bld.lshr(valid, number(i)), ir.IntType(VL)), MASK)


def read(bld, p, valid, n, step, whole, met=None):
    """For each j < n the vector of p[j], p[j + step] and so on; of each only the floats in `met` from p[j] on."""

    def some(at, j, v):
        mask = window(bld, valid, j + v * VL)
        return masked_load(bld, at, bld.and_(mask, window(bld, met, v * VL)) if met else mask)

    found = []
    for j in range(0, n, step):
        places = [bld.gep(p, [number(j + v * VL)]) for v in range(step)]
        if whole:
            found += parted(bld, [bld.load(vector_at(bld, at), align=4) for at in places])
        else:
            found += parted(bld, [some(at, j, v) for v, at in enumerate(places)])
    return found[:n]


def each_row(bld, p, first, rows, width, n, sums, add):
    """sums after add(r, pointer to row first + r, sums) for each r < n that there is.

    Two rows far apart take turns, as neighbours add to the same sums and would wait for each other.
    """
    fn, half = bld.function, -(-n // 2)
    for r in sorted(range(n), key=lambda r: (r % half, r)):
        row, before = bld.add(first, number(r)), bld.block
        known, after = fn.append_basic_block("row"), fn.append_basic_block("after")
        bld.cbranch(bld.icmp_unsigned("<", row, rows), known, after)
        bld.position_at_end(known)
        found, end = add(r, bld.gep(p, [bld.mul(row, width)]), list(sums)), bld.block
        bld.branch(after)
        bld.position_at_end(after)
        for i, (old, new) in enumerate(zip(sums, found, strict=True)):
            if old is not new:
                sums[i] = bld.phi(VECTOR)
                sums[i].add_incoming(old, before)
                sums[i].add_incoming(new, end)
    return sums


def splats(bld, p, n):
    return [splat_value(bld, bld.load(bld.gep(p, [number(i)])), VECTOR) for i in range(n)]


def make_correlate(size, step, n, whole):
    @intrinsic
    def correlate(typingctx, sums, x, first, rows, width, valid, taps):
        """sums[o] + the products of the taps with the windows in the rows of x from first + o * step on."""

        def codegen(context, bld, signature, args):
            sums, x, first, rows, width, valid, taps = args
            fma, w = fma_function(bld.module), splats(bld, taps, size * size)

            def add(r, p, sums):
                met = [(o, r - o * step) for o in range(n) if 0 <= r - o * step < size]
                for j, pixels in enumerate(read(bld, p, valid, size, step, whole)):
                    for o, i in met:
                        sums[o] = bld.call(fma, [w[i * size + j], pixels, sums[o]])
                return sums

            sums = each_row(bld, x, first, rows, width, (n - 1) * step + size, values(bld, sums, n), add)
            return context.make_tuple(bld, signature.return_type, sums)

        return vectors(n)(vectors(n), pointer, count, count, count, count, pointer), codegen

    return correlate


def make_spread(size, step, n, whole):
    """The transpose of `correlate`: n rows of dy's pixels become n * step rows, each of `step` vectors to be merged."""
    many, back = n * step * step, (size - 1) // step

    @intrinsic
    def spread(typingctx, sums, dy, first, rows, width, valid, taps):
        """sums[q, i, j] + the products of dy, from the first row and column that reach it on, with its taps."""

        def codegen(context, bld, signature, args):
            sums, dy, first, rows, width, valid, taps = args
            fma, w = fma_function(bld.module), splats(bld, taps, size * size)

            def add(r, p, sums):
                given = read(bld, p, valid, back + 1, 1, whole)
                met = [(q, i, (q + back - r) * step + i) for q in range(n) for i in range(step)]
                for j in range(size):
                    for q, i, tap in met:
                        if 0 <= tap < size:
                            at = (q * step + i) * step + j % step
                            sums[at] = bld.call(fma, [w[tap * size + j], given[back - j // step], sums[at]])
                return sums

            sums = each_row(bld, dy, first, rows, width, n + back, values(bld, sums, many), add)
            return context.make_tuple(bld, signature.return_type, sums)

        return vectors(many)(vectors(many), pointer, count, count, count, count, pointer), codegen

    return spread


def make_collect(size, step, n, whole):
    many = size * size

    @intrinsic
    def collect(typingctx, sums, x, first, rows, width, valid, dy, pitch, given, seen):
        """sums[i, j] + the products of n rows of dy, `pitch` apart, with the pixels that tap (i, j) meets there.

        `given` masks the pixels of dy, `seen` as many windows as there are.
        """

        def codegen(context, bld, signature, args):
            sums, x, first, rows, width, valid, dy, pitch, given, seen = args
            lines = [bld.gep(dy, [bld.mul(pitch, number(o))]) for o in range(n)]
            fma, known = fma_function(bld.module), [read(bld, line, given, 1, 1, whole)[0] for line in lines]

            def add(r, p, sums):
                met = [(o, (r - o * step) * size) for o in range(n) if 0 <= r - o * step < size]
                for j, pixels in enumerate(read(bld, p, valid, size, step, whole, seen)):
                    for o, tap in met:
                        sums[tap + j] = bld.call(fma, [known[o], pixels, sums[tap + j]])
                return sums

            sums = each_row(bld, x, first, rows, width, (n - 1) * step + size, values(bld, sums, many), add)
            return context.make_tuple(bld, signature.return_type, sums)

        places = pointer, count, count, count, count, pointer, count, count, count
        return vectors(many)(vectors(many), *places), codegen

    return collect


def make_put(n):
    @intrinsic
    def put(typingctx, y, width, sums, valid, least):
        """Stores n rows `width` apart; what is less than `least` becomes that, a NaN stays one."""

        def codegen(context, bld, signature, args):
            y, width, sums, valid, least = args
            for i, value in enumerate(values(bld, sums, n)):
                value = bld.select(bld.fcmp_ordered(">", least, value), least, value)
                masked_store(bld, bld.gep(y, [bld.mul(width, number(i))]), value, window(bld, valid, 0))
            return context.get_dummy_value()

        return types.void(pointer, count, vectors(n), count, vec), codegen

    return put


def make_merge(step, n):
    many = n * step * step

    @intrinsic
    def merge(typingctx, dx, first, rows, width, valid, sums):
        """Stores n * step rows, the lanes of `step` vectors in turns."""

        def codegen(context, bld, signature, args):
            dx, first, rows, width, valid, sums = args
            sums = values(bld, sums, many)

            def put(i, p, none):
                for v, value in enumerate(merged(bld, sums[i * step : (i + 1) * step])):
                    masked_store(bld, bld.gep(p, [number(v * VL)]), value, window(bld, valid, v * VL))
                return none

            each_row(bld, dx, first, rows, width, n * step, [], put)
            return context.get_dummy_value()

        return types.void(pointer, count, count, count, count, vectors(many)), codegen

    return merge


def make_alike(n):
    @intrinsic
    def alike(typingctx, v):
        """The same vector n times."""

        def codegen(context, bld, signature, args):
            return context.make_tuple(bld, signature.return_type, [args[0]] * n)

        return vectors(n)(vec), codegen

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
