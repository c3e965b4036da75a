"""Channels of each image times a factor of their own: squeeze and excitation."""

import math

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, Shape

Array = np.ndarray


def by_channel(x: Array) -> Array:
    """x as (images * channels, pixels)."""
    return x.reshape(x.shape[0] * x.shape[1], -1)


def check(factor: Shape, x: Shape) -> None:
    """Raises LayerError unless there is one factor for each channel of each image."""
    if len(x) < 2 or factor[:2] != x[:2] or math.prod(factor[2:]) != 1:
        want = f"; want {(*x[:2], *[1] * (len(x) - 2))}" if len(x) >= 2 else ""
        raise LayerError(f"factors of shape {factor} for a blob of shape {x}{want}: one for each channel of each image")


def gated(graph, factor: str, x: str) -> str:
    """factor * x in ONNX, which aligns last axes."""
    shape = graph.sizes(x)
    if len(graph.shape(factor)) != len(shape):
        factor = graph.op("Reshape", [factor, graph.joined([*shape[:2], *[1] * (len(shape) - 2)])])
    return graph.op("Mul", [x, factor])


class Axpy(ParameterFree):
    """y = a * x + b for bottoms a, x, b: x and b of one shape, a one factor for each channel of each image."""

    type = "Axpy"
    bottoms = 3

    def infer(self, *shapes: Shape) -> list[Shape]:
        a, x, b = shapes
        check(a, x)
        if b != x:
            raise LayerError(f"bottoms 1 and 2 have shapes {x} and {b}; want equal shapes")
        return [x]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        a, x, b = (blob.data for blob in bottom)
        y = top[0].data
        np.multiply(by_channel(x), a.reshape(-1, 1), out=by_channel(y))
        y += b

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        a, x, b = bottom
        dy = by_channel(top[0].diff)
        if propagate_down[0]:
            a.diff.reshape(-1)[...] = np.einsum("cp,cp->c", by_channel(x.data), dy)
        if propagate_down[1]:
            np.multiply(dy, a.data.reshape(-1, 1), out=by_channel(x.diff))
        if propagate_down[2]:
            b.diff[...] = top[0].diff

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0])

    def to_onnx(self, graph, inputs):
        a, x, b = inputs
        return [graph.op("Add", [gated(graph, a, x), b])]


class BroadcastMul(ParameterFree):
    """y = a * x, where one of the two bottoms, either, holds a factor for each channel of each image of the other.

    The fork's backward writes over data where it should write the gradient; here it writes the gradient.
    """

    type = "BroadcastMul"
    bottoms = 2

    @staticmethod
    def roles(shapes: list[Shape]) -> tuple[int, int]:
        """Which bottom holds the factors, and which what they multiply: the one with more numbers, else the first."""
        return (0, 1) if math.prod(shapes[0]) < math.prod(shapes[1]) else (1, 0)

    def infer(self, *shapes: Shape) -> list[Shape]:
        a, x = (shapes[i] for i in self.roles(list(shapes)))
        check(a, x)
        return [x]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        a, x = (bottom[i].data for i in self.roles([b.shape for b in bottom]))
        np.multiply(by_channel(x), a.reshape(-1, 1), out=by_channel(top[0].data))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        factor, multiplied = self.roles([b.shape for b in bottom])
        a, x, dy = bottom[factor], bottom[multiplied], by_channel(top[0].diff)
        if propagate_down[factor]:
            a.diff.reshape(-1)[...] = np.einsum("cp,cp->c", by_channel(x.data), dy)
        if propagate_down[multiplied]:
            np.multiply(dy, a.data.reshape(-1, 1), out=by_channel(x.diff))

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0])

    def to_onnx(self, graph, inputs):
        a, x = (inputs[i] for i in self.roles([graph.shape(name) for name in inputs]))
        return [gated(graph, a, x)]
