"""Local response normalization, across channels and within them; scales are computed again rather than kept."""

import math

from . import threads
from .native import helper, task, unpack
from .roots import inverse_fourth_roots
from .simd import shift
from .strip_sums import LINE, ask
from .tile import own

# Pixels that an item handles at a time: what it notes of the channels that meet stays in the first cache.
PIXELS = 512
# Pixels of the planes of an item.
WITHIN = 16 * 1024


@helper
def powers(s, beta, n):
    """s = s ** -beta; roots are much faster than powers, and 3/4 is everybody's beta."""
    if beta == 0.75:
        inverse_fourth_roots(s, n)
        for i in range(n):
            s[i] = s[i] * s[i] * s[i]
    elif beta == 0.5:
        for i in range(n):
            s[i] = 1 / math.sqrt(s[i])
    else:
        for i in range(n):
            s[i] = s[i] ** -beta


@helper
def falls(s, beta, n, p):
    """p = s ** -beta, and s = p / s."""
    if beta == 0.75:
        inverse_fourth_roots(s, n)
        for i in range(n):
            square = s[i] * s[i]
            p[i] = square * s[i]
            s[i] = p[i] * (square * square)
    else:
        for i in range(n):
            p[i] = s[i]
        powers(p, beta, n)
        for i in range(n):
            s[i] = p[i] / s[i]


@helper
def squares_of(x, n, out):
    for i in range(n):
        out[i] = x[i] * x[i]


@helper
def rows_of(ring, slots, first, last, some, n, none, rest):
    """The rows of channels first .. last - 1, channel d's in slot d % slots, as five that have the same sum: `none` are
    zeros, and in `rest` are all after the fourth where they are more than five."""
    a, b, c, d, e = none, none, none, none, none
    count = last - first
    if count > 0:
        a = shift(ring, first % slots * some)
    if count > 1:
        b = shift(ring, (first + 1) % slots * some)
    if count > 2:
        c = shift(ring, (first + 2) % slots * some)
    if count > 3:
        d = shift(ring, (first + 3) % slots * some)
    if count > 4:
        e = shift(ring, (first + 4) % slots * some)
    if count > 5:
        for i in range(n):
            rest[i] = e[i]
        for k in range(first + 5, last):
            row = shift(ring, k % slots * some)
            for i in range(n):
                rest[i] += row[i]
        e = rest
    return a, b, c, d, e


@helper
def scales(rows, alpha, k, n, s):
    """s = k + alpha * the sum of the rows."""
    a, b, c, d, e = rows
    for i in range(n):
        s[i] = k + alpha * (a[i] + b[i] + (c[i] + d[i]) + e[i])


@helper
def less_rows(first, rows, gain, x, n, dx):
    """dx = first - gain * x * the sum of the rows."""
    a, b, c, d, e = rows
    for i in range(n):
        dx[i] = first[i] - gain * x[i] * (a[i] + b[i] + (c[i] + d[i]) + e[i])


@helper
def own_row(p, lines):
    """Asks for a row to write to."""
    for i in range(lines):
        own(shift(p, i * LINE))


@helper
def clear(a, n):
    for i in range(n):
        a[i] = 0


@task
def _across(job, item, thread):
    x, y, work, channels, plane, parts, some, before, after, alpha, beta, k = unpack(job, "aaaiiiiiirrr")
    at, slots = item // parts * channels * plane + item % parts * some, before + after + 1
    n, none = min(some, plane - item % parts * some), shift(work, thread * (slots + 3) * some)
    rest, s, ring = shift(none, some), shift(none, 2 * some), shift(none, 3 * some)
    x, y, whole = shift(x, at), shift(y, at), (n + 15) // 16 * 16
    lines = n // LINE
    clear(none, (slots + 3) * some)
    for c in range(-after, channels):
        if c + after < channels:
            ask(shift(x, (c + after + 1) * plane), lines)
            squares_of(shift(x, (c + after) * plane), n, shift(ring, (c + after) % slots * some))
        if c >= 0:
            rows = rows_of(ring, slots, max(0, c - before), min(channels, c + after + 1), some, whole, none, rest)
            own_row(shift(y, c * plane), lines)
            scales(rows, alpha, k, whole, s)
            powers(s, beta, whole)
            source, target = shift(x, c * plane), shift(y, c * plane)
            for i in range(n):
                target[i] = source[i] * s[i]


@helper
def ratios_of(dy, x, p, s, n, first, ratio):
    """first = dy * p, the first half of the gradient, and ratio = dy * x * s."""
    for i in range(n):
        first[i] = dy[i] * p[i]
        ratio[i] = dy[i] * x[i] * s[i]


@task
def _across_backward(job, item, thread):
    dy, x, dx, work, channels, plane, parts, some, before, after, alpha, beta, k = unpack(job, "aaaaiiiiiirrr")
    at, slots = item // parts * channels * plane + item % parts * some, before + after + 1
    n, none = min(some, plane - item % parts * some), shift(work, thread * (3 * slots + 4) * some)
    rest, s, p, ring = shift(none, some), shift(none, 2 * some), shift(none, 3 * some), shift(none, 4 * some)
    ratios, firsts, gain = shift(ring, slots * some), shift(ring, 2 * slots * some), alpha * beta + alpha * beta
    dy, x, dx, whole = shift(dy, at), shift(x, at), shift(dx, at), (n + 15) // 16 * 16
    lines = n // LINE
    clear(none, (3 * slots + 4) * some)
    for c in range(-after, channels + before):
        if c + after < channels:
            ask(shift(x, (c + after + 1) * plane), lines)
            squares_of(shift(x, (c + after) * plane), n, shift(ring, (c + after) % slots * some))
        if 0 <= c < channels:
            rows = rows_of(ring, slots, max(0, c - before), min(channels, c + after + 1), some, whole, none, rest)
            ask(shift(dy, (c + 1) * plane), lines)
            own_row(shift(dx, max(0, c - before) * plane), lines)
            scales(rows, alpha, k, whole, s)
            falls(s, beta, whole, p)
            slot = c % slots * some
            ratios_of(shift(dy, c * plane), shift(x, c * plane), p, s, n, shift(firsts, slot), shift(ratios, slot))
        if c >= before:  # the last channel that c - before has an influence on is known now
            d = c - before
            rows = rows_of(ratios, slots, max(0, d - after), min(channels, d + before + 1), some, whole, none, rest)
            less_rows(shift(firsts, d % slots * some), rows, gain, shift(x, d * plane), n, shift(dx, d * plane))


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
    _run_across(_across, (x, y), size + 3, size, alpha, beta, k)


def across_backward(dy, x, dx, size: int, alpha: float, beta: float, k: float = 1.0) -> None:
    """dx from dy and x; dx must be an array of its own."""
    _run_across(_across_backward, (dy, x, dx), 3 * size + 4, size, alpha, beta, k)


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
    """out[i] = a[i] + a[i + step] + ..., `count` terms, three at once."""
    if count >= 3:
        b, c = shift(a, step), shift(a, 2 * step)
        for i in range(n):
            out[i] = a[i] + b[i] + c[i]
    else:
        for i in range(n):
            out[i] = a[i]
    for k in range(3 if count >= 3 else 1, count):
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
        falls(s, beta, height * pitch, p)
        for h in range(height):
            row, f, g = shift(a, (h + half) * pitch + half), shift(dy, at + h * width), shift(x, at + h * width)
            t = shift(s, h * pitch)
            for i in range(width):
                row[i] = f[i] * g[i] * t[i]
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
