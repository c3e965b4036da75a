"""Activations: rectifiers and curves, applied to each element."""

import math

import numpy as np

from netdef.layer import Blob, Layer, LayerError, ParameterFree, hookimpl

from .axes import fold
from .elementwise import Elementwise, by_pieces


class ReLU(ParameterFree):
    """max(0, x) + negative_slope * min(0, x); the gradient at 0 is negative_slope."""

    type = "ReLU"
    options = "relu_param"
    in_place = True
    reads = ("top",)

    def setup(self, bottom_shapes):
        self.slope = self.param.negative_slope
        self.rectifies = self.slope == 0
        if self.slope < 0:  # y no longer tells the sign of x
            self.reads, self.in_place = ("bottom",), False

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from .kernels import elementwise

        elementwise.relu(bottom[0].data, top[0].data, self.slope)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import elementwise

        known = top[0] if "top" in self.reads else bottom[0]
        elementwise.relu_backward(top[0].diff, known.data, bottom[0].diff, self.slope)

    def to_onnx(self, graph, inputs):
        if self.slope:
            return [graph.op("LeakyRelu", inputs, alpha=self.slope)]
        return [graph.op("Relu", inputs)]


class PReLU(Layer):
    """max(0, x) + a_c * min(0, x) with a learned slope for each channel c, or one for all of them.

    The slope is 0.25 where no filler is given. In place, Caffe keeps a copy of x; so does the net.
    """

    type = "PReLU"
    options = "prelu_param"

    def setup(self, bottom_shapes):
        self.infer(*bottom_shapes)
        shape = () if self.param.channel_shared else bottom_shapes[0][1:2]
        given, default = self.param.filler, type(self.param.filler)(type="constant", value=0.25)
        self.add_blob(shape, given if self.param.HasField("filler") else default)

    def infer(self, *shapes):
        x = shapes[0]
        if len(x) < 2:
            raise LayerError(f"takes a bottom with channels, of 2 or more axes; got shape {x}")
        if self.blobs and not self.param.channel_shared and x[1] != self.blobs[0].count:
            raise LayerError(f"has {self.blobs[0].count} slopes, but its bottom of shape {x} has {x[1]} channels")
        return [x]

    def _fold(self, x: np.ndarray) -> np.ndarray:
        """x as (images, slopes, elements that share a slope)."""
        return fold(x, 1, 1 if self.param.channel_shared else 2)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from .kernels import slopes

        slopes.forward(self._fold(bottom[0].data), self.blobs[0].data, self._fold(top[0].data))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import slopes

        dy, x, dx = (self._fold(v) for v in (top[0].diff, bottom[0].data, bottom[0].diff))
        slopes.backward(dy, x, self.blobs[0].data, dx)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        from .kernels import slopes

        slopes.update(self._fold(top[0].diff), self._fold(bottom[0].data), self.blobs[0].diff)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0])

    def to_onnx(self, graph, inputs):
        broadcast = (-1,) + (1,) * (len(graph.shape(inputs[0])) - 2)
        return [graph.op("PRelu", [*inputs, graph.const(self.blobs[0].data.reshape(broadcast), "slope")])]


class ELU(Elementwise):
    """x where x > 0, else alpha * (exp(x) - 1); the gradient at 0 is alpha."""

    type = "ELU"
    options = "elu_param"

    def setup(self, bottom_shapes):
        self.alpha = self.param.alpha
        if self.alpha < 0:  # y no longer tells the sign of x
            self.reads, self.in_place = ("bottom",), False

    def value(self, x):
        return np.maximum(x, 0) + self.alpha * np.expm1(np.minimum(x, 0))

    def slope(self, v):
        left = np.minimum(v, 0)
        left = left + self.alpha if "top" in self.reads else self.alpha * np.exp(left)
        return left + (1 - self.alpha) * (v > 0).astype(v.dtype)

    def to_onnx(self, graph, inputs):
        return [graph.op("Elu", inputs, alpha=self.alpha)]


class BNLL(Elementwise):
    """log(1 + exp(x)), the binomial normal log likelihood; its gradient is 1 - exp(-y), so it may work in place."""

    type = "BNLL"

    def value(self, x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def slope(self, y):
        return -np.expm1(-y)

    def to_onnx(self, graph, inputs):
        return [graph.op("Softplus", inputs)]


class Clip(Elementwise):
    """min(max(x, min), max); the gradient is 1 on the bounds too.

    In place, Caffe compares y with the bounds and lets every gradient through; the net keeps x and cuts it off.
    """

    type = "Clip"
    options = "clip_param"
    in_place = False
    reads = ("bottom",)

    def setup(self, bottom_shapes):
        self.bounds = self.param.min, self.param.max
        if self.param.min > self.param.max:
            raise LayerError(f"min {self.param.min:g} is above max {self.param.max:g}")

    def value(self, x):
        return np.clip(x, *self.bounds)

    def slope(self, x):
        low, high = self.bounds
        return ((x >= low) & (x <= high)).astype(x.dtype)

    def to_onnx(self, graph, inputs):
        return [graph.op("Clip", [*inputs, *(graph.const(np.float32(b)) for b in self.bounds)])]


class Sigmoid(ParameterFree):
    """1 / (1 + exp(-x)); its gradient is y * (1 - y), so it may work in place."""

    type = "Sigmoid"
    options = "sigmoid_param"
    in_place = True
    reads = ("top",)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from .kernels import elementwise

        elementwise.sigmoid(bottom[0].data, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import elementwise

        elementwise.sigmoid_backward(top[0].diff, top[0].data, bottom[0].diff)

    def to_onnx(self, graph, inputs):
        return [graph.op("Sigmoid", inputs)]


class TanH(ParameterFree):
    """tanh(x); its gradient is 1 - y^2, so it may work in place."""

    type = "TanH"
    options = "tanh_param"
    in_place = True
    reads = ("top",)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        by_pieces(np.tanh, bottom[0].data, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import elementwise

        elementwise.tanh_backward(top[0].diff, top[0].data, bottom[0].diff)

    def to_onnx(self, graph, inputs):
        return [graph.op("Tanh", inputs)]


class Swish(Elementwise):
    """x * s with s = 1 / (1 + exp(-beta * x)), by tanh, which cannot overflow.

    It is not monotonic, so that the gradient needs x: s * (1 + beta * x * (1 - s)).
    """

    type = "Swish"
    options = "swish_param"
    in_place = False
    reads = ("bottom",)

    def _sigmoid(self, x):
        return 0.5 * np.tanh(0.5 * self.param.beta * x) + 0.5

    def value(self, x):
        return x * self._sigmoid(x)

    def slope(self, x):
        s = self._sigmoid(x)
        return s * (1 + self.param.beta * x * (1 - s))

    def to_onnx(self, graph, inputs):
        scaled = graph.op("Mul", [*inputs, graph.const(np.float32(self.param.beta))])
        return [graph.op("Mul", [*inputs, graph.op("Sigmoid", [scaled])])]


class Threshold(Elementwise):
    """1 where x > threshold, strictly, else 0; without a gradient."""

    type = "Threshold"
    options = "threshold_param"
    reads = ()
    no_gradient = "all"

    def value(self, x):
        return x > self.param.threshold

    def slope(self, v):
        return np.zeros_like(v)

    def to_onnx(self, graph, inputs):
        above = graph.op("Greater", [*inputs, graph.const(np.float32(self.param.threshold))])
        return [graph.op("Cast", [above], to=1)]


@hookimpl
def netdef_layers() -> list[type]:
    return [ReLU, PReLU, ELU, BNLL, Clip, Sigmoid, TanH, Swish, Threshold]
