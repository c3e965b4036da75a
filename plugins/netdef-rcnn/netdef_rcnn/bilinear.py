"""Bilinear interpolation as a matrix for each axis: y = rows x columns^T, so that its transpose is the gradient."""

from typing import Any

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


def computed(graph: Any, size: Any, places: int, margin: float) -> str:
    """`weights` of places that cut an axis of an open size evenly, the first at 0, as ONNX operations."""

    def op(kind: str, *inputs: Any, **more: Any) -> str:
        return str(graph.op(kind, inputs, **more))

    length = op("Cast", graph.joined([size]), to=1)
    at = op("Mul", np.arange(places, dtype=np.float32), op("Div", length, np.float32(places)))
    last = op("Sub", length, np.float32(1))
    inside = op("Cast", op("LessOrEqual", at, op("Add", last, np.float32(margin))), to=1)
    pixels = op("Cast", graph.numbers(0, size), to=1)
    away = op("Abs", op("Sub", op("Unsqueeze", op("Min", at, last), np.array([1])), pixels))
    return op("Mul", op("Relu", op("Sub", np.float32(1), away)), op("Unsqueeze", inside, np.array([1])))
