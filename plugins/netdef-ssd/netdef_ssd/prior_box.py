"""PriorBox: the boxes that predictions are relative to, laid over the pixels of a feature map."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_ssd import prior_box_onnx

Array = np.ndarray
Places = tuple[tuple[float, float, float, float], ...]
ALIKE = 1e-6
"""Aspect ratios closer than this are one."""


def _options(*fields: Field) -> Block:
    more = (
        Field("clip", "bool", False, doc="Whether boxes are cut at the image's border."),
        Field("variance", "float", repeated=True, doc="Four, or one for all; 0.1 where it is left out."),
        Field("img_size", "uint32", doc="Side of the image; that of the second bottom where it is left out."),
        Field("img_h", "uint32", doc="Height of the image, where it is not square."),
        Field("img_w", "uint32", doc="Width of the image, where it is not square."),
        Field("step", "float", doc="Pixels of the image to a pixel of the map; image / map where it is left out."),
        Field("step_h", "float", doc="The same downwards, where it differs."),
        Field("step_w", "float", doc="The same across, where it differs."),
        Field("offset", "float", 0.5, doc="Where in its pixel a centre lies, 0 to 1."),
    )
    return Block("prior_box_param", (*fields, *more), message="PriorBoxParameter", doc="Boxes over a feature map.")


class PriorBox(ParameterFree):
    """Boxes (1, 2, 4 H W K) for a map of H x W: row 0 their corners in parts of the image, row 1 their variances.

    Around the centre ((w + offset) step_w, (h + offset) step_h) of each pixel lie, for each min_size m and max_size M:
    a square of side m, a square of side sqrt(m M), and for each aspect ratio r a box of m sqrt(r) by m / sqrt(r). Sizes
    count without their fraction, as in SSD: 35.2 is 35.
    """

    type = "PriorBox"
    bottoms = 2
    no_gradient = "all"
    reads = ()
    options = _options(
        Field("min_size", "float", repeated=True, doc="Sides of the small squares, in pixels of the image."),
        Field("max_size", "float", repeated=True, doc="One for each min_size, or none."),
        Field("aspect_ratio", "float", repeated=True, doc="Width by height of further boxes; 1 is there anyway."),
        Field("flip", "bool", True, doc="Whether 1 / r comes with each aspect ratio r."),
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        self.sides = self.boxes()
        self.variance = _variance(list(p.variance))
        self.image = _pair(p, "img_h", "img_w", "img_size")
        self.step = _pair(p, "step_h", "step_w", "step")

    def boxes(self) -> tuple[tuple[float, float], ...]:
        """Width and height of each box of a pixel."""
        p = self.param
        return sides(list(p.min_size), list(p.max_size), ratios(list(p.aspect_ratio), p.flip))

    def infer(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes:
            if len(shape) != 4:
                raise LayerError(f"a bottom has shape {shape}; want (number, channels, height, width)")
        boxes = sum(len(self.placed(*side)) for side in self.sides)
        return [(1, 2, shapes[0][2] * shapes[0][3] * boxes * 4)]

    def priors(self, layer: Shape, image: Shape) -> Array:
        """The top for a map and an image of these shapes, float64, (1, 2, 4 H W K)."""
        height, width = layer[2:]
        size = np.array(self.image or image[2:], float)
        step = np.array(self.step or size / (height, width), float)
        places = tuple(self.placed(*side) for side in self.sides)
        return _grid(height, width, *size, *step, self.param.offset, places, self.param.clip, self.variance)

    def placed(self, width: float, height: float) -> Places:
        """(x, y, width, height) of the boxes of one size: centres in pixels of the image beside the pixel's centre."""
        return ((0.0, 0.0, width, height),)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data[...] = self.priors(bottom[0].shape, bottom[1].shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for blob, down in zip(bottom, propagate_down, strict=True):
            if down:  # the sizes decide, not the values
                blob.diff[...] = 0

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        """A constant, unless a size that counts stays open."""
        layer, image = map(graph.sizes, inputs)
        sizes = (*layer[2:], *(self.image or image[2:]))
        if all(isinstance(size, int | float) for size in sizes):
            return [graph.const(self.priors(*map(graph.shape, inputs)), "priors")]
        places = tuple(self.placed(*side) for side in self.sides)
        how = (self.step, self.param.offset, places, self.param.clip, self.variance)
        return [prior_box_onnx.build(graph, sizes, *how)]


class FaceBoxesPriorBox(PriorBox):
    """PriorBox with more of the small squares, as in FaceBoxes (Zhang et al. 2017): 16 of side 32, 4 of side 64.

    Their centres lie a quarter of the side apart, as many before the pixel's centre as from it on; every square of
    min_size is a pixel narrower than in SSD. FaceBoxes' prototxts have no option that says so: choose it with
    --prefer PriorBox=netdef-ssd:ssd.FaceBoxesPriorBox.
    """

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return False

    def placed(self, width: float, height: float) -> Places:
        if width != height or width not in map(int, self.param.min_size):
            return super().placed(width, height)
        count = {32: 4, 64: 2}.get(int(width), 1)
        steps = [(k - count // 2) * width / 4 for k in range(count)]
        return tuple((x, y, width - 1, height - 1) for y in steps for x in steps)


class PriorBoxClustered(PriorBox):
    """PriorBox with boxes of given width and height around each pixel's centre, as OpenVINO's Caffe has it."""

    type = "PriorBoxClustered"
    options = _options(
        Field("width", "float", repeated=True, doc="Each box's width, in pixels of the image."),
        Field("height", "float", repeated=True, doc="Each box's height."),
    )

    def boxes(self) -> tuple[tuple[float, float], ...]:
        width, height = list(self.param.width), list(self.param.height)
        if not width or len(width) != len(height) or min(width + height) <= 0:
            raise LayerError(f"width {width} and height {height}; want as many of both, above 0")
        return tuple(zip(width, height, strict=True))


@lru_cache(maxsize=16)
def _grid(
    height: int,
    width: int,
    image_h: float,
    image_w: float,
    step_h: float,
    step_w: float,
    offset: float,
    places: tuple[Places, ...],
    clip: bool,
    variance: tuple[float, ...],
) -> Array:
    across, down, *sides = np.concatenate(places).T
    half_w, half_h = (side / 2 for side in sides)
    x = ((np.arange(width) + offset) * step_w)[None, :, None] + across
    y = ((np.arange(height) + offset) * step_h)[:, None, None] + down
    boxes = np.empty((height, width, len(half_w), 4))
    boxes[..., 0], boxes[..., 2] = (x - half_w) / image_w, (x + half_w) / image_w
    boxes[..., 1], boxes[..., 3] = (y - half_h) / image_h, (y + half_h) / image_h
    if clip:
        np.clip(boxes, 0, 1, out=boxes)
    return np.stack([boxes.ravel(), np.broadcast_to(variance, boxes.shape).ravel()])[None]


def ratios(given: list[float], flip: bool) -> list[float]:
    """The aspect ratios apart from 1, each once."""
    found = [1.0]
    for r in given:
        if r <= 0:
            raise LayerError(f"aspect_ratio is {r:g}; want more than 0")
        if all(abs(r - other) >= ALIKE for other in found):
            found += [r, 1 / r] if flip else [r]
    return [r for r in found if abs(r - 1) >= ALIKE]


def sides(least: list[float], most: list[float], ratios: list[float]) -> tuple[tuple[float, float], ...]:
    """Width and height of each box of a pixel, in SSD's order. Raises LayerError for sizes that make no boxes."""
    if not least or min(least) < 1:
        raise LayerError(f"min_size is {least}; want at least one, each 1 or more")
    if most and len(most) != len(least):
        raise LayerError(f"{len(most)} max_size for {len(least)} min_size; want one for each, or none")
    found: list[tuple[float, float]] = []
    for k, m in enumerate(map(int, least)):
        found.append((float(m), float(m)))
        if most:
            if most[k] <= least[k]:
                raise LayerError(f"max_size {most[k]:g} with min_size {least[k]:g}; want it to be larger")
            found.append((math.sqrt(m * int(most[k])),) * 2)
        found += [(m * math.sqrt(r), m / math.sqrt(r)) for r in ratios]
    return tuple(found)


def _variance(given: list[float]) -> tuple[float, ...]:
    if len(given) not in (0, 1, 4) or min(given, default=1) <= 0:
        raise LayerError(f"variance is {given}; want four numbers above 0, one for all, or none")
    return tuple(given or [0.1])


def _pair(param: Any, down: str, across: str, both: str) -> tuple[float, float] | None:
    """What two options say, or the one that stands for both; None where there is none."""
    if param.HasField(down) or param.HasField(across):
        if param.HasField(both):
            raise LayerError(f"{both} beside {down} or {across}; want one or the other")
        found = (getattr(param, down), getattr(param, across))
    elif param.HasField(both):
        found = (getattr(param, both),) * 2
    else:
        return None
    if min(found) <= 0:
        raise LayerError(f"{down} and {across} are {found}; want both, above 0")
    return found
