"""Random changes to training images against overfitting: options of transform_param that Caffe does not have."""

from typing import Any

import numpy as np

from netdef.hookspecs import hookimpl
from netdef.options import Block, Field
from netdef.sources import draws
from netdef.sources.image import cv2

AMOUNTS = {
    "random_rotation": "Training images are turned by up to so many degrees, either way.",
    "random_brightness": "Up to so much, in units of the data, is added to a training image or taken away.",
    "random_contrast": "A training image's distance from its mean grows or shrinks by up to so much; 0.2 is 20%.",
    "random_saturation": "The same for each pixel's distance from its gray, in images of 3 channels.",
    "random_noise": "Standard deviation, in units of the data, of noise added to each training value.",
}
FLIP = Field(
    "random_flip_vertical", "bool", default=False, doc="Whether half of the training images stand on their heads."
)
OPTIONS = Block(
    message="TransformationParameter",
    fields=(FLIP, *(Field(name, "float", default=0.0, doc=doc) for name, doc in AMOUNTS.items())),
)
NAMES = (FLIP.name, *AMOUNTS)
GRAY = np.array([0.114, 0.587, 0.299], np.float32).reshape(3, 1, 1)
"""How much of blue, green and red is gray (ITU-R BT.601)."""


class Augment:
    """Rotation first, with the border repeated; then colour, then noise; bytes stay within 0 to 255.

    Values are those of the file: the mean is subtracted later.
    """

    DRAWS = 5
    """Random numbers that each image takes."""

    def __init__(self, param: Any):
        self.flip: bool = getattr(param, "random_flip_vertical", False)
        values = [float(getattr(param, name, 0.0)) for name in AMOUNTS]
        self.degrees, self.brightness, self.contrast, self.saturation, self.noise = values
        self.any = bool(self.flip or any(values))

    def __call__(self, x: np.ndarray, u: np.ndarray, key: int, index: int) -> np.ndarray:
        """x (channels, height, width) changed by the numbers u, 0 to 1; `key` and `index` give the noise."""
        flip, angle, add, stretch, colour = u
        if self.flip and flip < 0.5:
            x = x[:, ::-1]
        if self.degrees:
            x = rotate(x, self.degrees * (2 * angle - 1))
        if not (self.brightness or self.contrast or self.saturation or self.noise):
            return x
        y = x.astype(np.float32)
        if self.saturation and len(y) == 3:
            gray = (y * GRAY).sum(0)
            y = gray + (y - gray) * np.float32(1 + self.saturation * (2 * colour - 1))
        if self.contrast:
            mean = y.mean(dtype=np.float32)
            y = mean + (y - mean) * np.float32(1 + self.contrast * (2 * stretch - 1))
        if self.brightness:
            y += np.float32(self.brightness * (2 * add - 1))
        if self.noise:
            y += np.float32(self.noise) * draws.normal(key, index, y.shape)
        return np.clip(y, 0, 255, out=y) if x.dtype == np.uint8 else y


def rotate(x: np.ndarray, degrees: float) -> np.ndarray:
    """About the centre, counterclockwise, bilinear; what comes in from outside repeats the border."""
    cv = cv2()
    height, width = x.shape[1:]
    turn = cv.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    planes = [
        cv.warpAffine(np.ascontiguousarray(plane), turn, (width, height), borderMode=cv.BORDER_REPLICATE) for plane in x
    ]
    return np.stack(planes)


@hookimpl
def netdef_options() -> list[Block]:
    return [OPTIONS]
