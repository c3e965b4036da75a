"""s^(-1/4) for loops over float32, by Newton's steps, which need no division; float64 takes the exact one."""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .native import helper


@intrinsic
def guess(typingctx, s):
    """s^(-1/4) to 3%: a float's bits are about its logarithm."""

    def codegen(context, bld, signature, args):
        kind = ir.IntType(32)
        quarter = bld.lshr(bld.bitcast(args[0], kind), ir.Constant(kind, 2))
        return bld.bitcast(bld.sub(ir.Constant(kind, 0x4F586666), quarter), ir.FloatType())

    return types.float32(types.float32), codegen


def inverse_fourth_root(s):
    return 1 / math.sqrt(math.sqrt(s))


@helper
def _by_newton(s):
    more, quarter, y = np.float32(1.25), np.float32(0.25) * s, guess(s)
    for _ in range(3):  # leaves 2e-7
        y = y * (more - quarter * (y * y) * (y * y))
    return y if s > 0 else np.float32(np.inf) if s == 0 else np.float32(np.nan)


@overload(inverse_fourth_root, inline="never")
def _inverse_fourth_root(s):
    if s == types.float32:
        return lambda s: _by_newton(s)
    return lambda s: 1 / math.sqrt(math.sqrt(s))
