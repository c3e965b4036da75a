"""Images of bytes into batches of floats: mean, scale and mirror in one pass, on the calling thread."""

import ctypes
import struct
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .native import helper, task, unpack
from .simd import I32, VECTOR, VL, load, shift, splat, store, vec

SMALL = 1 << 13
"""Bytes of an image that is worth the call."""
JOB = struct.Struct("=12qd")
ZEROS = np.zeros((1, 1, 1), np.float32)


@intrinsic
def load_bytes(typingctx, p):
    """VL bytes from p on, as floats."""

    def codegen(context, bld, signature, args):
        kind = ir.VectorType(ir.IntType(8), VL)
        return bld.uitofp(bld.load(bld.bitcast(args[0], kind.as_pointer()), align=1), VECTOR)

    return vec(types.CPointer(types.uint8)), codegen


@intrinsic
def reverse(typingctx, v):
    """The lanes, the last first."""

    def codegen(context, bld, signature, args):
        picks = ir.Constant(ir.VectorType(I32, VL), list(range(VL))[::-1])
        return bld.shuffle_vector(args[0], args[0], picks)

    return vec(vec), codegen


@helper
def put(src, mean, dst, j, last, level, step, scales, mirrored):
    """VL pixels of a row from column j on, in the order of y: memory is filled fastest upwards."""
    k = last - j if mirrored else j
    v = (load_bytes(shift(src, k)) - (load(shift(mean, k)) if step else level)) * scales
    store(shift(dst, j), reverse(v) if mirrored else v)


@task
def _write(job, item, thread):
    """The last vector of a row overlaps the one before."""
    channels, rows, columns, x, across, along, mean, apart, under, step, y, mirrored, scale = unpack(
        job, "iiibiiaiiiair"
    )
    last, scales = columns - VL, splat(scale)
    for c in range(channels):
        for i in range(rows):
            src, m = shift(x, c * across + i * along), shift(mean, c * apart + i * under)
            dst, level = shift(y, (c * rows + i) * columns), splat(m[0])
            for j in range(0, last, VL):
                put(src, m, dst, j, last, level, step, scales, mirrored)
            put(src, m, dst, last, last, level, step, scales, mirrored)


def takes(x, y) -> bool:
    """Whether `write` can do it, and sooner than NumPy."""
    return y.dtype == np.float32 and x.strides[2] == 1 and x.shape[2] >= VL and x.size >= SMALL


def write(x, y, mean, scale: float, mirrored: bool) -> None:
    """y = (x - mean) * scale, each row backwards if mirrored.

    x (channels, height, width) uint8, its rows without gaps and no shorter than a vector; y the same, contiguous,
    float32; mean float32, broadcast to x, its rows without gaps, or None.
    """
    mean = ZEROS if mean is None else mean
    steps = [stride // 4 if size > 1 else 0 for size, stride in zip(mean.shape, mean.strides, strict=True)]
    pixels, means, out = (a.__array_interface__["data"][0] for a in (x, mean, y))
    _compiled()(JOB.pack(*x.shape, pixels, *x.strides[:2], means, *steps, out, bool(mirrored), scale), 0, 0)


@lru_cache(maxsize=1)
def _compiled():
    """A function that lets other threads run meanwhile."""
    return ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)(_write.address(np.dtype(np.float32)))
