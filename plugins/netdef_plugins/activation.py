"""Activations: functions applied to each element."""

import numpy as np

from netdef.layer import Blob, ParameterFree, hookimpl


class ReLU(ParameterFree):
    """max(0, x) + negative_slope * min(0, x); the gradient at 0 is negative_slope."""

    type = "ReLU"
    in_place = True
    options = "relu_param"

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        np.copyto(y, np.where(x > 0, x, self.param.negative_slope * x))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        x, dy = bottom[0].data, top[0].diff
        np.multiply(dy, np.where(x > 0, 1, self.param.negative_slope).astype(dy.dtype), out=bottom[0].diff)

    def to_onnx(self, graph, inputs):
        if self.param.negative_slope:
            return [graph.op("LeakyRelu", inputs, alpha=float(self.param.negative_slope))]
        return [graph.op("Relu", inputs)]


@hookimpl
def netdef_layers() -> list[type]:
    return [ReLU]
