"""Vectors, typed pointers and atomics for compiled kernels, as intrinsics that Numba turns into single instructions."""

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

from . import host

F32, I1, I32, I64 = ir.FloatType(), ir.IntType(1), ir.IntType(32), ir.IntType(64)


VL = host.width()
ZERO = np.float32(0)  # never made from memory: what a scratch buffer holds may be NaN, and 0 * NaN is NaN
ONE = np.float32(1)
VECTOR, MASK = ir.VectorType(F32, VL), ir.VectorType(I1, VL)


class Vec(types.Type):
    """VL floats in one register."""

    def __init__(self):
        super().__init__(name=f"Vec{VL}")


vec = Vec()


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, VECTOR)


def lane_indices(bits):
    kind = ir.IntType(bits)
    return ir.Constant(ir.VectorType(kind, VL), [ir.Constant(kind, i) for i in range(VL)])


def splat_value(bld, value, kind):
    """A vector of `kind` that holds `value` in every lane."""
    nobody = ir.Constant(kind, ir.Undefined)
    first = bld.insert_element(nobody, value, ir.Constant(I32, 0))
    return bld.shuffle_vector(first, nobody, ir.Constant(ir.VectorType(I32, kind.count), None))


def first_lanes(bld, n):
    """The mask of the lanes below n (an i64)."""
    count = splat_value(bld, bld.trunc(n, I32), ir.VectorType(I32, VL))
    return bld.icmp_signed("<", lane_indices(32), count)


def lanes_between(bld, low, high, first=0):
    """The mask of the lanes i for which low <= first + i < high, both i64."""
    kind = ir.VectorType(I32, VL)
    lanes = ir.Constant(kind, [ir.Constant(I32, first + i) for i in range(VL)])
    low, high = (splat_value(bld, bld.trunc(n, I32), kind) for n in (low, high))
    return bld.and_(bld.icmp_signed("<=", low, lanes), bld.icmp_signed("<", lanes, high))


def vector_at(bld, p, i=None):
    return bld.bitcast(p if i is None else bld.gep(p, [i]), VECTOR.as_pointer())


def masked_load(bld, p, mask, others=None):
    """The lanes of the mask from p on; in the rest those of `others`, or zeros."""
    return _load_lanes(bld, p, mask, others or ir.Constant(ir.VectorType(F32, mask.type.count), None), "f32", 4)


def masked_byte_load(bld, p, mask, others):
    """As bytes."""
    return _load_lanes(bld, p, mask, others, "i8", 1)


def _load_lanes(bld, p, mask, others, lane, align):
    where = bld.bitcast(p, others.type.as_pointer())
    kind = ir.FunctionType(others.type, [where.type, I32, mask.type, others.type])
    fn = cgutils.get_or_insert_function(bld.module, kind, f"llvm.masked.load.v{others.type.count}{lane}.p0")
    return bld.call(fn, [where, ir.Constant(I32, align), mask, others])


def masked_store(bld, p, value, mask):
    """The lanes of the mask from p on; memory beside them is not touched."""
    _store_lanes(bld, p, value, mask, "f32", 4)


def masked_byte_store(bld, p, value, mask):
    """As bytes."""
    _store_lanes(bld, p, value, mask, "i8", 1)


def byte_store(bld, p, value, mask):
    """Stores the lanes of the mask, numbers from -1 (which becomes 255) to 254, as bytes."""
    value = bld.trunc(bld.fptosi(value, ir.VectorType(I32, VL)), ir.VectorType(ir.IntType(8), VL))
    masked_byte_store(bld, p, value, mask)


def _store_lanes(bld, p, value, mask, lane, align):
    """In one instruction with AVX-512. AVX2 has one too; with it a channel's 3 x 3 kernel takes up to three times as
    long on an AMD processor."""
    if VL < 16:
        return _store_parts(bld, p, value, mask, align)
    where = bld.bitcast(p, value.type.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [value.type, where.type, I32, mask.type])
    fn = cgutils.get_or_insert_function(bld.module, kind, f"llvm.masked.store.v{value.type.count}{lane}.p0")
    bld.call(fn, [value, where, ir.Constant(I32, align), mask])


