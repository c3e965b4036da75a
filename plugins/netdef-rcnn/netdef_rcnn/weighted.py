"""SigmoidCrossEntropyLoss with a weight for each prediction, as MNC's mask branch has it."""

import math
from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, Loss, Shape

Array = np.ndarray


class WeightedSigmoidCrossEntropyLoss(Loss):
    """-sum w (t log s(x) + (1 - t) log(1 - s(x))) / N over N records, s the logistic function, w the third bottom."""

    type = "SigmoidCrossEntropyLoss"
    bottoms = 3
    no_gradient = (1, 2)

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return not layer_param.HasField("loss_param")

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len({math.prod(shape) for shape in shapes}) > 1 or not shapes[0]:
            raise LayerError(
                f"predictions, targets and weights of shapes {shapes}; want a target and a weight for each"
            )
        return [()]

    def parts(self, bottom: list[Blob]) -> tuple[Array, Array, Array]:
        x = bottom[0].data
        return x, bottom[1].data.reshape(x.shape), bottom[2].data.reshape(x.shape) / x.dtype.type(max(1, len(x)))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, t, w = self.parts(bottom)
        costs = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
        top[0].data[...] = (w * costs).sum(dtype=np.float64)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            x, t, w = self.parts(bottom)
            bottom[0].diff[...] = float(top[0].diff) * w * (np.tanh(x / 2) / 2 + 0.5 - t)
