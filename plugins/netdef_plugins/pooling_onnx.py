"""Caffe's pooling as operations of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef.layer import Shape
from netdef_plugins.windows import Window, volume


class OnnxPooling:
    """Builds the operations for images of `shape` (number, channels, ...) and tops of the shape `top`.

    ONNX's ceil_mode is left alone, because runtimes round in different ways; the overhang behind each axis,
    (out - 1) * stride + kernel - pad - size, becomes padding. AveragePool cannot count the padding and leave out the
    overhang, so real zeros are put around the image first. Windows without a pixel are left out, and zeros appended.
    Along axes in `open_axes`, whose size is not known, the padding is as much as any size may need: the operations
    themselves round down.
    """

    def __init__(
        self,
        graph: Any,
        shape: Shape,
        window: Window,
        top: Shape,
        open_axes: Sequence[int] = (),
        down: bool = False,
    ):
        self.graph, self.shape, self.window = graph, shape, window
        axes = list(zip(shape[2:], window.kernel, window.stride, window.pad, top[2:], strict=True))
        places = [min(n, (size + p - 1) // s + 1) for size, _, s, p, n in axes]
        self.empty = [n - m for n, m in zip(top[2:], places, strict=True)]
        self.over = [(n - 1) * s + k - p - size for (size, k, s, p, _), n in zip(axes, places, strict=True)]
        for axis in (a - 2 for a in open_axes if a >= 2):
            self.empty[axis], self.over[axis] = 0, self._most(axis, down)

    def _most(self, axis: int, down: bool) -> int:
        """How far windows may hang over, whatever the size: stride - 1 behind the padding, but begin in the image."""
        w = self.window
        k, s, p = w.kernel[axis], w.stride[axis], w.pad[axis]
        over = p if down else p + s - 1
        if any(w.pad):
            over = min(over, k - 1)
        elif s > k and not down:
            raise ExportError(f"stride {s} is larger than the kernel {k}: its ONNX form holds the image's size")
        return over

    def pad(self, x: str, begin: Sequence[int], end: Sequence[int], value: float = 0.0) -> str:
        """Constant padding along the spatial axes; x itself where there is none."""
        if not any([*begin, *end]):
            return x
        pads = self.graph.const(np.array([0, 0, *begin, 0, 0, *end], np.int64))
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
