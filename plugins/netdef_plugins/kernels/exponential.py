"""exp for loops over float32, made of operations that vectors have; float64 takes the exact one."""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .native import helper


@intrinsic
def power_of_two(typingctx, n):
    """2^n as a float32, for n from -126 to 127."""

    def codegen(context, bld, signature, args):
        bits = bld.shl(bld.add(args[0], ir.Constant(args[0].type, 127)), ir.Constant(args[0].type, 23))
        return bld.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def whole(typingctx, x):
    """The largest whole number up to x, as a float32; Python's is a 64-bit integer, of which half as many fit a
    vector."""

    def codegen(context, bld, signature, args):
        floor = bld.module.declare_intrinsic("llvm.floor", [ir.FloatType()])
        return bld.call(floor, args)

    return types.float32(types.float32), codegen


def exp(x):
    return math.exp(x)


@helper
def _exp32(x):
    one = types.float32(1.0)
    x = min(max(x, types.float32(-87.3)), types.float32(88.3))
    n = whole(x * types.float32(1.44269504) + types.float32(0.5))
    r = x - n * types.float32(0.693359375) + n * types.float32(2.12194440e-4)
    p = types.float32(1.9875691500e-4) * r + types.float32(1.3981999507e-3)
    p = p * r + types.float32(8.3334519073e-3)
    p = p * r + types.float32(4.1665795894e-2)
    p = p * r + types.float32(1.6666665459e-1)
    p = p * r + types.float32(5.0000001201e-1)
    return (p * r * r + r + one) * power_of_two(types.int32(n))


@overload(exp, inline="never")
def _exp(x):
    if x == types.float32:
        return lambda x: _exp32(x)
    return lambda x: math.exp(x)
