"""Windows that move over an image: their spelling in a prototxt, the sizes they give, what each place in them meets."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from netdef.layer import LayerError, Shape

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Window:
    """kernel, stride, pad and dilation: each one number for every spatial axis."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape

    @property
    def extent(self) -> Shape:
        """What the dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def steps(self, image: Shape) -> Shape:
        """How many places the window has in a padded image. Raises LayerError where it has none."""
        for size, extent, pad in zip(image, self.extent, self.pad, strict=True):
            if size + 2 * pad < extent:
                raise LayerError(
                    f"the window ({_by(self.extent)}) is larger than the image ({_by(image)}, pad {_by(self.pad)}); "
                    "want a smaller kernel, more pad or a larger image"
                )
        axes = zip(image, self.extent, self.stride, self.pad, strict=True)
        return tuple((size + 2 * p - e) // s + 1 for size, e, s, p in axes)

    def spread(self, places: Shape) -> Shape:
        """The smallest image with so many steps. Raises LayerError where the pad leaves nothing of it."""
        axes = zip(places, self.extent, self.stride, self.pad, strict=True)
        image = tuple(s * (n - 1) + e - 2 * p for n, e, s, p in axes)
        if any(size < 1 for size in image):
            raise LayerError(f"pad {_by(self.pad)} leaves an output of {_by(image)}; want a smaller pad")
        return image

    def taps(self, image: Shape, places: Shape) -> Iterator[tuple[int, Slices, Slices]]:
        """Each position in the kernel in row-major order: its number, the pixels it meets, and from which places.

        Pixels in the padding are left out, so the two slices are of equal shape and lie inside image and places.
        """
        sizes = zip(self.kernel, self.stride, self.pad, self.dilation, image, places, strict=True)
        for met in product(*(_reach(*axis) for axis in sizes)):
            number = 0
            for (k, _, _), size in zip(met, self.kernel, strict=True):
                number = number * size + k
            yield number, tuple(pixels for _, pixels, _ in met), tuple(where for _, _, where in met)


def _reach(
    kernel: int, stride: int, pad: int, dilation: int, size: int, places: int
) -> Iterator[tuple[int, slice, slice]]:
    """Along one axis: the positions in the kernel that meet a pixel, the pixels, and from which places."""
    for k in range(kernel):
        shift = k * dilation - pad
        first, last = max(0, -(shift // stride)), min(places - 1, (size - 1 - shift) // stride)
        if first <= last:
            yield k, slice(first * stride + shift, last * stride + shift + 1, stride), slice(first, last + 1)


def per_axis(param: Any, name: str, stem: str, axes: int, default: int | None, least: int = 1) -> Shape:
    """An option that has one number for each spatial axis, as Caffe spells it: `name` once, or once for each axis, or
    `stem`_h and `stem`_w. Raises LayerError where it is missing, spelled twice, or below `least`."""
    tall, wide = f"{stem}_h", f"{stem}_w"
    single = given(param, name)
    pair = [given(param, tall), given(param, wide)] if tall in param.DESCRIPTOR.fields_by_name else []
    if any(pair):
        if single:
            raise LayerError(f"has both {name} and {tall} or {wide}; want one of the two spellings")
        if axes != 2:
            raise LayerError(f"{tall} and {wide} are for 2 spatial axes, the bottom has {axes}; want {name}")
        single = [v for side in pair for v in side or [default if stem == "pad" else None]]
    elif len(single) <= 1:
        single = (single or [default]) * axes
    if None in single:
        raise LayerError(f"has no {name}; want {name}, or both {tall} and {wide}")
    if len(single) != axes:
        raise LayerError(f"has {len(single)} {name} for {axes} spatial axes; want one, or one for each axis")
    if any(v < least for v in single):
        raise LayerError(f"{name} is {_by(single)}; want at least {least} along each axis")
    return tuple(int(v) for v in single)


def given(param: Any, name: str) -> list[Any]:
    """The values of an option that the prototxt has; none where it is left to the default."""
    value = getattr(param, name)
    return list(value) if not isinstance(value, int) else [value] if param.HasField(name) else []


def _by(sizes: Sequence[Any]) -> str:
    return "x".join(map(str, sizes))


def volume(sizes: Sequence[int]) -> int:
    """How many pixels: the product, 1 without axes."""
    return math.prod(sizes)


def along(values: np.ndarray, axis: int, axes: int) -> np.ndarray:
    """One value for each place along a spatial axis, in a shape that broadcasts over the others."""
    return values.reshape([-1 if i == axis else 1 for i in range(axes)])
