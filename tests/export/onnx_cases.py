"""ONNX models of one operation: in every form that broadcasts, pads and rounds."""

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
                helper.make_tensor_value_info(y, INT64 if t == WHOLE.get(self.op) else FLOAT, None)
                for t, y in enumerate(ys)
            ],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
WHOLE = {"ArgMax": 0, "ArgMin": 0, "TopK": 1, "MaxPool": 1}
"""Which output is whole numbers."""
LOGICAL = {"Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Not"}
READS_LOGICAL = {"Where", "Not"}


def is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | np.generic)


def r(*shape: int, low: float = -1.0) -> np.ndarray:
    return RNG.uniform(low, 1.5, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


X, V, STEPS = (2, 3, 6, 5), (2, 3), (5, 2, 3)
W, W1 = r(4, 3, 3, 3), r(3, 4, 3, 3)
K = {"kernel_shape": [3, 3]}
S = {"strides": [2, 2]}
CASES = [
    *(Case(op, [X]) for op in ("Relu", "Sigmoid", "Tanh", "Abs", "Softplus", "Exp", "Neg", "Softsign", "HardSwish")),
    *(Case(op, [X]) for op in ("LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "Identity", "Sign", "Dropout")),
    Case("Celu", [X], {"alpha": 0.5}),
    Case("Mish", [X], {}, ["BNLL", "TanH", "Eltwise"]),
    *(Case("CumSum", [X, ints(axis)], how) for axis, how in ((1, {}), (-1, {"reverse": 1}), (0, {"exclusive": 1}))),
    Case("Elu", [X], {"alpha": 0.5}),
    Case("Cast", [X], {"to": 1}),
    Case("Clip", [X, np.float32(0), np.float32(6)], {}, ["Clip"]),
    Case("Clip", [X, np.float32(0)], {}, ["ReLU"]),
    Case("Clip", [X, None, np.float32(1)]),
    Case("PRelu", [X, r(3, 1, 1)]),
    Case("PRelu", [X, r(1)]),
    Case("Sqrt", [X]),
    Case("Log", [X]),
    Case("Reciprocal", [X]),
    Case("Pow", [X, np.float32(2)], {}, ["Power"]),
    Case("Add", [X, X], {}, ["Eltwise"]),
    Case("Add", [X, r(3, 1, 1)], {}, ["Bias"]),
    Case("Add", [X, r()], {}, ["Power"]),
    Case("Add", [X, r(2, 3, 6, 5)]),
    Case("Add", [r(5), X]),
    Case("Add", [X, r(6, 1)]),
    Case("Add", [X, (3, 1, 1)]),
    Case("Add", [(2, 3, 1, 1), X]),
    Case("Add", [X, (2, 1, 6, 5)]),
    Case("Add", [(1, 3, 1, 5), (2, 1, 6, 1)]),
    Case("Add", [V, r(4, 1, 1)]),
    Case("Add", [X, (1,)]),
    Case("Mul", [X, r(2, 1, 6, 1)]),
    Case("Mul", [X, (2, 3, 1, 1)], {}, ["Flatten", "Scale"]),
    Case("Mul", [X, r(1, 3, 1, 1)], {}, ["Scale"]),
    Case("Mul", [X, (2, 1, 6, 5)], {}, ["Tile", "Eltwise"]),
    Case("Mul", [X, X], {}, ["Eltwise"]),
    Case("Sub", [X, X], {}, ["Eltwise"]),
    Case("Sub", [r(3, 1, 1), X]),
    Case("Sub", [X, r(3, 1, 1)]),
    Case("Sub", [X, (2, 3, 1, 1)]),
    Case("Sub", [np.float32(1), X], {}, ["Power"]),
    Case("Div", [X, r(3, 1, 1, low=0.5)], {}, ["Scale"]),
    Case("Div", [np.float32(2), X]),
    Case("Div", [X, (2, 3, 1, 1)]),
    Case("Max", [X, X, X]),
    Case("Max", [X, np.float32(0)], {}, ["ReLU"]),
    Case("Max", [X, (3, 1, 1)]),
    Case("Min", [X, X]),
    Case("Min", [X, np.float32(0.5)], {}, ["Clip"]),
    Case("Max", [X, r(3, 1, 1)]),
    Case("Sum", [X, X, X]),
    Case("Sum", [X, (3, 1, 1), r(5)]),
    Case("Mean", [X, X]),
    *(Case(op, [X, np.float32(0.2)]) for op in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")),
    Case("Greater", [X, (2, 3, 1, 1)]),
    Case("Less", [X, r(3, 1, 1)]),
    Case("Where", [X, X, r(3, 1, 1)]),
    Case("Not", [X]),
    Case("Conv", [X, W, r(4)], K, ["Convolution"]),
    Case("Conv", [X, W], K | {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
    Case("Conv", [X, W], K | {"pads": [0, 1, 2, 0]}),
    Case("Conv", [X, W], K | S | {"pads": [2, 0, 1, 1]}),
    Case("Conv", [X, W], K | S | {"auto_pad": "SAME_UPPER"}),
    Case("Conv", [X, W], K | S | {"auto_pad": "SAME_LOWER"}),
    Case("Conv", [X, r(6, 1, 3, 1)], {"group": 3, "dilations": [2, 1]}),
    Case("Conv", [(2, 3, 9), r(4, 3, 3)]),
    Case("Conv", [(1, 2, 4, 5, 6), r(3, 2, 2, 3, 1)], {"pads": [0, 1, 0, 1, 1, 0]}),
    Case("ConvTranspose", [X, W1, r(4)], K | S, ["Deconvolution"]),
    Case("ConvTranspose", [X, W1], S | {"pads": [0, 1, 1, 0]}),
    Case("ConvTranspose", [X, W1], S | {"pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    Case("ConvTranspose", [X, W1], S | {"auto_pad": "SAME_UPPER"}),
    Case("ConvTranspose", [X, W1], S | {"output_shape": [12, 11]}),
    Case("ConvTranspose", [X, r(3, 2, 3, 3)], {"group": 3, "dilations": [2, 2]}),
    Case("MaxPool", [X], K | S, ["Pooling"]),
    Case("MaxPool", [X], K | S | {"ceil_mode": 1}, ["Pooling"]),
    Case("MaxPool", [X], K | S | {"pads": [1, 1, 1, 1]}),
    Case("MaxPool", [X], K | S | {"pads": [0, 0, 1, 1]}),
    Case("MaxPool", [X], K | {"pads": [0, 0, 1, 1]}),
    Case("MaxPool", [X], K | {"pads": [1, 1, 0, 0]}),
    Case("MaxPool", [X], {"kernel_shape": [2, 3], "strides": [2, 1]}),
    Case("MaxPool", [X], K | S | {"auto_pad": "SAME_UPPER"}),
    Case("MaxPool", [X], K | S, ["Pooling", "Bias"], outputs=2),
    Case("MaxPool", [X], K | S | {"pads": [1, 1, 1, 1], "ceil_mode": 1}, outputs=2),
    Case("MaxPool", [X], K | {"pads": [1, 1, 0, 0]}, outputs=2),
    Case("AveragePool", [X], K | S, ["Pooling"]),
    Case("AveragePool", [(1, 2, 6, 3, 4)], {"kernel_shape": [3, 1, 1], "pads": [1, 0, 0, 1, 0, 0]}),
    Case("MaxPool", [(1, 2, 3, 6, 4)], {"kernel_shape": [1, 2, 1], "strides": [1, 2, 1]}),
    Case("AveragePool", [X], K | S | {"pads": [1, 1, 1, 1]}),
    Case("AveragePool", [X], K | S | {"pads": [1, 1, 1, 1], "count_include_pad": 1}),
    Case("AveragePool", [X], K | {"pads": [1, 1, 1, 1], "count_include_pad": 1}, ["Pooling"]),
    Case("AveragePool", [X], K | {"pads": [1, 0, 0, 1]}),
    Case("AveragePool", [X], K | S | {"ceil_mode": 1}),
    Case("GlobalAveragePool", [X], {}, ["Pooling"]),
    Case("GlobalMaxPool", [X], {}, ["Pooling"]),
    Case("GlobalAveragePool", [(2, 3, 7)]),
    Case("GlobalMaxPool", [(2, 3, 7)]),
    Case("Gemm", [V, r(3, 4), r(4)], {}, ["InnerProduct"]),
    Case("Gemm", [V, r(4, 3)], {"transB": 1, "alpha": 0.5}),
    Case("Gemm", [V, r(3, 4), r(2, 1)], {"beta": 2.0}),
    Case("Gemm", [V, r(3, 4), (2, 4)]),
    Case("MatMul", [V, r(3, 4)], {}, ["InnerProduct"]),
    Case("MatMul", [(2, 5, 3), r(3, 4)], {}, ["InnerProduct"]),
    Case("MatMul", [r(4, 5), (2, 5, 3)]),
    Case("MatMul", [(2, 2, 5, 3), r(1, 3, 4)]),
    Case("MatMul", [r(4, 2), (2, 3)]),
    Case("BatchNormalization", [X, r(3), r(3), r(3), r(3, low=0.5)], {}, ["BatchNorm", "Scale"]),
    Case(
        "BatchNormalization",
        [X, np.ones(3, np.float32), np.zeros(3, np.float32), r(3), r(3, low=0.5)],
        {},
        ["BatchNorm"],
    ),
    Case("InstanceNormalization", [X, r(3), r(3)]),
    Case("LayerNormalization", [X, r(6, 5), r(6, 5)], {"axis": 2}),
    Case("LayerNormalization", [(2, 7, 5), r(5)]),
    Case("LpNormalization", [X], {"axis": 1}),
    Case("LpNormalization", [X], {"axis": -1, "p": 1}),
    Case("LRN", [(2, 7, 4, 4)], {"size": 5, "alpha": 0.1}, ["LRN"]),
    Case("Softmax", [X]),
    Case("Softmax", [X], {"axis": 1}, ["Softmax"]),
    Case("LogSoftmax", [V], {"axis": 1}),
    Case("LogSoftmax", [X], {"axis": 1}),
    *(
        Case(op, [X, ints(2, 3)])
        for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
    ),
    *(
        Case(op, [X, ints(1)], {"keepdims": 0})
        for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1")
    ),
    *(
        Case("ReduceMean", [X, ints(*axes)], {"keepdims": k})
        for axes in ((0,), (-1,), (1, 2, 3), (0, 2))
        for k in (0, 1)
    ),
    Case("ReduceMean", [X]),
    Case("ReduceSumSquare", [X, ints(1)]),
    Case("ReduceSumSquare", [X, ints(2, 3)]),
    Case("ReduceMean", [X, ints(2, 3)], {"keepdims": 0}, ["Pooling", "Flatten"]),
    Case("ReduceLogSumExp", [X, ints(1)]),
    Case("ReduceLogSum", [X, ints(1)]),
    Case("ReduceL2", [X, ints(1)]),
    Case("Reshape", [X, ints(0, -1)], {}, ["Flatten"]),
    Case("Reshape", [X, ints(2, 9, 10)], {}, ["Reshape"]),
    Case("Reshape", [X, ints(-1, 5)]),
    Case("Flatten", [X], {"axis": 2}),
    Case("Flatten", [X], {"axis": 0}),
    Case("Flatten", [X], {}, ["Flatten"]),
    Case("Squeeze", [(2, 3, 1, 1), ints(2, 3)]),
    Case("Squeeze", [(2, 1, 3, 1)]),
    Case("Unsqueeze", [V, ints(-1, 1)]),
    Case("ArgMax", [X], {"axis": 1}, ["Slice", "Concat", "ArgMax", "Power"]),
    Case("ArgMin", [X], {"axis": -1, "keepdims": 0}),
    Case("ArgMax", [X], {"select_last_index": 1}, ["ArgMax"]),
    Case("TopK", [X, ints(2)], {"axis": 1}, outputs=2),
    Case("TopK", [X, ints(3)], {"largest": 0}, outputs=2),
    Case("Transpose", [(2, 3, 1, 1)], {"perm": [0, 2, 3, 1]}, ["Reshape"]),
    Case("Concat", [X, X], {"axis": 1}),
    Case("Concat", [X, r(2, 3, 1, 5)], {"axis": -2}),
    Case("Split", [X, ints(1, 2)], {"axis": 1}, ["Slice"], outputs=2),
    Case("Split", [X], {"num_outputs": 2, "axis": 2}, outputs=2),
    Case("Split", [X], {"num_outputs": 3, "axis": -1}, outputs=3),
    Case("Slice", [X, ints(1), ints(3), ints(2)], {}, ["Slice", "Silence"]),
    Case("Slice", [X, ints(1, 0), ints(9, -1), ints(1, 3)]),
    Case("Slice", [X, ints(1, 0), ints(9, 9), ints(2, 3), ints(2, 3)]),
    Case("Slice", [X, ints(-1), ints(-9), ints(1), ints(-1)]),
    Case("Slice", [X, ints(0), ints(9), ints(1), ints(2)]),
    Case("Gather", [X, ints(2, 1, 0)], {"axis": 1}),
    Case("Gather", [X, ints(1, 1, -1)], {"axis": 3}),
    Case("Gather", [X, np.array(1)], {"axis": 1}),
    Case("Tile", [X, ints(1, 2, 1, 3)]),
    Case("Expand", [(2, 1, 5), ints(2, 3, 5)]),
    Case("Expand", [(3, 1), ints(2, 3, 4)]),
    Case(
        "Resize",
        [X, None, np.array([1, 1, 2, 3], np.float32)],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        ["Deconvolution"],
    ),
    Case("Resize", [X, None, np.array([1, 1, 2, 3], np.float32)], {"coordinate_transformation_mode": "asymmetric"}),
    Case("Resize", [X, None, None, ints(2, 3, 9, 4)], {"mode": "linear"}),
    Case(
        "Resize",
        [X, None, None, ints(2, 3, 9, 4)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    Case("Resize", [X, None, np.array([1, 1, 1.7, 0.6], np.float32)], {"mode": "cubic"}),
    Case("Resize", [X, None, np.array([2, 1.5], np.float32)], {"mode": "linear", "axes": [2, 3]}),
    Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 0, 1)]),
    Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "reflect"}),
    Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "edge"}),
    Case("Pad", [X, ints(0, 1, 0, 0, 0, 2, 0, 0)]),
    Case("DepthToSpace", [(1, 4, 1, 1)], {"blocksize": 2}),
    Case("SpaceToDepth", [(1, 1, 2, 2)], {"blocksize": 2}),
    *(
        Case("LSTM", [STEPS, r(n, 16, 3), r(n, 16, 4), *more], {"hidden_size": 4, "direction": way}, outputs=3)
        for way, n in (("forward", 1), ("reverse", 1), ("bidirectional", 2))
        for more in ([], [r(n, 32)], [r(n, 32), None, r(n, 2, 4), r(n, 2, 4)], [None, None, (n, 2, 4), (n, 2, 4)])
    ),
    Case("LSTM", [STEPS, r(1, 16, 3), r(1, 16, 4)], {"hidden_size": 4}, ["Parameter", "LSTM", "Reshape"]),
]
