"""Softmax over the middle of [outer, C, inner], and its gradient, where inner is long: a run of it at a time."""

from . import threads
from .exponential import exp
from .native import task, unpack
from .simd import shift

# Numbers of a run: so many maxima and sums, beside their rows, stay in the first cache.
RUN = 1024


@task
def _softmax(job, item, thread):
    x, y, work, channels, inner, runs = unpack(job, "aaaiii")
    first = item % runs * RUN
    n, at = min(RUN, inner - first), item // runs * channels * inner + first
    x, y = shift(x, at), shift(y, at)
    most, total = shift(work, 2 * thread * RUN), shift(work, (2 * thread + 1) * RUN)
    for i in range(n):
        most[i], total[i] = x[i], 0
    for c in range(1, channels):
        row = shift(x, c * inner)
        for i in range(n):
            most[i] = max(most[i], row[i])
    for c in range(channels):
        row, out = shift(x, c * inner), shift(y, c * inner)
        for i in range(n):
            out[i] = exp(row[i] - most[i])
            total[i] += out[i]
    for c in range(channels):
        out = shift(y, c * inner)
        for i in range(n):
            out[i] /= total[i]


@task
def _softmax_backward(job, item, thread):
    dy, y, dx, work, channels, inner, runs = unpack(job, "aaaaiii")
    first = item % runs * RUN
    n, at = min(RUN, inner - first), item // runs * channels * inner + first
    dy, y, dx, total = shift(dy, at), shift(y, at), shift(dx, at), shift(work, thread * RUN)
    for i in range(n):
        total[i] = 0
    for c in range(channels):
        a, b = shift(dy, c * inner), shift(y, c * inner)
        for i in range(n):
            total[i] += a[i] * b[i]
    for c in range(channels):
        a, b, d = shift(dy, c * inner), shift(y, c * inner), shift(dx, c * inner)
        for i in range(n):
            d[i] = (a[i] - total[i]) * b[i]


def _run(task_, *arrays):
    outer, channels, inner = arrays[0].shape
    work, runs = threads.scratch("work", 4 * RUN * threads.count()), -(-inner // RUN)
    threads.run(task_, outer * runs, *arrays, work, channels, inner, runs, dtype=arrays[0].dtype)


def forward(x, y) -> None:
    """y = exp(x) / the sum of exp(x) over axis 1; y may be x."""
    _run(_softmax, x, y)


def backward(dy, y, dx) -> None:
    """dx = (dy - the sum of dy * y over axis 1) * y; dx may be dy."""
    _run(_softmax_backward, dy, y, dx)
