"""An image and its objects on their way to the net: each step changes both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netdef.layer import TRAIN, LayerError
from netdef.sources.image import COLOUR, GRAY, NATIVE
from netdef.sources.mean import read_mean
from netdef_ssd import pictures, sampling
from netdef_ssd.blocks import EMIT
from netdef_ssd.boxes import areas, clipped, coverage
from netdef_ssd.dice import Dice
from netdef_ssd.records import BOX

Array = np.ndarray
READ = {"scale", "mirror", "crop_size", "mean_file", "mean_value", "force_color", "force_gray"}
READ |= {
    "resize_param",
    "noise_param",
    "emit_constraint",
    "crop_h",
    "crop_w",
    "distort_param",
    "expand_param",
    "geometry_param",
}
"""The options of transform_param that are honoured, or refused by name."""
MIN_OVERLAP = EMIT.fields[0].type.numbers["MIN_OVERLAP"]
WHOLE = np.array([0.0, 0.0, 1.0, 1.0])


class Prepare:
    """distort, expand, sample, resize, crop, mirror, subtract the mean, scale; in this order, as in SSD.

    Where SSD writes a JPEG between two steps and reads it again, nothing is lost here.
    """

    def __init__(self, param: Any, samplers: Any, phase: int, find: Callable[[str], Path]):
        """`param` is a TransformationParameter. Raises LayerError for what contradicts itself or is not supported."""
        self.param, self.samplers, self.train = param, samplers, phase == TRAIN
        _check(param)
        sampling.check(samplers)
        self.channels = COLOUR if param.force_color else GRAY if param.force_gray else NATIVE
        self.mean: Array | None = None
        if param.mean_file:
            self.mean = read_mean(find(param.mean_file))
        elif len(param.mean_value):
            self.mean = np.array(param.mean_value, np.float32).reshape(-1, 1, 1)
        self.crop = (param.crop_size,) * 2 if param.crop_size else (param.crop_h, param.crop_w)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what comes of an image of this size."""
        if all(self.crop):
            return self.crop
        return pictures.outer(self.param.resize_param, height, width) if self._resizes else (height, width)

    @property
    def _resizes(self) -> bool:
        return bool(self.param.HasField("resize_param"))

    def __call__(self, x: Array, objects: Array, dice: Dice) -> tuple[Array, Array]:
        """x (channels, height, width) as float32, and the objects that are still there, in parts of it."""
        p = self.param
        if p.HasField("distort_param"):
            x = pictures.distorted(x, p.distort_param, dice)
        if p.HasField("expand_param"):
            x, box = pictures.expanded(x, p.expand_param, np.float32(0) if self.mean is None else self.mean, dice)
            objects = self._within(objects, box)
        x, objects = self._sampled(x, objects, dice)
        if self._resizes:
            x, box = pictures.resized(x, p.resize_param, dice)
            objects = within(objects, box)
        return self._cut(x, objects, dice)

    def _sampled(self, x: Array, objects: Array, dice: Dice) -> tuple[Array, Array]:
        found = sampling.samples(self.samplers, objects[:, BOX], dice) if len(self.samplers) else WHOLE[None][:0]
        if not len(found):
            return x, objects
        box = found[dice.below(len(found))]
        return pictures.part(x, box), self._within(objects, box)

    def _within(self, objects: Array, box: Array) -> Array:
        return within(objects[self._emitted(objects[:, BOX], box)], box)

    def _emitted(self, boxes: Array, box: Array) -> Array:
        """Which boxes the emit_constraint counts as being in a part of the image."""
        p = self.param
        if not p.HasField("emit_constraint"):
            return np.ones(len(boxes), bool)
        if p.emit_constraint.emit_type == MIN_OVERLAP:
            return coverage(boxes, box) > p.emit_constraint.emit_overlap
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        return ((centre >= box[:2]) & (centre <= box[2:])).all(axis=1)

    def _cut(self, x: Array, objects: Array, dice: Dice) -> tuple[Array, Array]:
        (height, width), mean = x.shape[1:], self.mean
        h, w = self.crop if all(self.crop) else (height, width)
        if h > height or w > width:
            raise LayerError(f"an image is {height} x {width}, smaller than the crop of {h} x {w}")
        u = dice.many(2) if self.train else np.array([0.5, 0.5])
        top, left = (int(a * (n - k + self.train)) for a, n, k in zip(u, (height, width), (h, w), strict=True))
        box = np.array([left / width, top / height, (left + w) / width, (top + h) / height])
        objects = self._within(objects, box)
        if self.param.mean_file and mean is not None:
            if mean.shape != x.shape:
                raise LayerError(f"an image has shape {x.shape}, but the mean in {self.param.mean_file} {mean.shape}")
            mean = mean[:, top : top + h, left : left + w]
        y = x[:, top : top + h, left : left + w]
        if self.param.mirror and dice.falls(0.5):
            y, mean = y[:, :, ::-1], mean[:, :, ::-1] if mean is not None else None
            objects = objects.copy()
            objects[:, [2, 4]] = 1 - objects[:, [4, 2]]
        return self._scaled(y, mean), objects

    def _scaled(self, y: Array, mean: Array | None) -> Array:
        if mean is not None:
            if len(mean) not in (1, len(y)):
                raise LayerError(f"{len(mean)} mean_value for {len(y)} channels; want 1 or {len(y)}")
            y = y - mean
        return np.asarray(y, np.float32) * np.float32(self.param.scale)


def within(objects: Array, box: Array) -> Array:
    """The objects that have some area in a part of the image, as parts of that part."""
    origin, sides = np.tile(box[:2], 2), np.tile(box[2:] - box[:2], 2)
    boxes = clipped((objects[:, BOX] - origin) / sides)
    found = objects.copy()
    found[:, BOX] = boxes
    return found[areas(boxes) > 0]


def _check(param: Any) -> None:
    for field, _ in param.ListFields():
        if field.name not in READ:
            raise LayerError(f"transform_param: AnnotatedData does not do {field.name}; leave it out")
    if param.force_color and param.force_gray:
        raise LayerError("transform_param has both force_color and force_gray; want one of the two")
    if param.mean_file and len(param.mean_value):
        raise LayerError("transform_param has both mean_file and mean_value; want one of the two")
    if param.crop_size and (param.crop_h or param.crop_w):
        raise LayerError("transform_param has crop_size beside crop_h or crop_w; want one or the other")
    if bool(param.crop_h) != bool(param.crop_w):
        raise LayerError(f"crop_h is {param.crop_h} and crop_w {param.crop_w}; want both or neither")
    if param.HasField("resize_param"):
        pictures.check_resize(param.resize_param)
    _check_others(param)
    if param.HasField("expand_param"):
        if param.expand_param.max_expand_ratio < 1:
            raise LayerError(f"max_expand_ratio is {param.expand_param.max_expand_ratio:g}; want 1 or more")
        if param.mean_file:
            raise LayerError("expand_param with mean_file: a larger image has no mean; want mean_value")


def _check_others(param: Any) -> None:
    """What other forks do, and what nobody here does."""
    noise, distort = param.noise_param, param.distort_param
    for field, value in noise.ListFields():
        idle = value == -1 if field.name == "jpeg" else not value
        if field.name in ("prob", "saltpepper_param") or idle or (field.name == "all_effects" and not noise.prob):
            continue
        raise LayerError(f"noise_param: {field.name} is not supported; leave it out")
    if param.geometry_param.prob:
        raise LayerError("geometry_param is not supported; leave it out")
    if distort.prob:
        raise LayerError("distort_param: prob is another fork's and not supported; want brightness_prob and so on")
