"""A rectifier with a slope for each channel: x is seen as [outer, C, inner], any float type."""

from . import threads
from .elementwise import run_chunks, span, stretch
from .native import task, unpack
from .simd import same, shift


@task
def _forward(job, item, thread):
    n, chunk, x, y, slopes, channels, inner = unpack(job, "iiaaaii")
    at, n = span(item, n, chunk)
    end = at + n
    while at < end:
        row, n = stretch(at, end, inner)
        slope = slopes[row % channels]
        a, b = shift(x, at), shift(y, at)
        for i in range(n):
            b[i] = a[i] * slope if a[i] < 0 else a[i]
        at += n


@task
def _backward(job, item, thread):
    n, chunk, dy, x, dx, slopes, channels, inner = unpack(job, "iiaaaaii")
    at, n = span(item, n, chunk)
    end = at + n
    while at < end:
        row, n = stretch(at, end, inner)
        slope = slopes[row % channels]
        a, b, c = shift(dy, at), shift(x, at), shift(dx, at)
        if same(a, c):
            for i in range(n):
                a[i] = a[i] if b[i] > 0 else a[i] * slope
        else:
            for i in range(n):
                c[i] = a[i] if b[i] > 0 else a[i] * slope
        at += n


@task
def _update(job, item, thread):
    dy, x, gradient, outer, channels, inner = unpack(job, "aaaiii")
    total = 0.0
    for row in range(item, outer * channels, channels):
        a, b, part = shift(dy, row * inner), shift(x, row * inner), gradient[0] * 0
        for i in range(inner):
            part += a[i] * min(b[i], 0)
        total += part
    gradient[item] += total


def forward(x, slopes, y) -> None:
    """y = x where x > 0 (or NaN), else slope * x, with slopes[C]; y may be x."""
    run_chunks(_forward, x, y, slopes, *x.shape[1:])


def backward(dy, x, slopes, dx) -> None:
    """dx = dy where x > 0, else slope * dy; dx may be dy."""
    run_chunks(_backward, dy, x, dx, slopes, *x.shape[1:])


def update(dy, x, gradient) -> None:
    """gradient[C] += dy * x where x < 0, summed over outer and inner."""
    threads.run(_update, x.shape[1], dy, x, gradient, *x.shape, dtype=x.dtype)
