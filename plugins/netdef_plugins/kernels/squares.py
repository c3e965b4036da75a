"""Winograd's transforms of squares: of their columns, then of their rows.

In all of them `n` is the number of points an axis, 6 for three taps and 8 for five; vectors are read `down` and
`right` floats apart from src on, and written `below` and `beside` floats apart from dst on; `room` holds 64 vectors.
"""

from .native import helper
from .points import gather6, gather8, pixels6, pixels8, result6, result8, see6, see8, spread6, spread8, weigh6, weigh8
from .simd import VL, shift

# Points, results and taps an axis, for three taps and for five.
POINTS, RESULTS, TAPS = (6, 8), (4, 4), (3, 5)


def _make(of_six, of_eight, columns, rows):
    """The transform of `columns` columns, then of the `rows` rows that it leaves."""
    (columns6, columns8), (rows6, rows8) = columns, rows

    @helper
    def transform(n, src, down, right, dst, below, beside, room):
        for j in range(columns6 if n == 6 else columns8):
            if n == 6:
                of_six(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
            else:
                of_eight(shift(src, j * right), down, shift(room, j * VL), 8 * VL)
        for i in range(rows6 if n == 6 else rows8):
            if n == 6:
                of_six(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)
            else:
                of_eight(shift(room, i * 8 * VL), VL, shift(dst, i * below), beside)

    return transform


see_square = _make(see6, see8, POINTS, POINTS)  # pixels, seen from the points
result_square = _make(result6, result8, POINTS, RESULTS)  # results from the products at the points
weigh_square = _make(weigh6, weigh8, TAPS, POINTS)  # taps, seen from the points
spread_square = _make(spread6, spread8, RESULTS, POINTS)  # gradients of results, seen from the points
gather_square = _make(gather6, gather8, POINTS, TAPS)  # gradients of the taps from those at the points
gather_pixels = _make(pixels6, pixels8, POINTS, POINTS)  # gradients of pixels from those at the points
