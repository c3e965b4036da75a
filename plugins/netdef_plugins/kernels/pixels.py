"""Images of bytes into batches of floats: mean, scale and mirror in one pass, on the calling thread."""

import ctypes

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .native import helper, task, unpack
from .simd import I32, VECTOR, VL, load, shift, splat, store, vec

_calls: dict = {}


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
def _vectors(job, item, thread):
    """Rows of neighbouring bytes, at least VL; the last vector of a row overlaps the one before."""
    channels, rows, columns, x, across, along, _, mean, apart, under, step, y, mirrored, scale = unpack(
        job, "iiibiiiaiiiair"
    )
    last, scales = columns - VL, splat(scale)
    for c in range(channels):
        for i in range(rows):
            src, m = shift(x, c * across + i * along), shift(mean, c * apart + i * under)
            dst, level = shift(y, (c * rows + i) * columns), splat(m[0])
            for j in range(0, last, VL):
                put(src, m, dst, j, last, level, step, scales, mirrored)
            put(src, m, dst, last, last, level, step, scales, mirrored)


@task
def _singles(job, item, thread):
    channels, rows, columns, x, across, along, beside, mean, apart, under, step, y, mirrored, scale = unpack(
        job, "iiibiiiaiiiair"
    )
    for c in range(channels):
        for i in range(rows):
            src, m = shift(x, c * across + i * along), shift(mean, c * apart + i * under)
            dst = shift(y, (c * rows + i) * columns)
            for j in range(columns):
                dst[columns - 1 - j if mirrored else j] = (src[j * beside] - m[j * step]) * scale


def write(x, y, mean, scale: float, mirrored: bool) -> None:
    """y = (x - mean) * scale, each row backwards if mirrored.

    x (channels, height, width) uint8, of any strides; y the same, contiguous; mean broadcast to x, its rows without
    gaps, or None.
    """
    mean = np.zeros((1, 1, 1), y.dtype) if mean is None else mean.astype(y.dtype, copy=False)
    steps = [stride // mean.itemsize if size > 1 else 0 for size, stride in zip(mean.shape, mean.strides, strict=True)]
    pixels, means, out = (a.__array_interface__["data"][0] for a in (x, mean, y))
    job = np.array([*x.shape, pixels, *x.strides, means, *steps, out, mirrored, 0], np.int64)
    job.view(np.float64)[-1] = scale
    vectors = y.dtype == np.float32 and x.strides[2] == 1 and x.shape[2] >= VL
    _call(_vectors if vectors else _singles, y.dtype)(job.ctypes.data, 0, 0)


def _call(body, dtype):
    """The compiled body as a function that lets other threads run meanwhile."""
    known = _calls.get((body, dtype))
    if known is None:
        known = _calls[body, dtype] = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(body.address(dtype))
    return known
