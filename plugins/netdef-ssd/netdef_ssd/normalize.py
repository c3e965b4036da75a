"""SSD's Normalize: an image, or each pixel's channels, scaled to unit length."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, Layer, LayerError, Shape

Array = np.ndarray


class Normalize(Layer):
    """y = s x / sqrt(sum x^2 + eps), over each image, or without across_spatial over the channels of each pixel.

    s is one number, or without channel_shared one for each channel. eps stands inside the root. The gradient of s is
    taken from x, not from y / s, so that it is right for an s of 0 too, where SSD's is not.
    """

    type = "Normalize"
    options = Block(
        "norm_param",
        [
            Field("across_spatial", "bool", True, doc="Whether the norm is a whole image's, or each pixel's own."),
            Field("scale_filler", "FillerParameter", doc="How the scale begins; 1 where it is left out."),
            Field("channel_shared", "bool", True, doc="Whether there is one scale, or one for each channel."),
            Field("eps", "float", 1e-10, doc="Added to the sum of squares."),
        ],
        message="NormalizeParameter",
        doc="Division by a norm, and a learned scale.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p, (shape,) = self.param, bottom_shapes
        if len(shape) < 2:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, ...)")
        filler = p.scale_filler if p.HasField("scale_filler") else type(p.scale_filler)(type="constant", value=1)
        self.add_blob(() if p.channel_shared else shape[1:2], filler)

    def infer(self, *shapes: Shape) -> list[Shape]:
        scales = self.blobs[0].count
        if not self.param.channel_shared and shapes[0][1] != scales:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want {scales} channels, one for each scale")
        return [shapes[0]]

    @property
    def axes(self) -> tuple[int, ...]:
        """Of (number, channels, pixels), those a norm sums over."""
        return (1, 2) if self.param.across_spatial else (1,)

    def scale(self) -> Array:
        return self.blobs[0].data.reshape(1, -1, 1)

    def unit(self, x: Array) -> tuple[Array, Array]:
        """x / norm, and the norm, of x (number, channels, pixels)."""
        norm = np.sqrt((x * x).sum(axis=self.axes, keepdims=True) + x.dtype.type(self.param.eps))
        return x / norm, norm

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        np.multiply(self.unit(pixels(bottom[0].data))[0], self.scale(), out=pixels(top[0].data))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """dx = (s dy - u sum(u s dy)) / norm, u = x / norm."""
        u, norm = self.unit(pixels(bottom[0].data))
        dy, dx = pixels(top[0].diff) * self.scale(), pixels(bottom[0].diff)
        np.subtract(dy, u * (u * dy).sum(axis=self.axes, keepdims=True), out=dx)
        dx /= norm

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        """ds += sum u dy."""
        u, _ = self.unit(pixels(bottom[0].data))
        along = (u * pixels(top[0].diff)).sum(axis=(0, 2))
        self.blobs[0].diff += along.sum() if self.param.channel_shared else along

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        x, rank = inputs[0], len(graph.shape(inputs[0]))
        axes = graph.const(np.arange(1, rank if self.param.across_spatial else 2), "axes")
        total = graph.op("ReduceSum", [graph.op("Mul", [x, x]), axes], keepdims=1)
        norm = graph.op("Sqrt", [graph.op("Add", [total, graph.const(np.float32(self.param.eps), "eps")])])
        scale = graph.weight(self, 0)
        if not self.param.channel_shared:
            scale = graph.op("Reshape", [scale, graph.const(np.array([1, -1] + [1] * (rank - 2)), "shape")])
        return [graph.op("Mul", [graph.op("Div", [x, norm]), scale])]


def pixels(x: Array) -> Array:
    """(number, channels, ...) seen as (number, channels, pixels)."""
    return x.reshape(*x.shape[:2], -1)
