"""Arrays of one shape combined element by element, one pass for every two of them, any float type."""

from collections.abc import Sequence

from .elementwise import run_chunks, span
from .native import task, unpack
from .simd import same, shift


@task
def _sum_two(job, item, thread):
    n, chunk, y, a, b, p, q, relu = unpack(job, "iiaaarri")
    first, n = span(item, n, chunk)
    y, a, b = shift(y, first), shift(a, first), shift(b, first)
    if same(y, a) and relu:
        for i in range(n):
            v = p * a[i] + q * b[i]
            a[i] = 0 if v < 0 else v
    elif same(y, a):
        for i in range(n):
            a[i] = p * a[i] + q * b[i]
    elif relu:
        for i in range(n):
            v = p * a[i] + q * b[i]
            y[i] = 0 if v < 0 else v
    else:
        for i in range(n):
            y[i] = p * a[i] + q * b[i]


@task
def _scale(job, item, thread):
    n, chunk, y, a, p = unpack(job, "iiaar")
    first, n = span(item, n, chunk)
    y, a = shift(y, first), shift(a, first)
    if same(y, a):
        for i in range(n):
            a[i] *= p
    else:
        for i in range(n):
            y[i] = a[i] * p


@task
def _multiply(job, item, thread):
    n, chunk, y, a, b = unpack(job, "iiaaa")
    first, n = span(item, n, chunk)
    y, a, b = shift(y, first), shift(a, first), shift(b, first)
    if same(y, a):
        for i in range(n):
            a[i] *= b[i]
    else:
        for i in range(n):
            y[i] = a[i] * b[i]


@task
def _larger(job, item, thread):
    n, chunk, y, a, b = unpack(job, "iiaaa")
    first, n = span(item, n, chunk)
    y, a, b = shift(y, first), shift(a, first), shift(b, first)
    for i in range(n):
        y[i] = b[i] if b[i] > a[i] or b[i] != b[i] else a[i]


@task
def _where_ahead(job, item, thread):
    n, chunk, y, v, a, b, ties = unpack(job, "iiaaaai")
    first, n = span(item, n, chunk)
    y, v, a, b = shift(y, first), shift(v, first), shift(a, first), shift(b, first)
    if ties:
        for i in range(n):
            y[i] = v[i] if a[i] >= b[i] else 0
    else:
        for i in range(n):
            y[i] = v[i] if a[i] > b[i] else 0


def _chain(task_, arrays: Sequence, y) -> None:
    a = arrays[0]
    for b in arrays[1:]:
        run_chunks(task_, y, a, b)
        a = y


def weighted_sum(arrays: Sequence, weights: Sequence[float], y, relu: bool = False) -> None:
    """y = the sum of weight * array of two or more, rectified where relu is set; y may be the first array, no other."""
    a, p, last = arrays[0], weights[0], len(arrays) - 1
    for k in range(1, len(arrays)):
        run_chunks(_sum_two, y, a, arrays[k], float(p), float(weights[k]), relu and k == last)
        a, p = y, 1.0


def scaled(a, factor: float, y) -> None:
    """y = factor * a; y may be a."""
    run_chunks(_scale, y, a, float(factor))


def product(arrays: Sequence, y) -> None:
    """y = the product of two or more arrays; y may be the first, no other."""
    _chain(_multiply, arrays, y)


def largest(arrays: Sequence, y) -> None:
    """y = the largest of two or more arrays, NaN where one is; y may be the first, no other."""
    _chain(_larger, arrays, y)


def where_ahead(v, a, b, ties: bool, y) -> None:
    """y = v where a > b, or a = b with ties, else 0; y may be v."""
    run_chunks(_where_ahead, y, v, a, b, ties)
