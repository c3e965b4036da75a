"""Transposing VL x VL blocks in registers."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I32, I64, VL, first_lanes, masked_load, masked_store

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


def _make(adds):
    @intrinsic
    def turn(typingctx, src, across, rows, n, dst, along, lanes):
        """dst[j * along + i] = (or +=) src[i * across + j] for i < lanes and j < n, both at most VL; only the first
        `rows` rows of src exist, and stand in for those past them."""

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
                where = bld.gep(dst, [bld.mul(here, along)])
                if adds:
                    value = bld.fadd(value, masked_load(bld, where, mask))
                masked_store(bld, where, value, mask)
            return context.get_dummy_value()

        count = types.intp
        return types.void(pointer, count, count, count, pointer, count, count), codegen

    return turn


turn, turn_add = _make(False), _make(True)
