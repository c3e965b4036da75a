"""Windows over images with any number of axes, one position of the window after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from netdef.layer import LayerError, Shape

Array = np.ndarray
Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Windows:
    """One number of each for every spatial axis."""

    kernel: Shape
    stride: Shape
    pad: Shape
    up: bool
    """Whether sizes are rounded up: the last window may hang over the end."""

    def places(self, image: Shape) -> Shape:
        """How many there are. With pad, one that would begin behind the image is left out. Raises LayerError."""
        found = []
        for size, k, s, p in zip(image, self.kernel, self.stride, self.pad, strict=True):
            room = size + 2 * p - k
            n = (-(-room // s) if self.up else room // s) + 1
            if any(self.pad) and (n - 1) * s >= size + p:
                n -= 1
            if n < 1:
                raise LayerError(f"kernel {self.kernel} is larger than the image {image} with pad {self.pad}")
            found.append(n)
        return tuple(found)

    def taps(self, image: Shape, places: Shape) -> Iterator[tuple[int, Slices, Slices]]:
        """Each position in the window: its number, the pixels it meets, and at which places; slices of equal shape."""
        sizes = zip(self.kernel, self.stride, self.pad, image, places, strict=True)
        axes = [[_met(k, s, p, size, n) for k in range(kernel)] for kernel, s, p, size, n in sizes]
        for number, met in enumerate(product(*axes)):
            if all(m is not None for m in met):
                yield number, (..., *(m[0] for m in met)), (..., *(m[1] for m in met))

    def volumes(self, image: Shape, places: Shape) -> Array:
        """The pixels of each window, padding counted and overhang not."""
        found = np.ones(())
        for size, n, k, s, p in zip(image, places, self.kernel, self.stride, self.pad, strict=True):
            start = np.arange(n) * s - p
            found = np.multiply.outer(found, np.minimum(start + k, size + p) - start)
        return found


def _met(k: int, stride: int, pad: int, size: int, places: int) -> tuple[slice, slice] | None:
    """Along one axis, the pixels that position k of the window meets, and at which places."""
    shift = k - pad
    first, last = max(0, -(shift // stride)), min(places - 1, (size - 1 - shift) // stride)
    if first > last:
        return None
    return slice(first * stride + shift, last * stride + shift + 1, stride), slice(first, last + 1)
