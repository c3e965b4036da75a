"""Normalization of channels by batch or given statistics, and scale with bias: x is seen as [outer, C, inner].

What needs statistics alone is done channel by channel, each within a second-level cache; all else from begin to end of
memory, [outer * C] rows of `inner` numbers, of which each gives a part of the sums of its channel.
"""

import math

import numpy as np

from . import threads
from .native import helper, task, unpack
from .simd import same, shift

# Numbers of the rows of an item, about.
CHUNK = 16 * 1024


@helper
def sum_of(x, n):
    s = x[0] * 0
    for i in range(n):
        s += x[i]
    return s


@helper
def sum_of_squares(x, mean, n):
    s = x[0] * 0
    for i in range(n):
        s += (x[i] - mean) * (x[i] - mean)
    return s


@helper
def sums(dy, y, n):
    """The sum of dy, and that of dy * y."""
    alone = product = dy[0] * 0
    for i in range(n):
        alone += dy[i]
        product += dy[i] * y[i]
    return alone, product


@helper
def rectified_sums(dz, z, y, n):
    """The same for dy = dz where z > 0, else 0."""
    alone = product = dz[0] * 0
    for i in range(n):
        d = dz[i] if z[i] > 0 else 0
        alone += d
        product += d * y[i]
    return alone, product


@helper
def affine(x, y, factor, offset, relu, n):
    """y = factor * x + offset, where relu is set the larger of that and 0; NaN stays NaN."""
    if relu and same(x, y):
        for i in range(n):
            v = factor * x[i] + offset
            x[i] = 0 if v < 0 else v
    elif relu:
        for i in range(n):
            v = factor * x[i] + offset
            y[i] = 0 if v < 0 else v
    elif same(x, y):
        for i in range(n):
            x[i] = factor * x[i] + offset
    else:
        for i in range(n):
            y[i] = factor * x[i] + offset


@helper
def standardize(x, y, mean, factor, n):
    """y = (x - mean) * factor."""
    if same(x, y):
        for i in range(n):
            x[i] = (x[i] - mean) * factor
    else:
        for i in range(n):
            y[i] = (x[i] - mean) * factor


@task
def _batch(job, item, thread):
    x, y, mean, var, outer, channels, n, some, eps = unpack(job, "aaaaiiiir")
    for c in range(item * some, min(channels, item * some + some)):
        total = squares = 0.0
        for row in range(c, outer * channels, channels):
            total += sum_of(shift(x, row * n), n)
        mean[c] = total / (outer * n)
        for row in range(c, outer * channels, channels):
            squares += sum_of_squares(shift(x, row * n), mean[c], n)
        var[c] = squares / (outer * n)
        factor = 1 / math.sqrt(var[c] + eps)
        for row in range(c, outer * channels, channels):
            standardize(shift(x, row * n), shift(y, row * n), mean[c], factor, n)


@task
def _slopes(job, item, thread):
    """Each row's sums of dy and of dy * y."""
    rows, some, n, dz, z, y, alone, product, rectified = unpack(job, "iiiaaaaai")
    for row in range(item * some, min(rows, item * some + some)):
        a, b, c = shift(dz, row * n), shift(y, row * n), shift(z, row * n)
        alone[row], product[row] = rectified_sums(a, c, b, n) if rectified else sums(a, b, n)


@task
def _join_slopes(job, item, thread):
    alone, product, dg, db, rows, channels = unpack(job, "aaaaii")
    first = second = 0.0
    for row in range(item, rows, channels):
        first += product[row]
        second += alone[row]
    dg[item], db[item] = first, second


@task
def _batch_backward(job, item, thread):
    rows, some, n, dz, z, y, dx, g, var, dg, db, channels, eps, rectified = unpack(job, "iiiaaaaaaaairi")
    for row in range(item * some, min(rows, item * some + some)):
        k, count = row % channels, rows // channels * n
        a, b, c, d = shift(dz, row * n), shift(y, row * n), shift(z, row * n), shift(dx, row * n)
        first, second, factor = db[k] / count, dg[k] / count, g[k] / math.sqrt(var[k] + eps)
        if rectified:
            for i in range(n):
                d[i] = factor * ((a[i] if c[i] > 0 else 0) - first - b[i] * second)
        else:
            for i in range(n):
                d[i] = factor * (a[i] - first - b[i] * second)


