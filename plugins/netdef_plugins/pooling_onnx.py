"""Caffe's pooling as operations of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Shape
from netdef_plugins.windows import Window, volume


class OnnxPooling:
    """Builds the operations for a bottom's images, or values of their shape, and tops of the shape `top`.

    ONNX's ceil_mode is left alone, because runtimes round in different ways; the overhang behind each axis,
    (out - 1) * stride + kernel - pad - size, becomes padding. AveragePool cannot count the padding and leave out the
    overhang, so real zeros are put around the image first. Windows without a pixel are left out, and zeros appended.
    Along axes that stay open the padding is as much as any size may need, since the operations themselves round down;
    how many windows are without a pixel is counted when the model runs.
    """

    def __init__(self, graph: Any, bottom: str, window: Window, top: Shape, down: bool = False):
        self.graph, self.window = graph, window
        axes = list(zip(graph.shape(bottom)[2:], window.kernel, window.stride, window.pad, top[2:], strict=True))
        places = [min(n, (size + p - 1) // s + 1) for size, _, s, p, n in axes]
        self.empty: list[Any] = [n - m for n, m in zip(top[2:], places, strict=True)]
        self.over = [(n - 1) * s + k - p - size for (size, k, s, p, _), n in zip(axes, places, strict=True)]
        for axis in (a - 2 for a in graph.open_axes(bottom) if a >= 2):
            k, s, p = window.kernel[axis], window.stride[axis], window.pad[axis]
            self.over[axis] = min(p if down else p + s - 1, k - 1)  # they begin in the image
            self.empty[axis] = 0
            if s > k and not down and not any(window.pad):
                size = graph.size(bottom, axis + 2)
                self.empty[axis] = (size + (s - k - 1)) // s - (size - 1) // s

    def pad(self, x: str, begin: Sequence[int], end: Sequence[Any], value: float = 0.0) -> str:
        """Constant padding along the spatial axes; x itself where there is none."""
        if all(isinstance(n, int) and not n for n in (*begin, *end)):
            return x
        pads = self.graph.joined([0, 0, *begin, 0, 0, *end])
        return self.graph.op("Pad", [x, pads, self.graph.const(np.float32(value))])

    def op(self, name: str, x: str, begin: Sequence[int], end: Sequence[int], **more: Any) -> Any:
        pads = [*begin, *(max(0, e) for e in end)]
        return self.graph.op(name, [x], kernel_shape=self.window.kernel, strides=self.window.stride, pads=pads, **more)

    def largest(self, x: str, mask: bool) -> list[str]:
        begin, nothing = self.window.pad, [0] * len(self.empty)
        if not mask:
            return [self.pad(self.op("MaxPool", x, begin, self.over), nothing, self.empty)]
        y, index = self.op("MaxPool", x, begin, self.over, outputs=2)
        plane = self.graph.joined([volume(self.graph.sizes(x)[2:])])
        index = self.graph.op("Cast", [self.graph.op("Mod", [index, plane])], to=1)
        return [self.pad(y, nothing, self.empty), self.pad(index, nothing, self.empty, -1.0)]

    def average(self, x: str) -> str:
        pad, nothing = self.window.pad, [0] * len(self.empty)
        x = self.pad(x, pad, [min(max(0, over), p) for over, p in zip(self.over, pad, strict=True)])
        beyond = [over - p for over, p in zip(self.over, pad, strict=True)]
        return self.pad(self.op("AveragePool", x, nothing, beyond, count_include_pad=0), nothing, self.empty)

    def expectation(self, x: str) -> str:
        """The means of x^2 and x have the same divisor; 1 keeps 0 / 0 away."""
        squares, sums = self.average(self.graph.op("Mul", [x, x])), self.average(x)
        none = self.graph.op("Equal", [sums, self.graph.const(np.float32(0))])
        divisor = self.graph.op("Where", [none, self.graph.const(np.float32(1)), sums])
        zero = self.graph.const(np.float32(0))
        return self.graph.op("Where", [none, zero, self.graph.op("Div", [squares, divisor])])
