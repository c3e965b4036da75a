"""Convolutions of many channels into few, without steps: tiles of registers would be wasted on rows of so few outputs,
but the taps of all of them fill some. So every pixel meets all taps, as in the gradient of a convolution of few
channels; and weights are those of one tap, for copies of dy that are moved as the taps are."""

import math

import numpy as np

from . import norm, scatter, thin, threads
from .conv_nd import scaled
from .plan import Plan

Pair = tuple[int, int]


def forward(x, w, factor, bias, y, groups: int, relu: bool, plan: Plan) -> None:
    """y from x and w[M, C / groups, KH, KW], by a plan of scatter's from x to y."""
    w = scaled(w, factor)
    many, channels, *kernel = w.shape
    turned = w[:, :, ::-1, ::-1].reshape(groups, many // groups, channels, *kernel).swapaxes(1, 2)
    scatter.backward(x, np.ascontiguousarray(turned), None, None, y, plan)
    if bias is not None or relu:
        norm.scale(y, np.ones(many, np.float32), bias, y, relu=relu)


def _move(dy, copies, tap: Pair, down: int, right: int) -> None:
    """copies[:, tap, ...]: dy[M, ...] of an image as a tap sees it, zero where it sees nothing."""
    out, image, target = dy.shape[1:], copies.shape[3:], copies[:, tap[0], tap[1]]
    target[...] = 0
    a, b = max(0, down), min(image[0], out[0] + down)
    c, d = max(0, right), min(image[1], out[1] + right)
    if a < b and c < d:
        target[:, a:b, c:d] = dy[:, a - down : b - down, c - right : d - right]


def update(dy, x, dw, db, pad: Pair, dilation: Pair, plan: tuple[Plan, int, int, int]) -> None:
    """Adds to dw and db, by a plan of thin's for one image and as many rows as dy has taps."""
    from .conv2d import add_bias

    (many, channels, *kernel), image = dw.shape, x.shape[2:]
    sizes = many, *kernel, *image
    floats, found = math.prod(sizes), np.zeros((many * kernel[0] * kernel[1], channels), np.float32)
    copies = threads.scratch("pixels", floats)[:floats].reshape(sizes)
    taps = [(i, j, i * dilation[0] - pad[0], j * dilation[1] - pad[1]) for i, j in np.ndindex(*kernel)]
    for n in range(len(x)):  # one at a time, as copies are many
        threads.each(lambda k, n=n: _move(dy[n], copies, taps[k][:2], *taps[k][2:]), len(taps))
        thin.add_update(copies, x[n], found, None, plan)
    dw += found.reshape(many, *kernel, channels).transpose(0, 3, 1, 2)
    add_bias(dy, db)
