"""Loops over every element: rectifiers and sums, one pass, any float type, in place or not."""

from . import threads
from .exponential import exp
from .native import helper, task, unpack
from .simd import same, shift

# Elements of an item: large enough to hide its dispatch, small enough to share a medium layer.
CHUNK = 16 * 1024


def run_chunks(task, *arrays_and_numbers) -> None:
    """Runs a task over the first array's elements in chunks; the task's job is (n, chunk, *arrays_and_numbers)."""
    n, dtype = arrays_and_numbers[0].size, arrays_and_numbers[0].dtype
    chunk = max(CHUNK, -(-n // (8 * threads.count() * 16)) * 16)
    threads.run(task, -(-n // chunk), n, chunk, *arrays_and_numbers, dtype=dtype)


@helper
def span(item, n, chunk):
    """The first element of an item and how many it has."""
    first = item * chunk
    return first, min(chunk, n - first)


@task
def _relu(job, item, thread):
    n, chunk, x, y, slope = unpack(job, "iiaar")
    first, n = span(item, n, chunk)
    x, y = shift(x, first), shift(y, first)
    if slope == 0:
        for i in range(n):
            y[i] = 0 if x[i] < 0 else x[i]
    else:
        for i in range(n):
            y[i] = x[i] * slope if x[i] < 0 else x[i]


@task
def _relu_backward(job, item, thread):
    n, chunk, x, dy, dx, slope = unpack(job, "iiaaar")
    first, n = span(item, n, chunk)
    x, dy, dx = shift(x, first), shift(dy, first), shift(dx, first)
    if slope == 0 and same(dx, dy):
        for i in range(n):
            dy[i] = dy[i] if x[i] > 0 else 0
    elif slope == 0:
        for i in range(n):
            dx[i] = dy[i] if x[i] > 0 else 0
    else:
        for i in range(n):
            dx[i] = dy[i] if x[i] > 0 else dy[i] * slope


def relu(x, y, slope: float = 0.0) -> None:
    """y = x where x > 0 (or NaN), else slope * x; y may be x."""
    run_chunks(_relu, x, y, float(slope))


def relu_backward(dy, x, dx, slope: float = 0.0) -> None:
    """dx = dy where x > 0, else slope * dy; x may be the output where slope >= 0; dx may be dy."""
    run_chunks(_relu_backward, x, dy, dx, float(slope))


@task
def _sum_two(job, item, thread):
    n, chunk, y, a, b, p, q, relu = unpack(job, "iiaaarri")
    first, n = span(item, n, chunk)
    y, a, b = shift(y, first), shift(a, first), shift(b, first)
    if relu:
        for i in range(n):
            v = p * a[i] + q * b[i]
            y[i] = 0 if v < 0 else v
    else:
        for i in range(n):
            y[i] = p * a[i] + q * b[i]


def weighted_sum(arrays: list, weights: list[float], y, relu: bool = False) -> None:
    """y = the sum of weight * array of two or more, rectified where relu is set; y may be the first array, no other."""
    a, p, last = arrays[0], weights[0], len(arrays) - 1
    for k in range(1, len(arrays)):
        run_chunks(_sum_two, y, a, arrays[k], float(p), float(weights[k]), relu and k == last)
        a, p = y, 1.0


@task
def _sigmoid(job, item, thread):
    n, chunk, x, y = unpack(job, "iiaa")
    first, n = span(item, n, chunk)
    x, y = shift(x, first), shift(y, first)
    for i in range(n):
        y[i] = 1 / (1 + exp(-x[i]))


@task
def _sigmoid_backward(job, item, thread):
    n, chunk, dy, y, dx = unpack(job, "iiaaa")
    first, n = span(item, n, chunk)
    dy, y, dx = shift(dy, first), shift(y, first), shift(dx, first)
    for i in range(n):
        dx[i] = dy[i] * y[i] * (1 - y[i])


def sigmoid(x, y) -> None:
    """y = 1 / (1 + exp(-x)); y may be x."""
    run_chunks(_sigmoid, x, y)


def sigmoid_backward(dy, y, dx) -> None:
    """dx = dy * y * (1 - y); dx may be dy."""
    run_chunks(_sigmoid_backward, dy, y, dx)
