"""Local response normalization, across channels and within them; scales are computed again rather than kept."""

import math

from . import threads
from .native import helper, task, unpack
from .roots import inverse_fourth_root
from .simd import shift

# Pixels that an item handles at a time: those of the channels that meet stay in the second cache, and there are enough
# side by side for them to be fetched ahead.
PIXELS = 4096
# Pixels of the planes of an item.
WITHIN = 16 * 1024


@helper
def powers(s, beta, n):
    """s = s ** -beta; roots are much faster than powers, and 3/4 is everybody's beta."""
    if beta == 0.75:
        for i in range(n):
            root = inverse_fourth_root(s[i])
            s[i] = root * root * root
    elif beta == 0.5:
        for i in range(n):
            s[i] = 1 / math.sqrt(s[i])
    else:
        for i in range(n):
            s[i] = s[i] ** -beta


@helper
def scales(x, c, channels, plane, before, after, alpha, k, s, n):
    """s = k + alpha * the sum of the squares over the channels c - before .. c + after."""
    for i in range(n):
        s[i] = 0
    for d in range(max(0, c - before), min(channels, c + after + 1)):
        source = shift(x, d * plane)
        for i in range(n):
            s[i] += source[i] * source[i]
    for i in range(n):
        s[i] = k + alpha * s[i]


@task
def _across(job, item, thread):
    x, y, work, channels, plane, parts, some, before, after, alpha, beta, k = unpack(job, "aaaiiiiiirrr")
    at = item // parts * channels * plane + item % parts * some
    n, s = min(some, plane - item % parts * some), shift(work, thread * some)
    x, y = shift(x, at), shift(y, at)
    for c in range(channels):
        scales(x, c, channels, plane, before, after, alpha, k, s, n)
        powers(s, beta, n)
        for i in range(n):
            y[c * plane + i] = x[c * plane + i] * s[i]


@helper
def ratios_of(dy, x, s, p, n, dx, ratio):
    """dx = dy * p, the first half of the gradient, and ratio = dx * x / s."""
    for i in range(n):
        g = dy[i] * p[i]
        dx[i] = g
        ratio[i] = g * x[i] / s[i]


@helper
def add_ratios(ratios, slots, c, channels, some, before, after, s, n):
    """s = the sum of the ratios, channel d's in slot d % slots, over the channels c - before .. c + after."""
    for i in range(n):
        s[i] = 0
    for d in range(max(0, c - before), min(channels, c + after + 1)):
        ratio = shift(ratios, d % slots * some)
        for i in range(n):
            s[i] += ratio[i]


@task
def _across_backward(job, item, thread):
    dy, x, dx, work, channels, plane, parts, some, before, after, alpha, beta, k = unpack(job, "aaaaiiiiiirrr")
    at, slots = item // parts * channels * plane + item % parts * some, before + after + 1
    n, s = min(some, plane - item % parts * some), shift(work, thread * (slots + 2) * some)
    p, ratios, gain = shift(s, some), shift(s, 2 * some), alpha * beta + alpha * beta
    dy, x, dx = shift(dy, at), shift(x, at), shift(dx, at)
    for c in range(channels + before):
        if c < channels:
            scales(x, c, channels, plane, before, after, alpha, k, s, n)
            for i in range(n):
                p[i] = s[i]
            powers(p, beta, n)
            here, ratio = c * plane, shift(ratios, c % slots * some)
            ratios_of(shift(dy, here), shift(x, here), s, p, n, shift(dx, here), ratio)
        if c >= before:  # the last channel that c - before has an influence on is known now
            add_ratios(ratios, slots, c - before, channels, some, after, before, s, n)
            source, target = shift(x, (c - before) * plane), shift(dx, (c - before) * plane)
            for i in range(n):
                target[i] -= gain * source[i] * s[i]


