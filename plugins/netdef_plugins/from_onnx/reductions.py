"""Sums, means and largest values over axes."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import PROD, combined, eltwise
from netdef_plugins.from_onnx.forms import PIECES, linear, parts, power, reshaped

SUM, ASUM, SUMSQ, MEAN = 1, 2, 3, 4
OPERATIONS = {"sum": SUM, "asum": ASUM, "sumsq": SUMSQ, "mean": MEAN}
MAX, AVE = 0, 1


def reduced(node: Any, x: str, axes: list[int], kind: str) -> str:
    """sum, asum, sumsq, mean or max over axes, which stay, of one element.

    Over an image's pixels a Pooling, over all axes from one on a Reduction; else axis by axis, as a mix of one row.
    """
    shape = node.shape(x)
    kept = [1 if a in axes else d for a, d in enumerate(shape)]
    if len(shape) == 4 and axes == [2, 3] and kind in ("mean", "max"):
        return _pooled(node, x, kind)
    if kind != "max" and axes == list(range(axes[0], len(shape))):
        options = {"operation": OPERATIONS[kind], "axis": axes[0]}
        return reshaped(node, node.layer("Reduction", x, reduction_param=options), kept)
    if kind in ("asum", "sumsq"):
        x, kind = (node.layer("AbsVal", x) if kind == "asum" else power(node, x, exponent=2)), "sum"
    for axis in axes:
        x = _over_one(node, x, axis, kind)
    return x


def _pooled(node: Any, x: str, kind: str) -> str:
    options = {"pool": AVE if kind == "mean" else MAX, "global_pooling": True}
    return str(node.layer("Pooling", x, pooling_param=options))


def _over_one(node: Any, x: str, axis: int, kind: str) -> str:
    shape = node.shape(x)
    n, outer, inner = shape[axis], math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if kind != "max":
        return linear(node, x, axis, np.full((1, n), 1 / n if kind == "mean" else 1.0))
    rows = reshaped(node, x, (outer, 1, n, inner))
    y = node.layer("Pooling", rows, pooling_param={"kernel_h": n, "kernel_w": 1})
    return reshaped(node, y, (*shape[:axis], 1, *shape[axis + 1 :]))


def logsumexp(node: Any, x: str, axis: int) -> str:
    """log sum exp x, by the largest x, which nothing can overflow; the axis stays."""
    largest = reduced(node, x, [axis], "max")
    below = combined(node, x, power(node, largest, scale=-1), multiply=False)
    total = reduced(node, node.layer("Exp", below), [axis], "sum")
    return combined(node, node.layer("Log", total), largest, multiply=False)


def reduce(node: Any) -> str:
    x, given = node.inputs[0], node.argument("axes", 1)
    shape = node.shape(x)
    if given is None or not given.size:
        if node.attributes.get("noop_with_empty_axes"):
            return str(x)
        given = np.arange(len(shape))
    axes = sorted({int(a) % len(shape) for a in given.flat})
    y = REDUCED[node.op](node, x, axes)
    keep = node.attributes.get("keepdims", 1)
    return y if keep else reshaped(node, y, [d for a, d in enumerate(shape) if a not in axes])


def _least(node: Any, x: str, axes: list[int]) -> str:
    return power(node, reduced(node, power(node, x, scale=-1), axes, "max"), scale=-1)


def _log_of_all(node: Any, x: str, axes: list[int]) -> str:
    if len(axes) > 1:
        raise ExportError(f"over {len(axes)} axes; want one")
    return logsumexp(node, x, axes[0])


def _product(node: Any, x: str, axes: list[int]) -> str:
    """Of every place along an axis by itself."""
    for axis in axes:
        if (n := node.shape(x)[axis]) > PIECES:
            raise ExportError(f"over {n} numbers; want {PIECES} or fewer")
        x = eltwise(node, parts(node, x, axis, range(1, n)), PROD) if n > 1 else x
    return x


REDUCED: dict[str, Any] = {
    "ReduceSum": lambda node, x, axes: reduced(node, x, axes, "sum"),
    "ReduceMean": lambda node, x, axes: reduced(node, x, axes, "mean"),
    "ReduceMax": lambda node, x, axes: reduced(node, x, axes, "max"),
    "ReduceMin": _least,
    "ReduceL1": lambda node, x, axes: reduced(node, x, axes, "asum"),
    "ReduceSumSquare": lambda node, x, axes: reduced(node, x, axes, "sumsq"),
    "ReduceL2": lambda node, x, axes: power(node, reduced(node, x, axes, "sumsq"), exponent=0.5),
    "ReduceLogSum": lambda node, x, axes: node.layer("Log", reduced(node, x, axes, "sum")),
    "ReduceProd": _product,
    "ReduceLogSumExp": _log_of_all,
}


def lp_normalization(node: Any) -> str:
    """x / |x|, by the sum or the root of the squares along an axis"""
    x, p = node.inputs[0], node.attributes.get("p", 2)
    axis = node.attributes.get("axis", -1) % len(node.shape(x))
    norm = reduced(node, x, [axis], "asum" if p == 1 else "sumsq")
    return combined(node, x, power(node, norm, exponent=-1 if p == 1 else -0.5), multiply=True)


IMPORTERS = dict.fromkeys(REDUCED, reduce) | {"LpNormalization": lp_normalization}
