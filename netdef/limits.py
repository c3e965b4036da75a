"""Bounds on memory, so that a wrong number in a file becomes a message and not a dead machine."""

import operator
import os
import sys
from functools import lru_cache
from typing import Any

import numpy as np

from netdef.errors import LayerError

MOST_AXES = 32  # Caffe: kMaxBlobAxes


def memory() -> int:
    """Physical memory in bytes, or what `ulimit -v` leaves the process; 64 GiB where the system does not say."""
    return min(_physical(), _allowed())


@lru_cache(maxsize=1)
def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 64 << 30


def _allowed() -> int:
    try:
        import resource
    except ImportError:  # no such limits on Windows
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def as_shapes(found: Any) -> list[tuple[int, ...]]:
    """What a layer's infer gave, as tuples of int. Raises LayerError for anything but a sequence of shapes."""
    try:
        return [tuple(operator.index(d) for d in shape) for shape in found]
    except TypeError:
        raise LayerError(f"infer gave {found!r}; want a list with the shape of each top, as tuples of int") from None


def check_shape(shape: tuple[int, ...], what: str, dtype: np.dtype) -> None:
    """Raises LayerError for a size below zero, too many axes, or a blob that this machine could never hold."""
    if len(shape) > MOST_AXES:
        raise LayerError(f"{what} has {len(shape)} axes; want at most {MOST_AXES}")
    count = 1
    for d in shape:
        count *= max(d, 1)  # NumPy refuses a huge size beside a 0 too
        if d < 0:
            raise LayerError(f"{what} has shape {shape}: a size below 0")
    if count * dtype.itemsize > memory():
        size = readable(min(count * dtype.itemsize, 10**21))
        raise LayerError(f"{what} has shape {shape}: {size}, more than this machine's memory")


def readable(size: float) -> str:
    """Bytes as people read them: "3.4 MB"."""
    units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g} {units[0]}"
