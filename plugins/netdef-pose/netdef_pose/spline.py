"""Cubic interpolation along an axis, as a matrix."""

from functools import lru_cache

import numpy as np

Array = np.ndarray
CUBIC = np.array([[0, -0.5, 1, -0.5], [1, 0, -2.5, 1.5], [0, 0.5, 2, -1.5], [0, 0, -0.5, 0.5]])
"""The weights of four pixels in a row as polynomials in the distance from the second: Catmull-Rom's spline."""


@lru_cache(maxsize=64)
def enlarging(size: int, pad: int, out: int) -> Array:
    """The matrix (out, size) of cubic interpolation in size - 2 pad pixels, the middle of `size`.

    Pixels are squares with their values at the centres; at the edge the last pixel stands for those behind it.
    """
    inner = size - 2 * pad
    at = (np.arange(out) + 0.5) * inner / out - 0.5
    second = np.maximum((at + 1e-5).astype(int), 0)
    weights = np.vander(at - second, 4, increasing=True) @ CUBIC.T
    m = np.zeros((out, size))
    for k in range(4):
        pixel = np.clip(second + k - 1, 0, inner - 1) + pad
        np.add.at(m, (np.arange(out), pixel), weights[:, k])
    return m
