"""Local response normalization, across channels and within them; scales are computed again rather than kept."""

import math

from . import threads
from .native import helper, task, unpack
from .simd import shift

# Pixels that an item handles at a time: with all channels they stay in the first two caches.
PIXELS = 128


@helper
def powers(s, beta, n):
    """s = s ** -beta; roots are much faster than powers, and 3/4 is everybody's beta."""
    if beta == 0.75:
        for i in range(n):
            root = math.sqrt(s[i])
            s[i] = 1 / (root * math.sqrt(root))
    elif beta == 0.5:
        for i in range(n):
            s[i] = 1 / math.sqrt(s[i])
    else:
        for i in range(n):
            s[i] = s[i] ** -beta


@helper
def add_window(x, c, channels, plane, before, after, squares, out, n):
    """out += the sum of x (or of its squares) over the channels c - before .. c + after."""
    for d in range(max(0, c - before), min(channels, c + after + 1)):
        source = shift(x, d * plane)
        if squares:
            for i in range(n):
                out[i] += source[i] * source[i]
        else:
            for i in range(n):
                out[i] += source[i]


@helper
def scales(x, c, channels, plane, before, after, alpha, k, s, n):
    """s = k + alpha * the sum of the squares around channel c."""
    for i in range(n):
        s[i] = 0
    add_window(x, c, channels, plane, before, after, True, s, n)
    for i in range(n):
        s[i] = k + alpha * s[i]


@task
def _across(job, item, thread):
    x, y, work, channels, plane, parts, before, after, alpha, beta, k = unpack(job, "aaaiiiiirrr")
    at = item // parts * channels * plane + item % parts * PIXELS
    n, s = min(PIXELS, plane - item % parts * PIXELS), shift(work, thread * PIXELS)
    x, y = shift(x, at), shift(y, at)
    for c in range(channels):
        scales(x, c, channels, plane, before, after, alpha, k, s, n)
        powers(s, beta, n)
        for i in range(n):
            y[c * plane + i] = x[c * plane + i] * s[i]


@task
def _across_backward(job, item, thread):
    dy, x, dx, work, channels, plane, parts, before, after, alpha, beta, k = unpack(job, "aaaaiiiiirrr")
    at = item // parts * channels * plane + item % parts * PIXELS
    n, s = min(PIXELS, plane - item % parts * PIXELS), shift(work, thread * (channels + 2) * PIXELS)
    p, ratios = shift(s, PIXELS), shift(s, 2 * PIXELS)
    dy, x, dx = shift(dy, at), shift(x, at), shift(dx, at)
    for c in range(channels):
        scales(x, c, channels, plane, before, after, alpha, k, s, n)
        for i in range(n):
            p[i] = s[i]
        powers(p, beta, n)
        for i in range(n):
            g = dy[c * plane + i] * p[i]
            dx[c * plane + i] = g
            ratios[c * PIXELS + i] = g * x[c * plane + i] / s[i]
    for c in range(channels):
        for i in range(n):
            s[i] = 0
        add_window(ratios, c, channels, PIXELS, after, before, False, s, n)
        for i in range(n):
            dx[c * plane + i] -= 2 * alpha * beta * x[c * plane + i] * s[i]


def _sizes(x, size):
    n, c = x.shape[:2]
    plane = x.size // (n * c)
    parts = -(-plane // PIXELS)
    return n * parts, (c, plane, parts, (size - 1) // 2, size - 1 - (size - 1) // 2)


def across(x, y, size: int, alpha: float, beta: float, k: float = 1.0) -> None:
    """y = x * (k + alpha / size * the sum of x^2 over `size` channels)^-beta, for x[N, C, ...]."""
    items, sizes = _sizes(x, size)
    work = threads.scratch("work", 2 * PIXELS * threads.count())
    threads.run(_across, items, x, y, work, *sizes, alpha / size, float(beta), float(k), dtype=x.dtype)


def across_backward(dy, x, dx, size: int, alpha: float, beta: float, k: float = 1.0) -> None:
    """dx from dy and x; dx must be an array of its own."""
    items, sizes = _sizes(x, size)
    work = threads.scratch("work", 2 * (x.shape[1] + 2) * PIXELS * threads.count())
    threads.run(_across_backward, items, dy, x, dx, work, *sizes, alpha / size, float(beta), float(k), dtype=x.dtype)


@helper
def add_box(a, height, width, half, out):
    """out = the sum of a over the square of 2 * half + 1 pixels around each pixel, zero outside."""
    for h in range(height):
        line = shift(out, h * width)
        for i in range(width):
            line[i] = 0
        for r in range(max(0, h - half), min(height, h + half + 1)):
            source = shift(a, r * width)
            for j in range(-half, half + 1):
                first, last = max(0, -j), min(width, width - j)
                s, d = shift(source, first + j), shift(line, first)
                for i in range(last - first):
                    d[i] += s[i]


@task
def _within(job, item, thread):
    x, y, work, height, width, half, alpha, beta = unpack(job, "aaaiiirr")
    n = height * width
    x, y, s = shift(x, item * n), shift(y, item * n), shift(work, 4 * thread * n)
    squares = shift(s, n)
    for i in range(n):
        squares[i] = x[i] * x[i]
    add_box(squares, height, width, half, s)
    for i in range(n):
        s[i] = 1 + alpha * s[i]
    powers(s, beta, n)
    for i in range(n):
        y[i] = x[i] * s[i]


@task
def _within_backward(job, item, thread):
    dy, x, dx, work, height, width, half, alpha, beta = unpack(job, "aaaaiiirr")
    n = height * width
    dy, x, dx, s = shift(dy, item * n), shift(x, item * n), shift(dx, item * n), shift(work, 4 * thread * n)
    p, ratios = shift(s, n), shift(s, 2 * n)
    for i in range(n):
        ratios[i] = x[i] * x[i]
    add_box(ratios, height, width, half, s)
    for i in range(n):
        s[i] = 1 + alpha * s[i]
        p[i] = s[i]
    powers(p, beta, n)
    for i in range(n):
        ratios[i] = dy[i] * p[i] * x[i] / s[i]
    add_box(ratios, height, width, half, s)
    for i in range(n):
        dx[i] = dy[i] * p[i] - 2 * alpha * beta * x[i] * s[i]


def within(x, y, size: int, alpha: float, beta: float) -> None:
    """y = x * (1 + alpha / size^2 * the sum of x^2 over a square of `size`)^-beta, for x[N, C, H, W] and odd sizes."""
    h, w = x.shape[2:]
    work = threads.scratch("work", 8 * h * w * threads.count())
    numbers = (h, w, min(size // 2, max(h, w)), alpha / size**2, float(beta))
    threads.run(_within, x.shape[0] * x.shape[1], x, y, work, *numbers, dtype=x.dtype)


def within_backward(dy, x, dx, size: int, alpha: float, beta: float) -> None:
    """dx from dy and x; dx may be dy."""
    h, w = x.shape[2:]
    work = threads.scratch("work", 8 * h * w * threads.count())
    numbers = (h, w, min(size // 2, max(h, w)), alpha / size**2, float(beta))
    threads.run(_within_backward, x.shape[0] * x.shape[1], dy, x, dx, work, *numbers, dtype=x.dtype)
