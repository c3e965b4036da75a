"""Layers that only move numbers about: between the channels, and between channels and image."""

import math
from abc import abstractmethod

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape


class Rearrangement(ParameterFree):
    """y holds what x holds, in another order: x seen with more axes, these in another order, seen as y."""

    reads = ()

    @abstractmethod
    def order(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """The finer shape that x is seen in, and its axes in the order that y has them."""

    def sizes(self, shape: Shape) -> Shape:
        """The top's shape, by arithmetic alone."""
        return shape

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        finer, axes = self.order(bottom[0].shape)
        moved = bottom[0].data.reshape(finer).transpose(axes)
        top[0].data.reshape(moved.shape)[...] = moved

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        finer, axes = self.order(bottom[0].shape)
        moved = bottom[0].diff.reshape(finer).transpose(axes)  # a view: writing to it writes to dx
        moved[...] = top[0].diff.reshape(moved.shape)

    def to_onnx(self, graph, inputs):
        shape = graph.sizes(inputs[0])
        finer, axes = self.order(shape)
        x = graph.op("Reshape", [inputs[0], graph.joined(finer)])
        x = graph.op("Transpose", [x], perm=axes)
        return [graph.op("Reshape", [x, graph.joined(self.sizes(shape))])]


class ShuffleChannel(Rearrangement):
    """y[j * group + i] = x[i * (channels / group) + j]: the channels of `group` groups, dealt out in turn."""

    type = "ShuffleChannel"
    options = Block("shuffle_channel_param", [Field("group", "uint32", 1, doc="Groups that the channels come in.")])

    def infer(self, *shapes: Shape) -> list[Shape]:
        shape, group = shapes[0], self.param.group
        if len(shape) < 2:
            raise LayerError(f"takes a bottom with channels, of 2 or more axes; got shape {shape}")
        if group < 1 or shape[1] % group:
            raise LayerError(f"group is {group}, the bottom has {shape[1]} channels; want a number that divides them")
        return [self.sizes(shape)]

    def order(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        group = self.param.group
        return (shape[0], group, shape[1] // group, math.prod(shape[2:])), (0, 2, 1, 3)


class Reorg(Rearrangement):
    """Pixels become channels, stride^2 times as many, the image stride times smaller; `reverse` the other way.

    The order is Darknet's, not the one that comes to mind: without reverse, x is seen as C / stride^2 channels of an
    image stride times *larger*, and y as that image's pixels sorted by their place in a stride x stride square. The
    gradient is that of what is computed; the fork's reads memory that nothing has written.
    """

    type = "Reorg"
    options = Block(
        "reorg_param",
        [
            Field("stride", "uint32", doc="By what the image shrinks, each side; it must be given."),
            Field("reverse", "bool", False, doc="Whether channels become pixels instead."),
        ],
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if self.param.stride < 1:
            raise LayerError(f"stride is {self.param.stride}; want reorg_param {{ stride: 2 }} or another above 0")

    def infer(self, *shapes: Shape) -> list[Shape]:
        shape, s = shapes[0], self.param.stride
        if len(shape) != 4:
            raise LayerError(f"takes images, of 4 axes; got shape {shape}")
        _, channels, height, width = shape
        if channels % (s * s):
            raise LayerError(f"stride is {s}, the bottom has {channels} channels; want a multiple of {s * s}")
        if not self.param.reverse and (height % s or width % s):
            raise LayerError(f"stride {s} does not divide the image's {height} x {width}")
        return [self.sizes(shape)]

    def sizes(self, shape: Shape) -> Shape:
        n, channels, height, width = shape
        s = self.param.stride
        if self.param.reverse:
            return (n, channels // (s * s), height * s, width * s)
        return (n, channels * s * s, height // s, width // s)

    def order(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        n, channels, height, width = shape
        s = self.param.stride
        fewer = channels // (s * s)
        if self.param.reverse:
            return (n, s, s, fewer, height, width), (0, 3, 4, 1, 5, 2)
        return (n, fewer, height, s, width, s), (0, 3, 5, 1, 2, 4)
