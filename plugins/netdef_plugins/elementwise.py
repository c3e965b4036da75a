"""What layers that apply a function to each element have in common."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from netdef.layer import Blob, ParameterFree

PIECE = 1 << 14
"""Elements: a few arrays of this size fit a core's second-level cache."""


def pieces(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Equal flat pieces of C-contiguous arrays, so small that several NumPy calls on them cost one pass over memory."""
    flat = [a.reshape(-1) for a in arrays]
    for i in range(0, flat[0].size, PIECE):
        yield [f[i : i + PIECE] for f in flat]


def slabs(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The same along the first axis, for arrays of one shape whose other axes must stay whole."""
    step = max(1, PIECE * len(arrays[0]) // max(1, arrays[0].size))
    for i in range(0, len(arrays[0]), step):
        yield [a[i : i + step] for a in arrays]


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
        for x, y in pieces(bottom[0].data, top[0].data):
            y[...] = self.value(x)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        known = top[0] if "top" in self.reads else bottom[0]
        for v, dy, dx in pieces(known.data, top[0].diff, bottom[0].diff):
            np.multiply(dy, self.slope(v), out=dx)
