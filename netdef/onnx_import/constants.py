"""What of a model depends on constants and shapes alone, such as how a parameter is broadcast: computed at once."""

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from netdef.errors import ExportError
from netdef.onnx_import.importing import Importing

FOLDED = {"Unsqueeze", "Squeeze", "Reshape", "Transpose", "Cast", "Identity", "Concat", "Slice", "Gather", "Neg", "Add"}
FOLDED |= {"Sub", "Mul", "Div", "Sqrt", "Split", "Floor", "Ceil", "Min", "Max", "Pow", "Equal", "Where", "Flatten"}
FOLDED |= {"ReduceProd", "Mod", "Exp", "Abs", "Reciprocal", "Dropout", "Not", "And", "Or", "Less", "Greater", "Sign"}
FOLDED |= {"LessOrEqual", "GreaterOrEqual", "Trilu", "ScatterND", "ScatterElements", "GatherND", "GatherElements"}
FOLDED |= {"Round", "Log", "Sin", "Cos", "Tanh", "Sigmoid", "Erf", "Clip", "CumSum"}
"""What may be computed from constants: nothing that makes much of little,"""
GROWING: dict[str, Any] = {
    "ConstantOfShape": lambda shape: math.prod(shape.tolist()),
    "Expand": lambda x, shape: max(1, x.size) * math.prod(shape.tolist()),
    "Tile": lambda x, repeats: x.size * math.prod(repeats.tolist()),
    "Range": lambda first, last, step: abs(float(last - first)) / max(abs(float(step)), 1e-9),
}
"""but for these, whose results are counted first."""
MOST = 1 << 24


def fold(node: onnx.NodeProto, done: Importing) -> bool:
    """Compute the outputs if they are constant; whether they were. Raises ExportError where they cannot be."""
    if node.op_type == "Constant":
        done.constants[node.output[0]] = _constant(node)
        return True
    if node.op_type in ("Shape", "Size"):
        return _shape(node, done)
    inputs = [done.same.get(name, name) for name in node.input]
    if node.op_type not in FOLDED | set(GROWING) or not all(name in done.constants for name in inputs if name):
        return False
    given = {name: done.constants[same] for name, same in zip(node.input, inputs, strict=True) if name}
    try:
        if node.op_type in GROWING and GROWING[node.op_type](*given.values()) > MOST:
            raise ExportError(f"makes more than {MOST:,} numbers of constants")
        values: Any = ReferenceEvaluator(node).run(None, given)
    except ExportError:
        raise
    except Exception as e:
        raise ExportError(f"cannot be computed: {type(e).__name__}: {e}") from e
    done.constants.update(zip(node.output, map(np.asarray, values), strict=False))
    return True


def _constant(node: onnx.NodeProto) -> np.ndarray:
    for a in node.attribute:
        value = helper.get_attribute_value(a)
        if a.name == "value":
            return numpy_helper.to_array(value)
        if a.name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if a.name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    raise ExportError("a constant that is neither a tensor nor numbers")


def _shape(node: onnx.NodeProto, done: Importing) -> bool:
    name = done.same.get(node.input[0], node.input[0])
    shape = done.constants[name].shape if name in done.constants else done.shapes.get(name)
    if shape is None:
        raise ExportError(f"the shape of '{name}' is not fixed; give the inputs' with --shape")
    a = {attribute.name: attribute.i for attribute in node.attribute}
    part = shape[a.get("start", 0) : a.get("end", len(shape))]
    done.constants[node.output[0]] = np.array(part if node.op_type == "Shape" else math.prod(shape), np.int64)
    return True