@task
def _scale(job, item, thread):
    rows, some, n, x, g, b, y, channels, biased, relu = unpack(job, "iiiaaaaiii")
    for row in range(item * some, min(rows, item * some + some)):
        c, a, d = row % channels, shift(x, row * n), shift(y, row * n)
        offset = b[c] if biased else g[c] * 0
        affine(a, d, g[c], offset, relu, n)


def _some(rows: int, n: int) -> int:
    """How many rows of n numbers an item has."""
    return max(1, min(CHUNK // n, -(-rows // (8 * threads.count()))))


def _by_rows(task_, rows: int, n: int, first, *rest) -> None:
    """Runs a task over rows of n numbers, some of them an item; its job is (rows, some, n, first, *rest)."""
    some = _some(rows, n)
    threads.run(task_, -(-rows // some), rows, some, n, first, *rest, dtype=first.dtype)


def batch(x, y, mean, var, eps: float) -> None:
    """mean[C] and var[C] of x[N, C, ...] (var over the count), and y = (x - mean) / sqrt(var + eps); y may be x."""
    outer, c, n = _split(x, mean, 0)
    some = _some(c, outer * n)
    threads.run(_batch, -(-c // some), x, y, mean, var, outer, c, n, some, float(eps), dtype=x.dtype)


def _sums(dz, y, z, dg, db, outer: int, n: int) -> None:
    """dg[C] and db[C]: the sums of dy * y and dy, where dy is dz or, z being given, dz where z > 0, else 0."""
    alone, product = np.empty((2, outer * dg.size), y.dtype)
    _by_rows(_slopes, outer * dg.size, n, dz, z, y, alone, product, z is not None)
    threads.run(_join_slopes, dg.size, alone, product, dg, db, outer * dg.size, dg.size, dtype=y.dtype)


def batch_backward(dz, y, var, dx, eps: float, g=None, z=None) -> tuple[np.ndarray, np.ndarray]:
    """dx from dz and the normalized y, for statistics that came from the batch itself; dx may be dz.

    Where g[C] is given, dz is the gradient of g y + b, and where z is, that of z = max(0, g y + b). Returns the
    gradients with respect to g and b.
    """
    outer, c, n = _split(y, var, 0)
    dg, db = np.empty((2, c), y.dtype)
    _sums(dz, y, z, dg, db, outer, n)
    g = np.ones_like(dg) if g is None else g
    _by_rows(_batch_backward, outer * c, n, dz, z, y, dx, g, var, dg, db, c, float(eps), z is not None)
    return dg, db


def scale(x, g, b, y, inner: int = 0, relu: bool = False) -> None:
    """y = g * x + b (or None) for x of shape [..., *g.shape, ...] with `inner` elements behind g's axes; y may be x.

    Where relu is set, y is rectified, and NaN stays NaN. `inner` 0 stands for x[N, C, ...]. With factors 1 / std and
    offsets -mean / std this is BatchNorm with given statistics; applied to dy, without b, it is the backward pass.
    """
    outer, channels, n = _split(x, g, inner)
    _by_rows(_scale, outer * channels, n, x, g, b, y, channels, b is not None, relu)


def scale_update(dy, x, dg, db, inner: int = 0) -> None:
    """Adds the gradients with respect to g and b to dg and db (or None)."""
    outer, _, n = _split(x, dg, inner)
    more, alone = np.empty((2, *dg.shape), dg.dtype)
    _sums(dy, x, None, more, alone, outer, n)
    dg += more
    if db is not None:
        db += alone


def _split(x, g, inner):
    n = inner or x.size // (x.shape[0] * x.shape[1])
    return x.size // (g.size * n), g.size, n
