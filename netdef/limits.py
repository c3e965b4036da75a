"""Bounds on memory, so that a wrong number in a file becomes a message and not a dead machine."""

import operator
import os
from functools import lru_cache
from typing import Any

import numpy as np

from netdef.errors import LayerError


@lru_cache(maxsize=1)
def memory() -> int:
    """Physical memory in bytes; 64 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 64 << 30


def as_shapes(found: Any) -> list[tuple[int, ...]]:
    """What a layer's infer gave, as tuples of int. Raises LayerError for anything but a sequence of shapes."""
    try:
        return [tuple(operator.index(d) for d in shape) for shape in found]
    except TypeError:
        raise LayerError(f"infer gave {found!r}; want a list with the shape of each top, as tuples of int") from None


def check_shape(shape: tuple[int, ...], what: str, dtype: np.dtype) -> None:
    """Raises LayerError for a size below zero or a blob that this machine could never hold."""
    count = 1
    for d in shape:
        count *= d
        if d < 0:
            raise LayerError(f"{what} has shape {shape}: a size below 0")
    if count * dtype.itemsize > memory():
        size = readable(count * dtype.itemsize)
        raise LayerError(f"{what} has shape {shape}: {size}, more than this machine's memory")


def readable(size: float) -> str:
    """Bytes as people read them: "3.4 MB"."""
    units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g} {units[0]}"
