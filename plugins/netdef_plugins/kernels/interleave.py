"""Rows of pixels parted by a stride, and put together again, in registers; memory outside a row is not touched."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I32, I64, VECTOR, VL, first_lanes, lanes_between, masked_load, masked_store, splat_value, vec

pointer, count = types.CPointer(types.float32), types.intp


def _shuffled(bld, a, b, picks):
    return bld.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, VL), list(picks)))


def parted(bld, vectors):
    """Every n-th lane of n vectors in a row as one, for each of the n places to begin."""
    if len(vectors) == 1:
        return vectors
    pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
    halves = [[_shuffled(bld, a, b, range(odd, 2 * VL, 2)) for a, b in pairs] for odd in range(2)]
    return [v for both in zip(*(parted(bld, half) for half in halves), strict=True) for v in both]


def merged(bld, vectors):
    """The lanes of n vectors in turns, as n vectors in a row."""
    if len(vectors) == 1:
        return vectors
    even, odd = (merged(bld, vectors[i::2]) for i in range(2))
    halves = [[first + i // 2 + i % 2 * VL for i in range(VL)] for first in (0, VL // 2)]
    return [_shuffled(bld, a, b, picks) for a, b in zip(even, odd, strict=True) for picks in halves]


def _windows(bld, p, low, high, n):
    """n vectors in a row from p on: pointers, and masks of the floats from low to before high."""
    return [(bld.gep(p, [ir.Constant(I64, i * VL)]), lanes_between(bld, low, high, i * VL)) for i in range(n)]


def _make_split(step):
    @intrinsic
    def split(typingctx, src, low, high, outside, dst, apart, parts, n):
        """The first n <= VL of every step-th float of src to dst, those beside them to dst + apart, and so on, for
        `parts` <= step of them; only src[low] .. src[high - 1] is read, all else is `outside`."""

        def codegen(context, bld, signature, args):
            src, low, high, outside, dst, apart, parts, n = args
            others = splat_value(bld, outside, VECTOR)
            found = [masked_load(bld, p, mask, others) for p, mask in _windows(bld, src, low, high, step)]
            for f, part in enumerate(parted(bld, found)):
                here = ir.Constant(I64, f)
                wanted = bld.select(bld.icmp_signed("<", here, parts), n, ir.Constant(I64, 0))
                masked_store(bld, bld.gep(dst, [bld.mul(apart, here)]), part, first_lanes(bld, wanted))
            return context.get_dummy_value()

        return types.void(pointer, count, count, types.float32, pointer, count, count, count), codegen

    return split


@intrinsic
def evens(typingctx, a, b):
    """Every second lane of two vectors in a row."""

    def codegen(context, bld, signature, args):
        return parted(bld, args)[0]

    return vec(vec, vec), codegen


def _make_merge(step):
    @intrinsic
    def merge(typingctx, dst, low, high, vectors):
        """Stores the lanes of a tuple of vectors in turns from dst on, but only to dst[low] .. dst[high - 1]."""

        def codegen(context, bld, signature, args):
            dst, low, high, vectors = args
            found = merged(bld, [bld.extract_value(vectors, i) for i in range(step)])
            for (p, mask), value in zip(_windows(bld, dst, low, high, step), found, strict=True):
                masked_store(bld, p, value, mask)
            return context.get_dummy_value()

        return types.void(pointer, count, count, types.UniTuple(vec, step)), codegen

    return merge


split1, split2, split4 = (_make_split(step) for step in (1, 2, 4))
merge1, merge2, merge4 = (_make_merge(step) for step in (1, 2, 4))
