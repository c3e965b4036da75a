"""Compiled loops: shapes in, arrays out, nothing known of layers."""

import numba
import numpy as np

Array = np.ndarray


@numba.njit(cache=True, nogil=True)
def largest(x: Array, image: Array, time: Array, rows: Array, columns: Array, y: Array, place: Array) -> None:
    """The largest value in each bin of every region, and its flat place in x; 0 and -1 for an empty bin.

    x [images, channels, time, height, width]; time, rows and columns [2, regions, bins]: where bins begin and end; y
    and place [regions, channels, *bins]. Of equal values the first one counts.
    """
    regions, channels, times, heights, widths = y.shape
    _, _, length, height, width = x.shape
    for n in range(regions):
        for c in range(channels):
            first = (image[n] * channels + c) * length * height * width
            for i in range(times):
                for j in range(heights):
                    for k in range(widths):
                        best, at = x.dtype.type(0), -1
                        for t in range(time[0, n, i], time[1, n, i]):
                            for h in range(rows[0, n, j], rows[1, n, j]):
                                for w in range(columns[0, n, k], columns[1, n, k]):
                                    value = x[image[n], c, t, h, w]
                                    if at < 0 or value > best:
                                        best, at = value, first + (t * height + h) * width + w
                        y[n, c, i, j, k], place[n, c, i, j, k] = best, at


@numba.njit(cache=True, nogil=True)
def give_back(dy: Array, place: Array, dx: Array) -> None:
    """dx[place] += dy, all flat, where a place is not below 0."""
    for i in range(dy.size):
        if place[i] >= 0:
            dx[place[i]] += dy[i]
