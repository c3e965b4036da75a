"""Softmax over the middle of [outer, C, inner], and the gradient of its logarithmic loss."""

import numpy as np

from . import threads
from .exponential import exp
from .native import helper, task, unpack
from .simd import shift

# Elements an item handles, about.
CHUNK = 8 * 1024


@helper
def row(x, y, n):
    """The softmax of n numbers side by side."""
    most, total = x[0], x[0] * 0
    for c in range(1, n):
        most = max(most, x[c])
    for c in range(n):
        y[c] = exp(x[c] - most)
    for c in range(n):
        total += y[c]
    for c in range(n):
        y[c] /= total


@task
def _softmax(job, item, thread):
    x, y, work, outer, channels, inner, some = unpack(job, "aaaiiii")
    most, total = shift(work, 2 * thread * inner), shift(work, (2 * thread + 1) * inner)
    for o in range(item * some, min(outer, item * some + some)):
        a, b = shift(x, o * channels * inner), shift(y, o * channels * inner)
        if inner == 1:
            row(a, b, channels)
            continue
        for i in range(inner):
            most[i], total[i] = a[i], 0
        for c in range(1, channels):
            for i in range(inner):
                most[i] = max(most[i], a[c * inner + i])
        for c in range(channels):
            for i in range(inner):
                b[c * inner + i] = exp(a[c * inner + i] - most[i])
                total[i] += b[c * inner + i]
        for c in range(channels):
            for i in range(inner):
                b[c * inner + i] /= total[i]


@task
def _softmax_backward(job, item, thread):
    dy, y, dx, work, outer, channels, inner, some = unpack(job, "aaaaiiii")
    total = shift(work, thread * inner)
    for o in range(item * some, min(outer, item * some + some)):
        at = o * channels * inner
        a, b, d = shift(dy, at), shift(y, at), shift(dx, at)
        for i in range(inner):
            total[i] = 0
        for c in range(channels):
            for i in range(inner):
                total[i] += a[c * inner + i] * b[c * inner + i]
        for c in range(channels):
            for i in range(inner):
                d[c * inner + i] = (a[c * inner + i] - total[i]) * b[c * inner + i]


def _run(task_, first, last, axis):
    outer, channels = int(np.prod(last.shape[:axis])), last.shape[axis]
    inner = last.size // max(1, outer * channels)
    some = max(1, CHUNK // max(1, channels * inner))
    work = threads.scratch("work", 4 * inner * threads.count())
    threads.run(task_, -(-outer // some), *first, last, work, outer, channels, inner, some, dtype=last.dtype)


def forward(x, y, axis: int = 1) -> None:
    """y = exp(x) / the sum of exp(x) over the axis; y may be x."""
    _run(_softmax, (x,), y, axis % x.ndim)


def backward(dy, y, dx, axis: int = 1) -> None:
    """dx = (dy - the sum of dy * y over the axis) * y; dx may be dy."""
    _run(_softmax_backward, (dy, y), dx, axis % y.ndim)
