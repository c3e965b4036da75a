"""Normalization of channels by batch or given statistics, and scale with bias: x is seen as [outer, C, inner]."""

import math

import numpy as np

from . import threads
from .native import helper, task, unpack
from .simd import shift


@helper
def sum_of(x, outer, stride, n):
    s = 0.0
    for o in range(outer):
        part, line = x[0] * 0, shift(x, o * stride)
        for i in range(n):
            part += line[i]
        s += part
    return s


@helper
def sums(dy, y, outer, stride, n):
    """The sum of dy, and that of dy * y."""
    first = second = 0.0
    for o in range(outer):
        a, b = shift(dy, o * stride), shift(y, o * stride)
        alone = product = dy[0] * 0
        for i in range(n):
            alone += a[i]
            product += a[i] * b[i]
        first += alone
        second += product
    return first, second


@helper
def rectified_sums(dz, z, y, outer, stride, n):
    """The same for dy = dz where z > 0, else 0."""
    first = second = 0.0
    for o in range(outer):
        a, b, c = shift(dz, o * stride), shift(y, o * stride), shift(z, o * stride)
        alone = product = dz[0] * 0
        for i in range(n):
            d = a[i] if c[i] > 0 else 0
            alone += d
            product += d * b[i]
        first += alone
        second += product
    return first, second


@helper
def sum_of_squares(x, mean, outer, stride, n):
    s = 0.0
    for o in range(outer):
        part, line = x[0] * 0, shift(x, o * stride)
        for i in range(n):
            part += (line[i] - mean) * (line[i] - mean)
        s += part
    return s


@helper
def affine(x, y, factor, offset, relu, outer, stride, n):
    """y = factor * x + offset, where relu is set the larger of that and 0; NaN stays NaN."""
    for o in range(outer):
        a, b = shift(x, o * stride), shift(y, o * stride)
        if relu:
            for i in range(n):
                v = factor * a[i] + offset
                b[i] = 0 if v < 0 else v
        else:
            for i in range(n):
                b[i] = factor * a[i] + offset


@task
def _batch(job, item, thread):
    x, y, mean, var, outer, channels, n, eps = unpack(job, "aaaaiiir")
    x, y, stride = shift(x, item * n), shift(y, item * n), channels * n
    mean[item] = sum_of(x, outer, stride, n) / (outer * n)
    var[item] = sum_of_squares(x, mean[item], outer, stride, n) / (outer * n)
    factor = 1 / math.sqrt(var[item] + eps)
    for o in range(outer):
        a, b = shift(x, o * stride), shift(y, o * stride)
        for i in range(n):
            b[i] = (a[i] - mean[item]) * factor


@task
def _batch_backward(job, item, thread):
    dz, z, g, y, var, dx, dg, db, outer, channels, n, eps, rectified = unpack(job, "aaaaaaaaiiiri")
    dz, z, y, dx = shift(dz, item * n), shift(z, item * n), shift(y, item * n), shift(dx, item * n)
    stride, zero = channels * n, var[item] * 0
    alone, product = rectified_sums(dz, z, y, outer, stride, n) if rectified else sums(dz, y, outer, stride, n)
    dg[item], db[item] = product, alone
    first, second = zero + alone / (outer * n), zero + product / (outer * n)
    factor = g[item] / math.sqrt(var[item] + eps)
    for o in range(outer):
        a, b, c, d = shift(dz, o * stride), shift(y, o * stride), shift(z, o * stride), shift(dx, o * stride)
        if rectified:
            for i in range(n):
                d[i] = factor * ((a[i] if c[i] > 0 else 0) - first - b[i] * second)
        else:
            for i in range(n):
                d[i] = factor * (a[i] - first - b[i] * second)


@task
def _scale(job, item, thread):
    x, g, b, y, outer, channels, n, biased, relu = unpack(job, "aaaaiiiii")
    offset = b[item] if biased else g[item] * 0
    affine(shift(x, item * n), shift(y, item * n), g[item], offset, relu, outer, channels * n, n)


@task
def _scale_update(job, item, thread):
    dy, x, dg, db, outer, channels, n, biased = unpack(job, "aaaaiiii")
    dy, x = shift(dy, item * n), shift(x, item * n)
    alone, product = sums(dy, x, outer, channels * n, n)
    dg[item] += product
    if biased:
        db[item] += alone


def batch(x, y, mean, var, eps: float) -> None:
    """mean[C] and var[C] of x[N, C, ...] (var over the count), and y = (x - mean) / sqrt(var + eps); y may be x."""
    n, c = x.shape[:2]
    threads.run(_batch, c, x, y, mean, var, n, c, x.size // (n * c), float(eps), dtype=x.dtype)


def batch_backward(dz, y, var, dx, eps: float, g=None, z=None) -> tuple[np.ndarray, np.ndarray]:
    """dx from dz and the normalized y, for statistics that came from the batch itself; dx may be dz.

    Where g[C] is given, dz is the gradient of g y + b, and where z is, that of z = max(0, g y + b). Returns the
    gradients with respect to g and b.
    """
    n, c = y.shape[:2]
    dg, db = np.empty((2, c), y.dtype)
    g, z, rectified = np.ones_like(dg) if g is None else g, dz if z is None else z, z is not None
    numbers = n, c, y.size // (n * c), float(eps), rectified
    threads.run(_batch_backward, c, dz, z, g, y, var, dx, dg, db, *numbers, dtype=y.dtype)
    return dg, db


def scale(x, g, b, y, inner: int = 0, relu: bool = False) -> None:
    """y = g * x + b (or None) for x of shape [..., *g.shape, ...] with `inner` elements behind g's axes; y may be x.

    Where relu is set, y is rectified, and NaN stays NaN. `inner` 0 stands for x[N, C, ...]. With factors 1 / std and
    offsets -mean / std this is BatchNorm with given statistics; applied to dy, without b, it is the backward pass.
    """
    outer, channels, n = _split(x, g, inner)
    threads.run(_scale, channels, x, g, b, y, outer, channels, n, b is not None, relu, dtype=x.dtype)


def scale_update(dy, x, dg, db, inner: int = 0) -> None:
    """Adds the gradients with respect to g and b to dg and db (or None)."""
    outer, channels, n = _split(x, dg, inner)
    threads.run(_scale_update, channels, dy, x, dg, db, outer, channels, n, db is not None, dtype=x.dtype)


def _split(x, g, inner):
    n = inner or x.size // (x.shape[0] * x.shape[1])
    return x.size // (g.size * n), g.size, n
