"""Elementary functions, applied to each element: absolute value, power, exponential, logarithm."""

import math

import numpy as np

from netdef.layer import Blob, LayerError, hookimpl

from .elementwise import Elementwise


class AbsVal(Elementwise):
    """|x|; the gradient at 0 is 0."""

    type = "AbsVal"
    in_place = False
    reads = ("bottom",)

    def value(self, x):
        return np.abs(x)

    def slope(self, x):
        return np.sign(x)

    def to_onnx(self, graph, inputs):
        return [graph.op("Abs", inputs)]


class Power(Elementwise):
    """(shift + scale * x) ^ power; a constant where power or scale is 0, with 0 ^ 0 = 1.

    The gradient is power * scale * (shift + scale * x) ^ (power - 1). Caffe divides y by shift + scale * x instead
    and so gives NaN where that is 0; here 0 ^ 2 has the gradient 0.
    """

    type = "Power"
    options = "power_param"

    def setup(self, bottom_shapes):
        self.p, self.a, self.b = self.param.power, self.param.scale, self.param.shift
        self.constant = self.p == 0 or self.a == 0
        linear = self.constant or self.p == 1
        self.reads, self.in_place = (() if linear else ("bottom",)), linear

    def value(self, x):
        if self.constant:
            return x.dtype.type(self.b) ** self.p if self.p else 1
        u = self._inner(x)
        return u if self.p == 1 else u**self.p

    def _inner(self, x):
        return self.a * x + self.b if self.b else self.a * x

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if self.constant or self.p == 1:
            np.multiply(top[0].diff, self.p * self.a, out=bottom[0].diff)
        else:
            super().backward(top, propagate_down, bottom)

    def slope(self, x):
        u = self._inner(x)
        return self.p * self.a * u ** (self.p - 1)

    def to_onnx(self, graph, inputs):
        if self.constant:
            value = graph.const(np.float32(self.value(np.zeros(1))))
            return [graph.op("Expand", [value, graph.op("Shape", inputs)])]
        out = affine(graph, inputs[0], self.a, self.b)
        if self.p != 1:
            out = graph.op("Pow", [out, graph.const(np.float32(self.p))])
        return [out]


class Exp(Elementwise):
    """base ^ (shift + scale * x); base -1 stands for e.

    Caffe computes base ^ shift apart, which can overflow where the product would not.
    """

    type = "Exp"
    options = "exp_param"

    def setup(self, bottom_shapes):
        log_base = natural_log(self.param.base)
        self.a, self.b = self.param.scale * log_base, self.param.shift * log_base

    def value(self, x):
        return np.exp(self.a * x + self.b)

    def slope(self, y):
        return self.a * y

    def to_onnx(self, graph, inputs):
        return [graph.op("Exp", [affine(graph, inputs[0], self.a, self.b)])]


class Log(Elementwise):
    """log_base(shift + scale * x); base -1 stands for e."""

    type = "Log"
    options = "log_param"
    in_place = False
    reads = ("bottom",)

    def setup(self, bottom_shapes):
        self.a, self.b, self.log_base = self.param.scale, self.param.shift, natural_log(self.param.base)
        if self.log_base == 0:
            raise LayerError("base 1 has no logarithm; want another base above 0, or -1 for e")

    def value(self, x):
        return np.log(self.a * x + self.b) / self.log_base

    def slope(self, x):
        return (self.a / self.log_base) / (self.a * x + self.b)

    def to_onnx(self, graph, inputs):
        log = graph.op("Log", [affine(graph, inputs[0], self.a, self.b)])
        return [affine(graph, log, 1 / self.log_base, 0)]


def natural_log(base: float) -> float:
    """ln(base), where -1 stands for e. Raises LayerError for any other base that is not above 0."""
    if base == -1:
        return 1.0
    if base <= 0:
        raise LayerError(f"base {base:g}: want a base above 0, or -1 for e")
    return math.log(base)


def affine(graph, x: str, a: float, b: float) -> str:
    """a * x + b in ONNX, without what changes nothing."""
    x = graph.op("Mul", [x, graph.const(np.float32(a))]) if a != 1 else x
    return graph.op("Add", [x, graph.const(np.float32(b))]) if b else x


@hookimpl
def netdef_layers() -> list[type]:
    return [AbsVal, Power, Exp, Log]
