"""Bilinear interpolation as a matrix for each axis: y = rows x columns^T, so that its transpose is the gradient."""

import numpy as np

Array = np.ndarray


def weights(at: Array, length: int, margin: float) -> Array:
    """[places, length]: what each pixel of an axis counts at places between them.

    A place before the first or behind the last pixel is that pixel, up to `margin` pixels away; further outside nothing
    counts.
    """
    found = np.zeros((len(at), length), at.dtype)
    inside = (at >= -margin) & (at <= length - 1 + margin)
    at = np.clip(at, 0, length - 1)
    low = at.astype(np.intp)
    part = at - low
    rows = np.arange(len(at))
    found[rows, low] = 1 - part
    found[rows, np.minimum(low + 1, length - 1)] += part
    found[~inside] = 0
    return found


def resample(x: Array, rows: Array, columns: Array) -> Array:
    """rows x columns^T for each channel of x [C, H, W]."""
    return np.matmul(np.matmul(rows, x), columns.T)