def _store_parts(bld, p, value, mask, align):
    """All lanes at once if the mask has all of them, as most have; none if it has none; else each half so."""
    n = value.type.count
    bits, half = bld.bitcast(mask, ir.IntType(n)), ir.VectorType(I32, n // 2)
    with bld.if_else(bld.icmp_unsigned("==", bits, ir.Constant(bits.type, -1))) as (whole, some):
        with whole:
            bld.store(value, bld.bitcast(p, value.type.as_pointer()), align=align)
        with some, bld.if_then(bld.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))):
            for first in (0, n // 2) if n > 1 else ():
                lanes = ir.Constant(half, list(range(first, first + n // 2)))
                part, known = (bld.shuffle_vector(v, v, lanes) for v in (value, mask))
                _store_parts(bld, bld.gep(p, [ir.Constant(I64, first)]), part, known, align)


def fma_function(module):
    return cgutils.get_or_insert_function(module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{VL}f32")


@intrinsic
def shift(typingctx, p, n):
    """The pointer n elements further on."""

    def codegen(context, bld, signature, args):
        return bld.gep(args[0], [args[1]])

    return p(p, types.intp), codegen


@intrinsic
def same(typingctx, a, b):
    """Whether two pointers are equal. A loop from one to the other gets no vectors where they overlap, so in place it
    must be written over one of them."""

    def codegen(context, bld, signature, args):
        return bld.icmp_unsigned("==", *(bld.ptrtoint(p, I64) for p in args))

    return types.boolean(a, b), codegen


@intrinsic
def load(typingctx, p):
    """VL floats from p on."""

    def codegen(context, bld, signature, args):
        return bld.load(vector_at(bld, args[0]), align=4)

    return vec(p), codegen


@intrinsic
def load_halves(typingctx, p, q):
    """VL / 2 floats from p on, then as many from q on."""

    def codegen(context, bld, signature, args):
        half = ir.VectorType(F32, VL // 2)
        parts = [bld.load(bld.bitcast(a, half.as_pointer()), align=4) for a in args]
        return bld.shuffle_vector(*parts, ir.Constant(ir.VectorType(I32, VL), list(range(VL))))

    return vec(p, p), codegen


@intrinsic
def store(typingctx, p, v):
    def codegen(context, bld, signature, args):
        bld.store(args[1], vector_at(bld, args[0]), align=4)
        return context.get_dummy_value()

    return types.void(p, vec), codegen


@intrinsic
def load_first(typingctx, p, n):
    """The first n floats from p on, zeros in the other lanes; memory past them is not touched."""

    def codegen(context, bld, signature, args):
        return masked_load(bld, args[0], first_lanes(bld, args[1]))

    return vec(p, types.intp), codegen


@intrinsic
def store_first(typingctx, p, v, n):
    def codegen(context, bld, signature, args):
        masked_store(bld, args[0], args[1], first_lanes(bld, args[2]))
        return context.get_dummy_value()

    return types.void(p, vec, types.intp), codegen


@intrinsic
def splat(typingctx, x):
    """x in every lane."""

    def codegen(context, bld, signature, args):
        return splat_value(bld, args[0], VECTOR)

    return vec(types.float32), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c."""

    def codegen(context, bld, signature, args):
        return bld.call(fma_function(bld.module), args)

    return vec(vec, vec, vec), codegen


@intrinsic
def greater(typingctx, a, b):
    """The larger of a and b in every lane (b where a is NaN)."""

    def codegen(context, bld, signature, args):
        return bld.select(bld.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return vec(vec, vec), codegen


def _binary(op, method):
    @intrinsic
    def apply(typingctx, a, b):
        def codegen(context, bld, signature, args):
            return getattr(bld, method)(*args)

        return vec(vec, vec), codegen

    @overload(op)
    def of_vectors(a, b):
        if isinstance(a, Vec) and isinstance(b, Vec):
            return lambda a, b: apply(a, b)


_binary(operator.add, "fadd")
_binary(operator.sub, "fsub")
_binary(operator.mul, "fmul")
_binary(operator.truediv, "fdiv")


@intrinsic
def keep_larger(typingctx, v, best, place, tap):
    """best and place, with v and tap in the lanes where v is larger, or NaN."""

    def codegen(context, bld, signature, args):
        v, best, place, tap = args
        better = bld.or_(bld.fcmp_ordered(">", v, best), bld.fcmp_unordered("uno", v, v))
        kept = bld.select(better, v, best), bld.select(better, tap, place)
        return context.make_tuple(bld, signature.return_type, kept)

    return types.UniTuple(vec, 2)(vec, vec, vec, vec), codegen


@intrinsic
def total(typingctx, v):
    """The sum of the lanes, by halves."""

    def codegen(context, bld, signature, args):
        value, width = args[0], VL
        while width > 1:
            width //= 2
            low = ir.Constant(ir.VectorType(I32, width), list(range(width)))
            high = ir.Constant(ir.VectorType(I32, width), list(range(width, 2 * width)))
            value = bld.fadd(bld.shuffle_vector(value, value, low), bld.shuffle_vector(value, value, high))
        return bld.extract_element(value, ir.Constant(I32, 0))

    return types.float32(vec), codegen


def _view(kind, doc):
    @intrinsic
    def view(typingctx, p):
        def codegen(context, bld, signature, args):
            return bld.bitcast(args[0], context.get_value_type(types.CPointer(kind)))

        return types.CPointer(kind)(p), codegen

    view.__doc__ = doc
    return view


integers = _view(types.int64, "The same memory as int64.")
places = _view(types.int32, "The same memory as int32.")
