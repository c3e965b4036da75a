"""Loops over every element: rectifiers and sigmoids, one pass, any float type, in place or not."""

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


@helper
def stretch(at, end, length):
    """The row of `length` elements that element `at` is in, and how many of it follow before `end`, itself one."""
    row = at // length
    return row, min(end, row * length + length) - at


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
def _sigmoid(job, item, thread):
    n, chunk, x, y = unpack(job, "iiaa")
    first, n = span(item, n, chunk)
    x, y = shift(x, first), shift(y, first)
    if same(x, y):
        for i in range(n):
            x[i] = 1 / (1 + exp(-x[i]))
    else:
        for i in range(n):
            y[i] = 1 / (1 + exp(-x[i]))


@task
def _sigmoid_backward(job, item, thread):
    n, chunk, dy, y, dx = unpack(job, "iiaaa")
    first, n = span(item, n, chunk)
    dy, y, dx = shift(dy, first), shift(y, first), shift(dx, first)
    if same(dx, dy):
        for i in range(n):
            dy[i] *= y[i] * (1 - y[i])
    else:
        for i in range(n):
            dx[i] = dy[i] * y[i] * (1 - y[i])


@task
def _tanh_backward(job, item, thread):
    n, chunk, dy, y, dx = unpack(job, "iiaaa")
    first, n = span(item, n, chunk)
    dy, y, dx = shift(dy, first), shift(y, first), shift(dx, first)
    if same(dx, dy):
        for i in range(n):
            dy[i] *= 1 - y[i] * y[i]
    else:
        for i in range(n):
            dx[i] = dy[i] * (1 - y[i] * y[i])


def sigmoid(x, y) -> None:
    """y = 1 / (1 + exp(-x)); y may be x."""
    run_chunks(_sigmoid, x, y)


def sigmoid_backward(dy, y, dx) -> None:
    """dx = dy * y * (1 - y); dx may be dy."""
    run_chunks(_sigmoid_backward, dy, y, dx)


def tanh_backward(dy, y, dx) -> None:
    """dx = dy * (1 - y^2); dx may be dy."""
    run_chunks(_tanh_backward, dy, y, dx)
