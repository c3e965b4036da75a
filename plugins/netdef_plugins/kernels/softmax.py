"""Softmax over the middle of [outer, C, inner], and its gradient, where inner is long: a run of it at a time."""

from . import threads
from .exponential import exp
from .native import task, unpack
from .simd import shift

# Numbers of a run, at most and at least: so many maxima and sums, beside their rows, stay in the first cache, and rows
# are met in stretches that are fetched ahead.
MOST, LEAST = 4096, 256


@task
def _softmax(job, item, thread):
    x, y, work, channels, inner, runs, run = unpack(job, "aaaiiii")
    first = item % runs * run
    n, at = min(run, inner - first), item // runs * channels * inner + first
    x, y = shift(x, at), shift(y, at)
    most, total = shift(work, 2 * thread * run), shift(work, (2 * thread + 1) * run)
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
        for i in range(n):
            total[i] += out[i]
    for i in range(n):
        total[i] = 1 / total[i]
    for c in range(channels):
        out = shift(y, c * inner)
        for i in range(n):
            out[i] *= total[i]


@task
def _softmax_backward(job, item, thread):
    dy, y, dx, work, channels, inner, runs, run = unpack(job, "aaaaiiii")
    first = item % runs * run
    n, at = min(run, inner - first), item // runs * channels * inner + first
    dy, y, dx, total = shift(dy, at), shift(y, at), shift(dx, at), shift(work, thread * run)
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
    runs = max(-(-inner // MOST), min(-(-inner // LEAST), -(-4 * threads.count() // outer)))
    run = -(-inner // (16 * runs)) * 16
    work, runs = threads.scratch("work", 4 * run * threads.count()), -(-inner // run)
    threads.run(task_, outer * runs, *arrays, work, channels, inner, runs, run, dtype=arrays[0].dtype)


def forward(x, y) -> None:
    """y = exp(x) / the sum of exp(x) over axis 1; y may be x."""
    _run(_softmax, x, y)


def backward(dy, y, dx) -> None:
    """dx = (dy - the sum of dy * y over axis 1) * y; dx may be dy."""
    _run(_softmax_backward, dy, y, dx)
