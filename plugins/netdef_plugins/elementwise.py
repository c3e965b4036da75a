"""What layers that apply a function to each element have in common."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from netdef.layer import Blob, ParameterFree

PIECE = 1 << 16
"""Elements: a few arrays of this size fit a core's second-level cache, and hide what a NumPy call costs."""


def by_pieces(call: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
    """What call gives for equal flat pieces of C-contiguous arrays, in their order.

    Pieces are so small that several NumPy calls on them cost one pass over memory. All cores take part, so that a call
    writes nothing but its pieces.
    """
    return by_slabs(call, *(a.reshape(-1) for a in arrays))


def by_slabs(call: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
    """The same along the first axis, for arrays of one shape whose other axes must stay whole."""
    from .kernels import threads

    length = len(arrays[0])
    step = max(1, PIECE * length // max(1, arrays[0].size))
    found: list[Any] = [None] * -(-length // step)

    def one(k: int) -> None:
        found[k] = call(*(a[k * step : (k + 1) * step] for a in arrays))

    threads.each(one, len(found))
    return found


class Elementwise(ParameterFree):
    """y = f(x) for each element: a subclass gives f and f', the latter by what it `reads`: x or y."""

    in_place = True
    reads = ("top",)

    @abstractmethod
    def value(self, x: np.ndarray) -> np.ndarray:
        """f(x)."""

    @abstractmethod
    def slope(self, v: np.ndarray) -> np.ndarray:
        """f'(x), where v is y if the layer reads its top, else x."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        def piece(x, y):
            y[...] = self.value(x)

        by_pieces(piece, bottom[0].data, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        known = top[0] if "top" in self.reads else bottom[0]

        def piece(v, dy, dx):
            np.multiply(dy, self.slope(v), out=dx)

        by_pieces(piece, known.data, top[0].diff, bottom[0].diff)
