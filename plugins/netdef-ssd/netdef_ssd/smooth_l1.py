"""SmoothL1Loss: squares near zero, absolute values beyond; one class for SSD's and the R-CNNs' prototxts."""

from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, Loss, Shape

Array = np.ndarray


def smooth_l1(d: Array, sigma: float = 1.0) -> Array:
    """sigma^2 d^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2)."""
    square, size = d.dtype.type(sigma * sigma), np.abs(d)
    return np.where(size * square < 1, square * d * d / 2, size - 1 / (2 * square))


def smooth_l1_slope(d: Array, sigma: float = 1.0) -> Array:
    """The derivative: sigma^2 d, held between -1 and 1."""
    return np.clip(d.dtype.type(sigma * sigma) * d, -1, 1)


class SmoothL1Loss(Loss):
    """sum w_out f(w_in (a - b)) / N of N records a and b; f is smooth_l1.

    With two bottoms the weights are 1; a third bottom is w_in, a fourth w_out. The gradient has w_in as a factor: SSD
    and Fast R-CNN leave it out, which is the same for weights of 0 and 1 only.
    """

    type = "SmoothL1Loss"
    bottoms = (2, 4)
    no_gradient = (2, 3)
    options = Block(
        "smooth_l1_loss_param",
        [Field("sigma", "float", 1.0, doc="Squares end where |d| is 1 / sigma^2.")],
        message="SmoothL1LossParameter",
        doc="Where squares end.",
    )

    def setup(self, bottom_shapes: Any) -> None:
        if self.param.sigma <= 0:
            raise LayerError(f"sigma is {self.param.sigma:g}; want more than 0")

    def infer(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes[1:]:
            if not shape or shape != shapes[0]:
                raise LayerError(f"bottoms of shapes {', '.join(map(str, shapes))}; want them all alike")
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        errors = smooth_l1(self._difference(bottom), self.param.sigma)
        if len(bottom) > 3:
            errors = errors * bottom[3].data
        top[0].data[...] = errors.sum(dtype=np.float64) / max(1, bottom[0].shape[0])

    def _difference(self, bottom: list[Blob]) -> Array:
        d = bottom[0].data - bottom[1].data
        return d * bottom[2].data if len(bottom) > 2 else d

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        slope = smooth_l1_slope(self._difference(bottom), self.param.sigma)
        for weights in bottom[2:]:
            slope *= weights.data
        slope *= float(top[0].diff) / max(1, bottom[0].shape[0])
        for blob, down, sign in zip(bottom[:2], propagate_down, (1, -1), strict=False):
            if down:
                np.multiply(slope, sign, out=blob.diff)
