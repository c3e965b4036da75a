"""Strips of columns, several rows of results at a time in registers: a row of pixels is read once for all it meets.

Kernels are `size` x `size` with a stride of `step`. A vector holds VL columns of a plane, or half as many of each of
two planes (`parts`), whose floats are `apart`. Masks are integers, a bit a float: `valid` tells which floats from a
pointer on exist. Where `whole` is set all floats do, and all rows; else rows that the plane of `rows` x `width` does
not have, of which `first` is the first, count as zeros.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .interleave import parted
from .native import inlined
from .simd import (
    F32,
    I32,
    I64,
    VECTOR,
    VL,
    fma_function,
    masked_load,
    splat_value,
    vec,
    vector_at,
)

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


def shuffled(bld, a, b, picks):
    return bld.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(picks)), picks))


def window(bld, valid, i, n=VL):
    """The mask of the n floats from the i-th on."""
    return bld.bitcast(bld.trunc(bld.lshr(valid, number(i)), ir.IntType(n)), ir.VectorType(ir.IntType(1), n))


def both_parts(bld, p, apart, parts):
    """The pointers to the parts."""
    return [p, bld.gep(p, [apart])][:parts]


def take_line(bld, places, valid, i, whole, given=None):
    """A vector of equal parts from the i-th float of the places on; of those only what is in `given`, too."""
    n = VL // len(places)
    places = [bld.gep(p, [number(i)]) for p in places]
    if whole:
        return bld.load(vector_at(bld, places[0]), align=4)
    mask = window(bld, valid, i, n)
    mask = bld.and_(mask, window(bld, given, 0, n)) if given else mask
    found = [masked_load(bld, p, mask) for p in places]
    return found[0] if len(found) == 1 else shuffled(bld, *found, list(range(VL)))


def take_rest(bld, p, n):
    """The n floats from p on as the first of a vector, which needs no more than them to exist, and as many before."""
    size = 1 << (n - 1).bit_length()
    few = ir.VectorType(F32, size)
    found = bld.load(bld.bitcast(bld.gep(p, [number(n - size)]), few.as_pointer()), align=4)
    return shuffled(bld, found, found, [min(size - n + i, size - 1) for i in range(VL)])


def read(bld, places, valid, n, step, whole, given=None):
    """For each j < n the vector of p[j], p[j + step] and so on of the places p; only the lanes in `given`."""
    if step == 1:
        return [take_line(bld, places, valid, j, whole, given) for j in range(n)]
    parts = len(places)
    some, long = VL // parts, step * VL // parts
    found = [take_line(bld, [p], valid, v * VL, whole) for p in places for v in range(step // parts)]
    found = parted(bld, found)
    if n > step:
        more = (
            take_rest(bld, bld.gep(places[0], [number(long)]), n - step)
            if whole
            else take_line(bld, places, valid, long, whole)
        )
    for j in range(step, n):
        lanes = [(k, i + j // step) for k in range(parts) for i in range(some)]
        picks = [k * some + (i if i < some else VL + (i - some) * step + j % step) for k, i in lanes]
        found.append(shuffled(bld, found[j % step], more, picks))
    if given and not whole:
        mask = [window(bld, given, 0, some)] * parts
        mask = mask[0] if parts == 1 else shuffled(bld, *mask, list(range(VL)))
        found = [bld.select(mask, v, ir.Constant(VECTOR, None)) for v in found]
    return found


def fixed(bld, p):
    """The same pointer, of which the compiler knows nothing: it would keep one for each row from strip to strip, and
    has no registers for them."""
    return bld.asm(ir.FunctionType(p.type, [p.type]), "", "=r,0", [p], False)


def each_row(bld, places, first, rows, width, n, whole, sums, add):
    """sums after add(r, places of row first + r, sums) for each r < n that there is.

    Two rows far apart take turns, as neighbours add to the same sums and would wait for each other.
    """
    fn, half = bld.function, -(-n // 2)
    begin = [fixed(bld, bld.gep(p, [bld.mul(first, width)])) for p in places]
    for r in range(n) if whole else sorted(range(n), key=lambda r: (r % half, r)):
        row = [bld.gep(p, [bld.mul(width, number(r))]) for p in begin]
        if whole:
            sums = add(r, row, sums)
            continue
        before, known, after = bld.block, fn.append_basic_block("row"), fn.append_basic_block("after")
        bld.cbranch(bld.icmp_unsigned("<", bld.add(first, number(r)), rows), known, after)
        bld.position_at_end(known)
        found, end = add(r, row, list(sums)), bld.block
        bld.branch(after)
        bld.position_at_end(after)
        for i, (old, new) in enumerate(zip(sums, found, strict=True)):
            if old is not new:
                sums[i] = bld.phi(VECTOR)
                sums[i].add_incoming(old, before)
                sums[i].add_incoming(new, end)
    return sums


def splats(bld, places, turn, n):
    """The first n floats in every lane of its part, from the places on where `turn` is 1, or back where it is -1."""
    found = []
    for i in range(n):
        at = bld.mul(turn, number(i))
        several = [splat_value(bld, bld.load(bld.gep(p, [at])), VECTOR) for p in places]
        found.append(halves(bld, several))
    return found


def halves(bld, several):
    low = ir.Constant(ir.VectorType(ir.IntType(1), VL), [i < VL // 2 for i in range(VL)])
    return several[0] if len(several) == 1 else bld.select(low, *several)


def make_correlate(size, step, n, whole, parts, both=1):
    @intrinsic
    def correlate(typingctx, sums, x, apart, first, rows, width, valid, taps, beside, turn):
        """sums[b, o] + the products of the taps with the windows in the rows of x from first + o * step on.

        Where `both` outputs are met at once, the taps of the other one are `beside`.
        """

        def codegen(context, bld, signature, args):
            sums, x, apart, first, rows, width, valid, taps, beside, turn = args
            fma, kernels = fma_function(bld.module), [both_parts(bld, taps, beside, parts)]
            if both > 1:
                kernels = [[p] for p in both_parts(bld, taps, beside, both)]
            w = [splats(bld, several, turn, size * size) for several in kernels]
            places, tall = both_parts(bld, x, apart, parts), (n - 1) * step + size

            def add(r, row, sums):
                met = [(b, o, r - o * step) for o in range(n) if 0 <= r - o * step < size for b in range(both)]
                for j, pixels in enumerate(read(bld, row, valid, size, step, whole)):
                    for b, o, i in met:
                        at = b * n + o
                        sums[at] = bld.call(fma, [w[b][i * size + j], pixels, sums[at]])
                return sums

            sums = each_row(bld, places, first, rows, width, tall, whole, values(bld, sums, both * n), add)
            return context.make_tuple(bld, signature.return_type, sums)

        places = pointer, count, count, count, count, count, pointer, count, count
        return vectors(both * n)(vectors(both * n), *places), codegen

    return correlate


def make_spread(size, step, n, whole, parts):
    """The transpose of `correlate`: n rows of dy's pixels become n * step rows, each of `step` vectors to be merged."""
    many, back = n * step * step, (size - 1) // step

    @intrinsic
    def spread(typingctx, sums, dy, apart, first, rows, width, valid, taps, beside):
        """sums[q, i, j] + the products of dy, from the first row and column that reach it on, with its taps."""

        def codegen(context, bld, signature, args):
            sums, dy, apart, first, rows, width, valid, taps, beside = args
            fma, w = fma_function(bld.module), splats(bld, both_parts(bld, taps, beside, parts), number(1), size * size)
            places = both_parts(bld, dy, apart, parts)

            def add(r, row, sums):
                given = read(bld, row, valid, back + 1, 1, whole)
                met = [(q, i, (q + back - r) * step + i) for q in range(n) for i in range(step)]
                for j in range(size):
                    for q, i, tap in met:
                        if 0 <= tap < size:
                            at = (q * step + i) * step + j % step
                            sums[at] = bld.call(fma, [w[tap * size + j], given[back - j // step], sums[at]])
                return sums

            sums = each_row(bld, places, first, rows, width, n + back, whole, values(bld, sums, many), add)
            return context.make_tuple(bld, signature.return_type, sums)

        places = pointer, count, count, count, count, count, pointer, count
        return vectors(many)(vectors(many), *places), codegen

    return spread


def make_collect(size, step, n, whole, parts, both=1):
    many = size * size

    @intrinsic
    def collect(typingctx, sums, x, apart, first, rows, width, valid, dy, beside, pitch, given, next):
        """sums[b, i, j] + the products of n rows of dy, `pitch` apart, with the pixels that tap (i, j) meets there, for
        the planes b < both of dy, which are `next` to each other.

        `given` masks the pixels of dy.
        """

        def codegen(context, bld, signature, args):
            sums, x, apart, first, rows, width, valid, dy, beside, pitch, given, next = args
            fma, places, tall = fma_function(bld.module), both_parts(bld, x, apart, parts), (n - 1) * step + size
            known = []
            for b in range(both):
                begin = bld.gep(dy, [bld.mul(next, number(b))])
                begin = [fixed(bld, p) for p in both_parts(bld, begin, beside, parts)]
                lines = [[bld.gep(p, [bld.mul(pitch, number(o))]) for p in begin] for o in range(n)]
                known.append([take_line(bld, line, given, 0, whole) for line in lines])

            def add(r, row, sums):
                met = [(o, (r - o * step) * size) for o in range(n) if 0 <= r - o * step < size]
                met = [(known[b][o], b * many + tap) for o, tap in met for b in range(both)]
                for j, pixels in enumerate(read(bld, row, valid, size, step, whole, given)):
                    for line, tap in met:
                        sums[tap + j] = bld.call(fma, [line, pixels, sums[tap + j]])
                return sums

            sums = each_row(bld, places, first, rows, width, tall, whole, values(bld, sums, both * many), add)
            return context.make_tuple(bld, signature.return_type, sums)

        places = pointer, count, count, count, count, count, pointer, count, count, count, count
        return vectors(both * many)(vectors(both * many), *places), codegen

    return collect
