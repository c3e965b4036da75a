"""Permute: the axes of a blob in another order."""

from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape


class Permute(ParameterFree):
    """y's axis i is x's axis order[i]; axes that `order` does not name follow in their own order."""

    type = "Permute"
    reads = ()
    options = Block(
        "permute_param",
        [Field("order", "uint32", repeated=True, doc="Axes of the bottom, in the top's order; the rest follows.")],
        message="PermuteParameter",
        doc="Another order of axes.",
    )

    def order(self, axes: int) -> list[int]:
        """Every axis once. Raises LayerError for an axis that is not there, and for one named twice."""
        given = [int(axis) for axis in self.param.order]
        if given and max(given) >= axes:
            raise LayerError(f"order names axis {max(given)}; the bottom has axes 0 to {axes - 1}")
        if len(set(given)) < len(given):
            raise LayerError(f"order {given} names an axis twice")
        return given + [axis for axis in range(axes) if axis not in given]

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [tuple(shapes[0][axis] for axis in self.order(len(shapes[0])))]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data[...] = bottom[0].data.transpose(self.order(bottom[0].data.ndim))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        back = np.argsort(self.order(bottom[0].data.ndim))
        bottom[0].diff[...] = top[0].diff.transpose(back)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        return [graph.op("Transpose", inputs, perm=self.order(len(graph.shape(inputs[0]))))]