def _run_across(task_, arrays, slots: int, size: int, alpha: float, beta: float, k: float) -> None:
    x = arrays[0]
    if not x.size:
        return
    n, c = x.shape[:2]
    plane = x.size // (n * c)
    parts = max(-(-plane // PIXELS), min(-(-plane // 64), -(-2 * threads.count() // n)))
    some = -(-plane // (16 * parts)) * 16
    parts, before = -(-plane // some), (size - 1) // 2
    work = threads.scratch("work", 2 * slots * some * threads.count())
    numbers = (c, plane, parts, some, before, size - 1 - before, alpha / size, float(beta), float(k))
    threads.run(task_, n * parts, *arrays, work, *numbers, dtype=x.dtype)


def across(x, y, size: int, alpha: float, beta: float, k: float = 1.0) -> None:
    """y = x * (k + alpha / size * the sum of x^2 over `size` channels)^-beta, for x[N, C, ...]."""
    _run_across(_across, (x, y), 1, size, alpha, beta, k)


def across_backward(dy, x, dx, size: int, alpha: float, beta: float, k: float = 1.0) -> None:
    """dx from dy and x; dx must be an array of its own."""
    _run_across(_across_backward, (dy, x, dx), size + 2, size, alpha, beta, k)


@helper
def sum_around(a, height, width, half, line, out):
    """out[h * pitch + i] = the sum of a over the square of 2 * half + 1 pixels around pixel (h, i).

    Row h of a begins at (h + half) * pitch + half, pitch being width + half, and there are zeros around: so the whole
    plane is one row.
    """
    pitch = width + half
    add_up(a, height * pitch + half, 2 * half + 1, pitch, line)
    add_up(line, height * pitch, 2 * half + 1, 1, out)


@helper
def add_up(a, n, count, step, out):
    """out[i] = a[i] + a[i + step] + ..., `count` terms."""
    for i in range(n):
        out[i] = a[i]
    for k in range(1, count):
        other = shift(a, k * step)
        for i in range(n):
            out[i] += other[i]


@helper
def rooms(work, thread, room):
    """Four parts of a thread's scratch, the first one cleared."""
    a = shift(work, 4 * thread * room)
    for i in range(room):
        a[i] = 0
    return a, shift(a, room), shift(a, 2 * room), shift(a, 3 * room)


@helper
def scales_within(x, height, width, half, alpha, k, a, line, s):
    """s = k + alpha * the sum of the squares around each pixel, as sum_around gives it."""
    pitch = width + half
    for h in range(height):
        row, p = shift(a, (h + half) * pitch + half), shift(x, h * width)
        for i in range(width):
            row[i] = p[i] * p[i]
    sum_around(a, height, width, half, line, s)
    for i in range(height * pitch):
        s[i] = k + alpha * s[i]


@task
def _within(job, item, thread):
    x, y, work, planes, some, height, width, half, room, alpha, beta, k = unpack(job, "aaaiiiiiirrr")
    a, line, s, _ = rooms(work, thread, room)
    pitch = width + half
    for plane in range(item * some, min(planes, item * some + some)):
        source, target = shift(x, plane * height * width), shift(y, plane * height * width)
        scales_within(source, height, width, half, alpha, k, a, line, s)
        powers(s, beta, height * pitch)
        for h in range(height):
            p, q, r = shift(source, h * width), shift(s, h * pitch), shift(target, h * width)
            for i in range(width):
                r[i] = p[i] * q[i]


@task
def _within_backward(job, item, thread):
    dy, x, dx, work, planes, some, height, width, half, room, alpha, beta, k = unpack(job, "aaaaiiiiiirrr")
    a, line, s, p = rooms(work, thread, room)
    pitch, gain = width + half, alpha * beta + alpha * beta
    for plane in range(item * some, min(planes, item * some + some)):
        at = plane * height * width
        scales_within(shift(x, at), height, width, half, alpha, k, a, line, s)
        for i in range(height * pitch):
            p[i] = s[i]
        powers(p, beta, height * pitch)
        for h in range(height):
            row, f, g = shift(a, (h + half) * pitch + half), shift(dy, at + h * width), shift(x, at + h * width)
            t, u = shift(s, h * pitch), shift(p, h * pitch)
            for i in range(width):
                row[i] = f[i] * g[i] * u[i] / t[i]
        sum_around(a, height, width, half, line, s)
        for h in range(height):
            d, f, g = shift(dx, at + h * width), shift(dy, at + h * width), shift(x, at + h * width)
            t, u = shift(s, h * pitch), shift(p, h * pitch)
            for i in range(width):
                d[i] = f[i] * u[i] - gain * g[i] * t[i]


def _run_within(task_, arrays, size: int, alpha: float, beta: float) -> None:
    n, c, h, w = arrays[0].shape
    half = min(size // 2, max(h, w))
    some = max(1, WITHIN // max(1, h * w))
    room = ((h + 2 * half) * (w + half) + 2 * half + 15) // 16 * 16
    work = threads.scratch("work", 8 * room * threads.count())
    numbers = (n * c, some, h, w, half, room, alpha / size**2, float(beta), 1.0)
    threads.run(task_, -(-n * c // some), *arrays, work, *numbers, dtype=arrays[0].dtype)


def within(x, y, size: int, alpha: float, beta: float) -> None:
    """y = x * (1 + alpha / size^2 * the sum of x^2 over a square of `size`)^-beta, for x[N, C, H, W] and odd sizes."""
    _run_within(_within, (x, y), size, alpha, beta)


def within_backward(dy, x, dx, size: int, alpha: float, beta: float) -> None:
    """dx from dy and x; dx may be dy."""
    _run_within(_within_backward, (dy, x, dx), size, alpha, beta)
