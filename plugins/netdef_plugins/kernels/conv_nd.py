"""Convolution of any number of spatial axes and any float type, in NumPy: one matrix product for each tap."""

import math
from itertools import product

import numpy as np


def _padded_shape(image, out, kernel, stride, pad, dilation):
    """Sizes that hold the image behind its padding as well as every pixel that an output reads."""
    return tuple(
        max(h + p, (o - 1) * s + (k - 1) * d + 1)
        for h, o, k, s, p, d in zip(image, out, kernel, stride, pad, dilation, strict=True)
    )


def _inside(image, pad):
    return (..., *(slice(p, p + h) for h, p in zip(image, pad, strict=True)))


def _padded(x, out, kernel, stride, pad, dilation):
    image = x.shape[2:]
    whole = np.zeros(x.shape[:2] + _padded_shape(image, out, kernel, stride, pad, dilation), x.dtype)
    whole[_inside(image, pad)] = x
    return whole


def _taps(kernel, out, stride, dilation):
    """For each tap: its index in the weights, and the pixels it reads for all outputs."""
    for tap in product(*(range(k) for k in kernel)):
        reach = zip(tap, out, stride, dilation, strict=True)
        yield (..., *tap), (..., *(slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in reach))


def _grouped(x, group):
    """x[N, C, ...] as [N, group, C / group, pixels]."""
    return x.reshape(x.shape[0], group, x.shape[1] // group, math.prod(x.shape[2:]))


def scaled(w, factor):
    """w[M, ...] times factor[M] (or None)."""
    return w if factor is None else w * factor.reshape(-1, *[1] * (w.ndim - 1))


def forward(x, w, b, y, stride, pad, dilation, group=1, relu=False, factor=None) -> None:
    """As in conv2d, with stride, pad and dilation of as many numbers as there are spatial axes."""
    out, kernel, w = y.shape[2:], w.shape[2:], scaled(w, factor)
    whole = _padded(x, out, kernel, stride, pad, dilation)
    total = np.zeros((y.shape[0], group, y.shape[1] // group, int(np.prod(out))), y.dtype)
    for tap, pixels in _taps(kernel, out, stride, dilation):
        total += w[tap].reshape(group, -1, w.shape[1]) @ _grouped(whole[pixels], group)
    y[...] = total.reshape(y.shape)
    if b is not None:
        y += b.reshape(-1, *[1] * len(out))
    if relu:
        np.maximum(y, 0, out=y)


def backward(dy, w, dx, stride, pad, dilation, group=1) -> None:
    """dx from dy; pixels that no output has read get zero."""
    out, kernel, image = dy.shape[2:], w.shape[2:], dx.shape[2:]
    whole = np.zeros(dx.shape[:2] + _padded_shape(image, out, kernel, stride, pad, dilation), dx.dtype)
    given = _grouped(dy, group)
    for tap, pixels in _taps(kernel, out, stride, dilation):
        part = w[tap].reshape(group, -1, w.shape[1]).transpose(0, 2, 1) @ given
        whole[pixels] += part.reshape(dx.shape[:2] + out)
    dx[...] = whole[_inside(image, pad)]


def update(dy, x, dw, db, stride, pad, dilation, group=1) -> None:
    """Adds the gradients with respect to w and b to dw and db (or None)."""
    out, kernel = dy.shape[2:], dw.shape[2:]
    whole, given = _padded(x, out, kernel, stride, pad, dilation), _grouped(dy, group)
    for tap, pixels in _taps(kernel, out, stride, dilation):
        dw[tap] += (given @ _grouped(whole[pixels], group).transpose(0, 1, 3, 2)).sum(0).reshape(dw.shape[:2])
    if db is not None:
        db += dy.sum((0, *range(2, dy.ndim)))
