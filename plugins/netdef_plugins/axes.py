"""Axes as a prototxt names them, and arrays folded to three axes around them."""

import math

import numpy as np

from netdef.layer import LayerError, Shape


def canonical(axis: int, shape: Shape, name: str = "axis") -> int:
    """The axis counted from 0; -1 is the last. Raises LayerError where the shape has no such axis."""
    n = len(shape)
    if not -n <= axis < n:
        want = f"{-n} to {n - 1}" if n else "a bottom with an axis"
        raise LayerError(f"{name} {axis} is out of range for shape {shape}; want {want}")
    return axis % n


def named(param, old: str, shape: Shape) -> int:
    """The axis of an option block that has `axis` and an older, never negative name for it."""
    if param.HasField(old) and param.HasField("axis"):
        raise LayerError(f"has both axis {param.axis} and {old} {getattr(param, old)}; {old} is its old name, give one")
    if param.HasField(old):
        return canonical(getattr(param, old), shape, old)
    return canonical(param.axis, shape)


def fold(x: np.ndarray, start: int, stop: int) -> np.ndarray:
    """A view of shape (before start, start to stop, from stop on), each the product of its axes."""
    shape = x.shape
    return x.reshape(math.prod(shape[:start]), math.prod(shape[start:stop]), math.prod(shape[stop:]))


def dims(shape: Shape) -> str:
    """(2, 3, 4) as "2 x 3 x 4", for messages."""
    return " x ".join(map(str, shape)) or "scalar"
