"""Matrix products with constant matrices, Softmax, and normalization by constants or by the values' own statistics."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import combined
from netdef_plugins.from_onnx.forms import power, reshaped, transposed
from netdef_plugins.from_onnx.products import Term, product
from netdef_plugins.from_onnx.reductions import logsumexp, reduced


def inner_product(node: Any, x: str, w: np.ndarray, b: np.ndarray | None = None) -> str:
    """w (outputs, size of the last axis) times x."""
    options: dict[str, Any] = {"num_output": len(w)}
    options |= {} if len(node.shape(x)) == 2 else {"axis": len(node.shape(x)) - 1}
    options |= {} if b is not None else {"bias_term": False}
    return str(node.layer("InnerProduct", x, [w] if b is None else [w, b], inner_product_param=options))


def gemm(node: Any) -> str:
    """alpha A B + beta C: an InnerProduct where B is constant, and C is, with a number for each output."""
    a = node.attributes
    if not node.is_constant(node.inputs[1]):
        return _of_two(node)
    x = transposed(node, node.inputs[0], (1, 0)) if a.get("transA") else node.inputs[0]
    w = node.weight(1) if a.get("alpha", 1.0) == 1 else node.weight(1) * a["alpha"]
    w = w if a.get("transB") else w.T
    if not node.has(2):
        return inner_product(node, x, w)
    c, beta = node.inputs[2], a.get("beta", 1.0)
    if node.is_constant(c) and node.shape(c) in ((), (1,), (1, 1), (len(w),), (1, len(w))):
        return inner_product(node, x, w, np.broadcast_to(beta * node.constant(c).reshape(-1), (len(w),)))
    return combined(node, inner_product(node, x, w), power(node, c, scale=beta), multiply=False)


def _of_two(node: Any) -> str:
    a, (x, y) = node.attributes, node.inputs[:2]
    terms = (Term(x, [*("ki" if a.get("transA") else "ik")]), Term(y, [*("jk" if a.get("transB") else "kj")]))
    z = power(node, product(node, *terms, "ij").ordered(node, ["i", "j"]).value, scale=a.get("alpha", 1.0))
    return combined(node, z, power(node, node.inputs[2], scale=a.get("beta", 1.0)), False) if node.has(2) else z


def softmax(node: Any) -> str:
    x = node.inputs[0]
    axis = node.attributes.get("axis", -1) % len(node.shape(x))
    return str(node.layer("Softmax", x, softmax_param={"axis": axis} if axis != 1 else {}))


def log_softmax(node: Any) -> str:
    """x - log sum exp x: the logarithm of a Softmax would be infinite where that is rounded to 0"""
    x = node.inputs[0]
    axis = node.attributes.get("axis", -1) % len(node.shape(x))
    return combined(node, x, power(node, logsumexp(node, x, axis), scale=-1), multiply=False)


def batch_norm(node: Any) -> str:
    """A BatchNorm with the statistics, and a Scale behind it where it does something."""
    if node.attributes.get("training_mode") or not node.attributes.get("spatial", 1):
        raise ExportError("statistics of the batch, or of every pixel; a BatchNorm of Caffe has its own, per channel")
    g, b, mean, variance = (node.weight(i) for i in range(1, 5))
    eps = {"eps": node.attributes.get("epsilon", 1e-5)}
    y = node.layer("BatchNorm", node.inputs[0], [mean, variance, np.ones(1, np.float32)], batch_norm_param=eps)
    if np.all(g == 1) and np.all(b == 0):
        return str(y)
    return str(node.layer("Scale", y, [g, b], scale_param={"bias_term": True}))


def lrn(node: Any) -> str:
    a = node.attributes
    options = {"local_size": a["size"], "k": a.get("bias", 1.0)}
    options |= {"alpha": a.get("alpha", 1e-4), "beta": a.get("beta", 0.75)}
    return str(node.layer("LRN", node.inputs[0], lrn_param=options))


def standardized(node: Any, x: str, axis: int, eps: float) -> str:
    """(x - mean) / sqrt(variance + eps) over all axes from one on."""
    axes = list(range(axis, len(node.shape(x))))
    y = combined(node, x, power(node, reduced(node, x, axes, "mean"), scale=-1), multiply=False)
    variance = reduced(node, y, axes, "sumsq")
    n = math.prod(node.shape(x)[axis:])
    return combined(node, y, power(node, variance, scale=1 / n, shift=eps, exponent=-0.5), multiply=True)


def instance_norm(node: Any) -> str:
    x = node.inputs[0]
    y = standardized(node, x, 2, node.attributes.get("epsilon", 1e-5))
    return _scaled(node, y, node.weight(1), node.weight(2), 1)


def group_norm(node: Any) -> str:
    """Of the channels of a group together."""
    x, groups = node.inputs[0], node.attributes["num_groups"]
    n, channels, *image = shape = node.shape(x)
    y = reshaped(node, x, (n, groups, channels // groups * math.prod(image)))
    y = standardized(node, y, 2, node.attributes.get("epsilon", 1e-5))
    return _scaled(node, reshaped(node, y, shape), node.weight(1), node.weight(2), 1)


def layer_norm(node: Any) -> str:
    x = node.inputs[0]
    axis = node.attributes.get("axis", -1) % len(node.shape(x))
    y = standardized(node, x, axis, node.attributes.get("epsilon", 1e-5))
    return _scaled(node, y, node.weight(1), node.weight(2) if node.has(2) else None, axis)


def _scaled(node: Any, x: str, g: np.ndarray, b: np.ndarray | None, axis: int) -> str:
    options: dict[str, Any] = {"axis": axis, "num_axes": g.ndim} if (axis, g.ndim) != (1, 1) else {}
    return str(node.layer("Scale", x, [g] if b is None else [g, b], scale_param=options | {"bias_term": b is not None}))


IMPORTERS = {"Gemm": gemm, "Softmax": softmax, "LogSoftmax": log_softmax, "LRN": lrn}
IMPORTERS |= {"BatchNormalization": batch_norm, "InstanceNormalization": instance_norm}
IMPORTERS |= {"LayerNormalization": layer_norm, "GroupNormalization": group_norm}
