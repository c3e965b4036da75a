"""Winograd's F(4x4, 3x3) on vectors: the transforms of inputs, weights and results, one axis at a time.

The points are 0, +-3/4, +-3/2 and infinity: rounding then costs a third of what the usual 0, +-1, +-2 cost.
"""

from numba import types

from .native import helper
from .simd import fma, splat

A, B = 0.75, 1.5
A2, B2 = A * A, B * B
# The weights' rows are divided by the products of the differences of their point to the others.
U0, UA, UB = 1 / (A2 * B2), 1 / (2 * A2 * (A2 - B2)), 1 / (2 * B2 * (B2 - A2))


@helper
def of(x):
    """x in every lane, as a float32."""
    return splat(types.float32(x))


@helper
def minus(a, x, b):
    """a - x * b."""
    return fma(of(-x), b, a)


@helper
def plus(a, x, b):
    """a + x * b."""
    return fma(of(x), b, a)


@helper
def input_axis(d0, d1, d2, d3, d4, d5):
    """Six pixels in a row, seen from the six points."""
    even, odd = minus(d4, B2, d2), minus(d3, B2, d1)
    even2, odd2 = minus(d4, A2, d2), minus(d3, A2, d1)
    first = plus(minus(d4, A2 + B2, d2), A2 * B2, d0)
    last = plus(minus(d5, A2 + B2, d3), A2 * B2, d1)
    return first, plus(even, A, odd), minus(even, A, odd), plus(even2, B, odd2), minus(even2, B, odd2), last


@helper
def result_axis(m0, m1, m2, m3, m4, m5):
    """Four results in a row from the products at the six points."""
    sum1, sum2, difference1, difference2 = m1 + m2, m3 + m4, m1 - m2, m3 - m4
    y1 = plus(of(A) * difference1, B, difference2)
    y2 = plus(of(A2) * sum1, B2, sum2)
    y3 = plus(plus(m5, A2 * A, difference1), B2 * B, difference2)
    return m0 + sum1 + sum2, y1, y2, y3


@helper
def weight_axis(g0, g1, g2):
    """Three taps in a row, seen from the six points."""
    even, odd = of(UA) * plus(g0, A2, g2), of(UA * A) * g1
    even2, odd2 = of(UB) * plus(g0, B2, g2), of(UB * B) * g1
    return of(U0) * g0, even + odd, even - odd, even2 + odd2, even2 - odd2, g2


@helper
def spread_axis(y0, y1, y2, y3):
    """Four gradients of results in a row, seen from the six points: the transpose of result_axis."""
    even, odd = plus(y0, A2, y2), plus(of(A) * y1, A2 * A, y3)
    even2, odd2 = plus(y0, B2, y2), plus(of(B) * y1, B2 * B, y3)
    return y0, even + odd, even - odd, even2 + odd2, even2 - odd2, y3


@helper
def gather_axis(u0, u1, u2, u3, u4, u5):
    """Gradients of three taps in a row from those at the six points: the transpose of weight_axis."""
    sum1, sum2, difference1, difference2 = u1 + u2, u3 + u4, u1 - u2, u3 - u4
    g0 = plus(plus(of(U0) * u0, UA, sum1), UB, sum2)
    g1 = plus(of(UA * A) * difference1, UB * B, difference2)
    g2 = plus(plus(u5, UA * A2, sum1), UB * B2, sum2)
    return g0, g1, g2
