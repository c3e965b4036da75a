"""Regions of interest: rows (image, x1, y1, x2, y2) in the input image's pixels, both corners part of the region."""

import math
from collections.abc import Sequence

import numpy as np

from netdef.layer import Blob, Field, LayerError, ParameterFree, Shape

Array = np.ndarray

POOLED = [
    Field("pooled_h", "uint32", 0, doc="Bins along the height: the top's; it must be given."),
    Field("pooled_w", "uint32", 0, doc="Bins along the width: the top's; it must be given."),
    Field("spatial_scale", "float", 1.0, doc="Pixels of the map for each pixel of the input image."),
]


class OfRegions(ParameterFree):
    """A layer of maps and regions whose top is a map of a fixed size for each region; its options begin as `POOLED`."""

    bottoms = 2

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that give the size along each axis of the maps."""
        return ("pooled_h", "pooled_w")

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.sizes = pooled(self.param, *self.axes)

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, rois = shapes
        if len(x) != len(self.sizes) + 2:
            what = "".join(f" x {name}" for name in ("time", "height", "width")[-len(self.sizes) :])
            raise LayerError(f"maps of shape {x}; want images x channels{what}")
        return [(count(rois), x[1], *self.sizes)]

    def sample(self, j: int, bottom_shapes: Sequence[Shape], rng: np.random.Generator) -> Array | None:
        """Regions of images that the maps are of."""
        maps, rois = bottom_shapes
        if j != 1 or math.prod(rois[1:]) != 5 or len(maps) != 4:
            return None
        (height, width), scale = maps[2:], self.param.spatial_scale
        corners = np.sort(rng.uniform(0, 1, (rois[0], 2, 2)), axis=1) * (width / scale, height / scale)
        image = rng.integers(0, maps[0], (rois[0], 1))
        return np.concatenate([image, np.round(corners).reshape(-1, 4)], axis=1).reshape(rois)


def rounded(x: Array) -> Array:
    """To the nearest whole number, halves away from zero, as C rounds."""
    size = np.abs(x)
    whole = np.floor(size)
    return np.copysign(whole + (size - whole >= 0.5), x)


def count(rois: Shape) -> int:
    """How many regions a blob holds. Nets are built with rows of any length, as scripts reshape them before a pass."""
    if not rois:
        raise LayerError("regions of shape (); want N x 5: image, x1, y1, x2, y2")
    return rois[0]


def rows(rois: Blob, numbers: int = 5) -> Array:
    """Regions as (N, numbers). Raises LayerError where their rows are of another length."""
    if math.prod(rois.shape[1:]) != numbers:
        names = "image, x1, y1, x2, y2" if numbers == 5 else "image, first, last"
        raise LayerError(f"regions of shape {rois.shape}; want N x {numbers}: {names}")
    return rois.data.reshape(-1, numbers)


def images(rois: Array, batch: int) -> Array:
    """The image of each region. Raises LayerError for one that the batch does not have."""
    image = np.trunc(rois[:, 0])
    wrong = ~((image >= 0) & (image < batch))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise LayerError(f"region {i} is of image {rois[i, 0]:g}; want 0 to {batch - 1}, the images of the batch")
    return image.astype(np.intp)


def bins(start: Array, size: Array, many: int) -> tuple[Array, Array]:
    """`many` bins, which may overlap, of each interval: where each begins, and where it ends (that not included).

    start and size are (N,); the result (N, many), in whole numbers, not yet within the image.
    """
    steps, width = np.arange(many + 1, dtype=size.dtype), (size / size.dtype.type(many))[:, None]
    begin, end = np.floor(steps[:-1] * width + start[:, None]), np.ceil(steps[1:] * width + start[:, None])
    return begin.astype(np.intp), end.astype(np.intp)


def within(edges: tuple[Array, Array], length: int) -> tuple[Array, Array]:
    return np.clip(edges[0], 0, length), np.clip(edges[1], 0, length)


def pooled(param: object, *names: str) -> tuple[int, ...]:
    """The sizes that an option block gives. Raises LayerError for one below 1."""
    sizes = tuple(getattr(param, name) for name in names)
    for name, size in zip(names, sizes, strict=True):
        if size < 1:
            raise LayerError(f"{name} is {size}; want at least 1")
    return sizes


def stop(propagate_down: list[bool], bottom: list[Blob], *which: int) -> None:
    """Write a gradient of 0 where one is asked for: none passes through regions, labels or the choice of them."""
    for i in which:
        if propagate_down[i]:
            bottom[i].diff[...] = 0
