"""An ONNX model of one operation."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)


@dataclass
class Case:
    """Shapes are values that are computed, arrays constants; `types` is what it becomes, where that matters."""

    op: str
    inputs: list[Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    types: list[str] | None = None
    outputs: int = 1
    opset: int = 18
    shape: tuple[int, ...] | None = None
    """Of the outputs, where ONNX does not infer it."""

    def model(self) -> onnx.ModelProto:
        names = ["" if given is None else f"x{i}" for i, given in enumerate(self.inputs)]
        shaped = [(n, g) for n, g in zip(names, self.inputs, strict=True) if isinstance(g, tuple)]
        arrays = {n: np.asarray(g) for n, g in zip(names, self.inputs, strict=True) if is_array(g)}
        constants = [numpy_helper.from_array(x, n) for n, x in arrays.items()]
        ys = [f"y{i}" for i in range(self.outputs)]
        nodes = [helper.make_node(self.op, names, ys, name="one", **self.attributes)]
        if self.op in LOGICAL:
            nodes.append(helper.make_node("Cast", ys, ["z"], to=1))
            ys = ["z"]
        if self.op in READS_LOGICAL:
            nodes.insert(0, helper.make_node("Greater", ["x0", "zero"], ["c"]))
            nodes[1].input[0] = "c"
            constants.append(numpy_helper.from_array(np.zeros((), np.float32), "zero"))
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in shaped],
            [
                helper.make_tensor_value_info(y, INT64 if t == WHOLE.get(self.op) else FLOAT, self.shape)
                for t, y in enumerate(ys)
            ],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
WHOLE = {"ArgMax": 0, "ArgMin": 0, "TopK": 1, "MaxPool": 1}
"""Which output is whole numbers."""
LOGICAL = {"Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal", "Not"}
READS_LOGICAL = {"Where", "Not"}


def is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | np.generic)


def r(*shape: int, low: float = -1.0) -> np.ndarray:
    return RNG.uniform(low, 1.5, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)
