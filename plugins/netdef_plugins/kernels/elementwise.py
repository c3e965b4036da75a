"""Loops over every element: rectifiers and sums, one pass, any float type, in place or not."""

from . import threads
from .native import helper, task, unpack
from .simd import shift

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
    for i in range(n):
        v = x[i]
        y[i] = v * slope if v < 0 else v


@task
def _relu_backward(job, item, thread):
    n, chunk, x, dy, dx, slope = unpack(job, "iiaaar")
    first, n = span(item, n, chunk)
    x, dy, dx = shift(x, first), shift(dy, first), shift(dx, first)
    for i in range(n):
        g = dy[i]
        dx[i] = g if x[i] > 0 else g * slope


def relu(x, y, slope: float = 0.0) -> None:
    """y = x where x > 0 (or NaN), else slope * x; y may be x."""
    run_chunks(_relu, x, y, float(slope))


def relu_backward(dy, x, dx, slope: float = 0.0) -> None:
    """dx = dy where x > 0, else slope * dy; x may be the output where slope >= 0; dx may be dy."""
    run_chunks(_relu_backward, x, dy, dx, float(slope))
