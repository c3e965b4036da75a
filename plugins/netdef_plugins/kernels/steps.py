"""The pixels that a convolution of one tap and larger steps meets: brought together, and put back apart. Where images
are too small to be multiplied as they lie, all of them at once, before whoever convolves them or behind."""

import numpy as np

from . import threads
from .gather import part_row
from .interleave import evens, merge2
from .native import helper, task, unpack
from .simd import VL, ZERO, load, shift, splat, store
from .tile import own

# Pixels of an item, about.
ITEM = 16 * 1024


@helper
def take_rows(x, small, first, last, height, width, qh, qw, sh, sw):
    """small[i, j] = x[i * sh, j * sw] for first <= i < last, of a plane; where rows follow, VL - 1 floats past the last
    one may be written."""
    whole = (qw + VL - 1) // VL * VL
    for i in range(first, last):
        row, out = shift(x, i * sh * width), shift(small, i * qw)
        if sw == 2 and 2 * whole <= (height - i * sh) * width and whole <= (qh - i) * qw:
            for j in range(0, qw, VL):
                store(shift(out, j), evens(load(shift(row, 2 * j)), load(shift(row, 2 * j + VL))))
        else:
            part_row(out, row, width, 0, sw, 1, qw, 0, ZERO)


@task
def take_pixels(job, item, thread):
    """small[plane, i, j] = x[plane, i * sh, j * sw] for some planes."""
    x, small, planes, some, height, width, qh, qw, sh, sw = unpack(job, "aaiiiiiiii")
    for plane in range(item * some, min(planes, (item + 1) * some)):
        source, out = shift(x, plane * height * width), shift(small, plane * qh * qw)
        for k in range(0, qh * qw, 16):
            own(shift(out, k))
        take_rows(source, out, 0, qh, height, width, qh, qw, sh, sw)


@helper
def spread_row(dst, width, step, src):
    """dst[step * j] = src[j], and zeros between; VL - 1 floats past src may be read."""
    if step == 2:
        for j in range(0, (width + 1) // 2, VL):
            merge2(shift(dst, 2 * j), 0, width - 2 * j, (load(shift(src, j)), splat(ZERO)))
    else:
        for j in range(width):
            dst[j] = src[j // step] if j % step == 0 else ZERO


@helper
def spread_rows(small, x, first, last, height, width, qw, sh, sw):
    """x[i * sh, j * sw] = small[i, j] for first <= i < last, of a plane, and zeros beside and below; VL - 1 floats past
    small may be read."""
    for h in range(first * sh, min(height, last * sh)):
        row = shift(x, h * width)
        if h % sh == 0:
            spread_row(row, width, sw, shift(small, h // sh * qw))
        else:
            for j in range(width):
                row[j] = ZERO


@task
def spread_pixels(job, item, thread):
    """x[plane, i * sh, j * sw] = small[plane, i, j] and zeros elsewhere, for some planes."""
    small, x, planes, some, height, width, qh, qw, sh, sw = unpack(job, "aaiiiiiiii")
    for plane in range(item * some, min(planes, (item + 1) * some)):
        spread_rows(shift(small, plane * qh * qw), shift(x, plane * height * width), 0, qh, height, width, qw, sh, sw)


def _few(shape: tuple[int, ...], steps: tuple[int, int]) -> tuple[np.ndarray, int, tuple[int, ...]]:
    """Room for the pixels that are met of images [N, C, H, W], the items to do it in, and how they lie."""
    n, c, h, w = shape
    qh, qw = -(-h // steps[0]), -(-w // steps[1])
    some = max(1, ITEM // (h * w))
    count = n * c * qh * qw
    room = threads.scratch("pixels", count + VL)[:count].reshape(n, c, qh, qw)
    return room, -(-n * c // some), (n * c, some, h, w, qh, qw, *steps)


def forward(x, w, factor, bias, y, then, steps) -> None:
    """`then` convolves, without steps, every pixel that y sees."""
    small, items, sizes = _few(x.shape, steps)
    threads.run(take_pixels, items, x, small, *sizes)
    then(small, w, factor, bias, y)


def backward(dy, w, factor, bias, dx, then, steps) -> None:
    """`then` leads back to every pixel that dy has seen; the others get zero."""
    small, items, sizes = _few(dx.shape, steps)
    then(dy, w, factor, bias, small)
    threads.run(spread_pixels, items, small, dx, *sizes)
