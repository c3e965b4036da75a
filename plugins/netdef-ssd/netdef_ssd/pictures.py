"""What SSD does to images: colours, zooming out, parts, sizes. Arrays are (channels, height, width), uint8."""

from typing import Any

import numpy as np

from netdef.layer import LayerError
from netdef.sources.image import cv2
from netdef_ssd.blocks import FIT_LARGE_SIZE_AND_PAD, FIT_SMALL_SIZE
from netdef_ssd.dice import Dice

Array = np.ndarray
INTERPOLATION = {1: "INTER_LINEAR", 2: "INTER_AREA", 3: "INTER_NEAREST", 4: "INTER_CUBIC", 5: "INTER_LANCZOS4"}
BORDER = {1: "BORDER_CONSTANT", 2: "BORDER_REFLECT_101", 3: "BORDER_REPLICATE"}


def last(x: Array) -> Array:
    """(height, width, channels), as OpenCV wants it."""
    return np.ascontiguousarray(x.transpose(1, 2, 0))


def first(x: Array) -> Array:
    return x[None] if x.ndim == 2 else x.transpose(2, 0, 1)


# -- colours ----------------------------------------------------------------------------------------------------------


def distorted(x: Array, param: Any, dice: Dice) -> Array:
    """Brightness, contrast, saturation and hue, each as often as param says; contrast second or last, at random."""
    if len(x) != 3 or x.dtype != np.uint8:
        raise LayerError(f"distort_param for an image of {len(x)} channels of {x.dtype}; want 3 of uint8")
    y = last(x)
    early = dice.falls(0.5)
    y = _added(y, param, dice)
    y = _stretched(y, param, dice) if early else y
    y = _saturated(y, param, dice)
    y = _turned(y, param, dice)
    y = y if early else _stretched(y, param, dice)
    order, shuffle = dice.order(3), dice.falls(param.random_order_prob)
    return first(y[..., order] if shuffle else y)


def _bytes(y: Array) -> Array:
    """Rounded to even and held between 0 and 255, as OpenCV converts."""
    return np.clip(np.rint(y), 0, 255).astype(np.uint8)


def _added(y: Array, param: Any, dice: Dice) -> Array:
    delta, yes = dice.between(-param.brightness_delta, param.brightness_delta), dice.falls(param.brightness_prob)
    return _bytes(y.astype(np.float32) + np.float32(delta)) if yes else y


def _stretched(y: Array, param: Any, dice: Dice) -> Array:
    factor, yes = dice.between(param.contrast_lower, param.contrast_upper), dice.falls(param.contrast_prob)
    return _bytes(y.astype(np.float32) * np.float32(factor)) if yes else y


def _saturated(y: Array, param: Any, dice: Dice) -> Array:
    factor, yes = dice.between(param.saturation_lower, param.saturation_upper), dice.falls(param.saturation_prob)
    return _in_hsv(y, 1, np.float32(factor), np.float32(0)) if yes else y


def _turned(y: Array, param: Any, dice: Dice) -> Array:
    delta, yes = dice.between(-param.hue_delta, param.hue_delta), dice.falls(param.hue_prob)
    return _in_hsv(y, 0, np.float32(1), np.float32(delta)) if yes else y


def _in_hsv(y: Array, channel: int, factor: Any, delta: Any) -> Array:
    cv = cv2()
    hsv = cv.cvtColor(np.ascontiguousarray(y), cv.COLOR_BGR2HSV)
    hsv[..., channel] = _bytes(hsv[..., channel].astype(np.float32) * factor + delta)
    return np.asarray(cv.cvtColor(hsv, cv.COLOR_HSV2BGR))


# -- parts ------------------------------------------------------------------------------------------------------------


def expanded(x: Array, param: Any, mean: Array, dice: Dice) -> tuple[Array, Array]:
    """x somewhere in a larger image of the mean, and that image's box in units of x; x itself as often as not."""
    channels, height, width = x.shape
    yes, ratio, down, across = dice.falls(param.prob), dice.between(1, param.max_expand_ratio), *dice.many(2)
    if not yes or abs(param.max_expand_ratio - 1) < 0.01:
        return x, np.array([0.0, 0.0, 1.0, 1.0])
    h, w = int(height * ratio), int(width * ratio)
    top, left = int(down * (h - height)), int(across * (w - width))
    y = np.empty((channels, h, w), x.dtype)
    y[...] = _bytes(mean) if x.dtype == np.uint8 else mean
    y[:, top : top + height, left : left + width] = x
    return y, np.array([-left / width, -top / height, (w - left) / width, (h - top) / height])


def part(x: Array, box: Array) -> Array:
    """The pixels of a box in parts of x; at least one."""
    height, width = x.shape[1:]
    left, top, right, bottom = (box * (width, height, width, height)).tolist()
    w, h = max(1, int(right - left)), max(1, int(bottom - top))
    left, top = min(int(left), width - w), min(int(top), height - h)
    return x[:, top : top + h, left : left + w]


# -- sizes ------------------------------------------------------------------------------------------------------------


def check_resize(param: Any) -> None:
    """Raises LayerError for what no image can be resized to, and for what is not done here."""
    if not (param.height and param.width):
        raise LayerError(f"resize_param has height {param.height} and width {param.width}; want both")
    if param.height_scale or param.width_scale:
        raise LayerError("resize_param: height_scale and width_scale are not supported; leave them out")


def inner(param: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width of the image itself once resized, without padding."""
    if param.resize_mode not in (FIT_SMALL_SIZE, FIT_LARGE_SIZE_AND_PAD):
        return param.height, param.width
    aspect, wider = np.float32(width / height), width / height > param.width / param.height
    if wider == (param.resize_mode == FIT_LARGE_SIZE_AND_PAD):
        return max(1, int(param.width / aspect)), param.width
    return param.height, max(1, int(aspect * param.height))


def outer(param: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width of the whole, padding included."""
    if param.resize_mode == FIT_SMALL_SIZE:
        return inner(param, height, width)
    return param.height, param.width


def resized(x: Array, param: Any, dice: Dice) -> tuple[Array, Array]:
    """x in its new size, and the whole's box in units of x, which with padding is more than x."""
    cv = cv2()
    size, whole = inner(param, *x.shape[1:]), outer(param, *x.shape[1:])
    modes = list(param.interp_mode) or [1]
    mode = getattr(cv, INTERPOLATION[modes[dice.below(len(modes))]])
    y = cv.resize(last(x), size[::-1], interpolation=mode)
    top, left = ((w - s) // 2 for w, s in zip(whole, size, strict=True))
    bottom, right = whole[0] - size[0] - top, whole[1] - size[1] - left
    if top or left or bottom or right:
        values = list(param.pad_value) or [0]
        values = values * len(x) if len(values) == 1 else values
        y = cv.copyMakeBorder(y, top, bottom, left, right, getattr(cv, BORDER[param.pad_mode]), value=values)
    box = [-left / size[1], -top / size[0], (whole[1] - left) / size[1], (whole[0] - top) / size[0]]
    return first(y), np.array(box)
