"""s^(-1/4) of rows of float32 by Newton's steps, which need no division; float64 takes the exact one."""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .native import helper
from .simd import VECTOR, VL, load, shift, splat, store, vec


@intrinsic
def guess(typingctx, s):
    """s^(-1/4) to 3%: a float's bits are about its logarithm."""

    def codegen(context, bld, signature, args):
        kind = ir.IntType(32)
        quarter = bld.lshr(bld.bitcast(args[0], kind), ir.Constant(kind, 2))
        return bld.bitcast(bld.sub(ir.Constant(kind, 0x4F586666), quarter), ir.FloatType())

    return types.float32(types.float32), codegen


@intrinsic
def close_guesses(typingctx, v):
    """v^(-1/2) to 2^-14 in every lane, with AVX-512."""

    def codegen(context, bld, signature, args):
        kind, every = ir.FunctionType(VECTOR, [VECTOR, VECTOR, ir.IntType(16)]), ir.Constant(ir.IntType(16), -1)
        fn = cgutils.get_or_insert_function(bld.module, kind, "llvm.x86.avx512.rsqrt14.ps.512")
        return bld.call(fn, [args[0], args[0], every])

    return vec(vec), codegen


@helper
def _by_newton(s):
    more, quarter, y = np.float32(1.25), np.float32(0.25) * s, guess(s)
    for _ in range(3):  # leaves 2e-7
        y = y * (more - quarter * (y * y) * (y * y))
    return y if s > 0 else np.float32(np.inf) if s == 0 else np.float32(np.nan)


def inverse_fourth_roots(s, n):
    """s = s^(-1/4), n elements; up to 15 past them may be written."""


@overload(inverse_fourth_roots)
def _inverse_fourth_roots(s, n):
    if s.dtype == types.float32:
        return _of_vectors if VL == 16 else _of_floats
    return _of_doubles


def _of_vectors(s, n):
    for i in range(0, n, VL):
        v = load(shift(s, i))
        half = close_guesses(v)
        y = half * close_guesses(half)
        square = y * y
        y = y * (splat(np.float32(1.25)) - splat(np.float32(0.25)) * v * (square * square))  # leaves 1e-7
        store(shift(s, i), y)


def _of_floats(s, n):
    for i in range(n):
        s[i] = _by_newton(s[i])


def _of_doubles(s, n):
    for i in range(n):
        s[i] = 1 / math.sqrt(math.sqrt(s[i]))
