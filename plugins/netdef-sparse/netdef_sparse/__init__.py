"""Training towards zeros: activations that are drawn to 0 by their sum of absolute values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape, hookimpl


class Sparsify(ParameterFree):
    """y = x, and dx = dy + coef * sign(y): as if coef times the sum of |y| were part of the loss.

    That part is in no top, so a loss that is shown does not hold it; as in SkimCaffe. A `thre` above 0 is refused: its
    versions make different things of it.
    """

    type = "Sparsify"
    in_place = True
    reads = ("top",)
    options = Block(
        "sparsify_param",
        [
            Field("coef", "float", doc="How strongly activations are drawn to 0."),
            Field("thre", "float", doc="Refused above 0."),
            Field("display", "bool", doc="Not read: nothing is logged."),
        ],
        message="SparsifyParameter",
        doc="Activations towards 0.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.coef < 0:
            raise LayerError(f"coef is {p.coef:g}; want 0 or more")
        if p.thre:
            raise LayerError(f"thre is {p.thre:g}; SkimCaffe's versions differ in it, want none")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        np.copyto(top[0].data, bottom[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        np.add(top[0].diff, self.param.coef * np.sign(top[0].data), out=bottom[0].diff)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        return [graph.op("Identity", inputs)]


@hookimpl
def netdef_layers() -> list[type]:
    return [Sparsify]
