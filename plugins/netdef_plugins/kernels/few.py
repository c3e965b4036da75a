"""Convolutions of many channels into few, without steps: tiles of registers would be wasted on rows of so few outputs,
but the taps of all of them fill some. So every pixel meets all taps, as in the gradient of a convolution of few
channels; and weights are those of one tap, for copies of dy that are moved as the taps are."""

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


def _moved(dy, image: Pair, kernel: Pair, pad: Pair, dilation: Pair):
    """[N, M, KH, KW, *image]: dy as the taps see it, zero where they see nothing."""
    out, rows = dy.shape[2:], (*dy.shape[:2], *kernel)
    floats = int(np.prod(rows)) * image[0] * image[1]
    copies = threads.scratch("pixels", floats)[:floats].reshape(*rows, *image)

    def move(n: int) -> None:
        copies[n] = 0
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                down, right = i * dilation[0] - pad[0], j * dilation[1] - pad[1]
                a, b = max(0, down), min(image[0], out[0] + down)
                c, d = max(0, right), min(image[1], out[1] + right)
                if a < b and c < d:
                    copies[n, :, i, j, a:b, c:d] = dy[n, :, a - down : b - down, c - right : d - right]

    threads.each(move, dy.shape[0])
    return copies


def update(dy, x, dw, db, pad: Pair, dilation: Pair, plan: tuple[Plan, int, int, int]) -> None:
    """Adds to dw and db, by a plan of thin's for as many rows as dy has taps."""
    from .conv2d import add_bias

    copies = _moved(dy, x.shape[2:], dw.shape[2:], pad, dilation)
    found = np.zeros((dw.shape[0] * dw.shape[2] * dw.shape[3], dw.shape[1]), np.float32)
    thin.add_update(copies, x, found, None, plan)
    dw += found.reshape(dw.shape[0], *dw.shape[2:], dw.shape[1]).transpose(0, 3, 1, 2)
    add_bias(dy, db)
