"""Transposing VL x VL blocks in registers."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I32, I64, VL, byte_store, first_lanes, masked_load, masked_store

pointer = types.CPointer(types.float32)


def _transposed(bld, rows):
    """The columns of VL vectors, by swapping ever smaller off-diagonal blocks."""
    rows, half = list(rows), VL // 2
    while half:
        lanes = range(VL)
        low = [lane if not lane & half else VL + lane - half for lane in lanes]
        high = [lane + half if not lane & half else VL + lane for lane in lanes]
        for i in (i for i in range(VL) if not i & half):
            a, b = rows[i], rows[i + half]
            for where, picks in ((i, low), (i + half, high)):
                rows[where] = bld.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, VL), picks))
        half //= 2
    return rows


def _add(bld, where, value, mask):
    masked_store(bld, where, bld.fadd(value, masked_load(bld, where, mask)), mask)


def _make(put, kind):
    pointer_to = types.CPointer(kind)

    @intrinsic
    def turn(typingctx, src, across, rows, n, dst, along, lanes):
        """dst[j * along + i] = (or +=, or as a byte) src[i * across + j] for i < lanes and j < n, both at most VL; only
        the first `rows` rows of src exist, and stand in for those past them."""

        def codegen(context, bld, signature, args):
            src, across, rows, n, dst, along, lanes = args
            columns, last, values = first_lanes(bld, n), bld.sub(rows, ir.Constant(I64, 1)), []
            for i in range(VL):
                here = ir.Constant(I64, i)
                known = bld.select(bld.icmp_signed("<", here, last), here, last)
                values.append(masked_load(bld, bld.gep(src, [bld.mul(known, across)]), columns))
            for j, value in enumerate(_transposed(bld, values)):
                here = ir.Constant(I64, j)
                mask = first_lanes(bld, bld.select(bld.icmp_signed("<", here, n), lanes, ir.Constant(I64, 0)))
                put(bld, bld.gep(dst, [bld.mul(here, along)]), value, mask)
            return context.get_dummy_value()

        count = types.intp
        return types.void(pointer, count, count, count, pointer_to, count, count), codegen

    return turn


turn, turn_add, turn_bytes = (
    _make(masked_store, types.float32),
    _make(_add, types.float32),
    _make(byte_store, types.uint8),
)
