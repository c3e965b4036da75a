"""The rectifier that stops at 6."""

import numpy as np

from netdef.layer import Blob, Block, ParameterFree, Shape


class ReLU6(ParameterFree):
    """min(6, max(0, x) + negative_slope * min(0, x)); the gradient at 0 is negative_slope, at 6 it is 0.

    With a slope below 0, which nobody uses, the fork's gradient ignores that 6 also ends what it turns up; here it
    does not.
    """

    type = "ReLU6"
    options = Block("relu6_param", message="ReLUParameter", doc="ReLU's options: negative_slope.")
    in_place = True
    reads = ("top",)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.slope = self.param.negative_slope
        if self.slope < 0:  # y no longer tells the sign of x
            self.reads, self.in_place = ("bottom",), False

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        if not self.slope:
            np.clip(x, 0, 6, out=y)
            return
        np.minimum(np.where(x > 0, x, self.slope * x), 6, out=y)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if self.slope >= 0:
            known = top[0].data
            slope = np.where(known > 0, known < 6, self.slope)
        else:
            known = bottom[0].data
            slope = np.where(known > 0, known < 6, self.slope * (self.slope * known < 6))
        np.multiply(top[0].diff, slope, out=bottom[0].diff, casting="same_kind")

    def to_onnx(self, graph, inputs):
        x, six = inputs[0], graph.const(np.float32(6))
        if self.slope:
            return [graph.op("Min", [graph.op("LeakyRelu", [x], alpha=self.slope), six])]
        return [graph.op("Clip", [x, graph.const(np.float32(0)), six])]
