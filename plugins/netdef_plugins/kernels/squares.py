"""Winograd's transforms of squares: of their columns, then of their rows.

In all of them `n` is the number of points an axis, 6 for three taps and 8 for five; vectors are read `down` and
`right` floats apart from src on, and written `below` and `beside` floats apart from dst on; `room` holds 64 vectors.
"""

from .native import helper
from .points import gather6, gather8, result6, result8, see6, see8, spread6, spread8, weigh6, weigh8
from .simd import VL, shift


@helper
def see_square(n, src, down, right, dst, below, beside, room):
    """n x n pixels, seen from the points."""
    for j in range(n):
        if n == 6:
            see6(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        else:
            see8(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
    for i in range(n):
        if n == 6:
            see6(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
        else:
            see8(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)


@helper
def result_square(n, src, down, right, dst, below, beside, room):
    """4 x 4 results from the products at the points."""
    for j in range(n):
        if n == 6:
            result6(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        else:
            result8(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
    for i in range(4):
        if n == 6:
            result6(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
        else:
            result8(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)


@helper
def weigh_square(n, src, down, right, dst, below, beside, room):
    """The taps of a kernel, seen from the points."""
    for j in range(n - 3):
        if n == 6:
            weigh6(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        else:
            weigh8(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
    for i in range(n):
        if n == 6:
            weigh6(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
        else:
            weigh8(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)


@helper
def spread_square(n, src, down, right, dst, below, beside, room):
    """4 x 4 gradients of results, seen from the points."""
    for j in range(4):
        if n == 6:
            spread6(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        else:
            spread8(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
    for i in range(n):
        if n == 6:
            spread6(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
        else:
            spread8(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)


@helper
def gather_square(n, src, down, right, dst, below, beside, room):
    """Gradients of the taps of a kernel from those at the points."""
    for j in range(n):
        if n == 6:
            gather6(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        else:
            gather8(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
    for i in range(n - 3):
        if n == 6:
            gather6(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
        else:
            gather8(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
