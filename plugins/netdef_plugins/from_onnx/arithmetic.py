"""Add, Sub, Mul, Div, Min, Max and their like: Eltwise, Scale, Bias and Power, with ONNX's broadcasting."""

from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import aligned, along, power, reshaped, widened

PROD, SUM, LARGEST = 0, 1, 2
MOST = float(np.finfo(np.float32).max)


def combined(node: Any, x: str, y: str, multiply: bool) -> str:
    """x + y or x y: with one number a Power, with numbers along some axes a Scale or a Bias, else an Eltwise."""
    if node.is_constant(x):
        x, y = y, x
    shape = np.broadcast_shapes(node.shape(x), node.shape(y))
    if not node.is_constant(y) and node.shape(x) != shape:
        x, y = (y, x) if node.shape(y) == shape else (widened(node, x, shape), y)
    if node.is_constant(y):
        return _with_constant(node, widened(node, x, shape), node.constant(y), multiply)
    own = aligned(node.shape(y), len(shape))
    run = along(own, shape)
    if own == shape or run is None:
        return eltwise(node, [x, widened(node, y, shape)], PROD if multiply else SUM)
    y = reshaped(node, y, own[run[0] : run[1]])
    kind, block = ("Scale", "scale_param") if multiply else ("Bias", "bias_param")
    return str(node.layer(kind, [x, y], **{block: {"axis": run[0]}}))


def _with_constant(node: Any, x: str, c: np.ndarray, multiply: bool) -> str:
    """c is broadcast to x. Along axes of one element it has no extent, so that the layer holds as little as it can."""
    shape, c = node.shape(x), np.asarray(c, np.float32)
    if c.size and np.ptp(c) == 0:
        return power(node, x, scale=c.flat[0]) if multiply else power(node, x, shift=c.flat[0])
    c = c.reshape(aligned(c.shape, len(shape)))
    own = [axis for axis, size in enumerate(c.shape) if size != 1]
    first, end = own[0], own[-1] + 1
    blob = np.broadcast_to(c, (*c.shape[:first], *shape[first:end], *c.shape[end:])).reshape(shape[first:end])
    kind, block = ("Scale", "scale_param") if multiply else ("Bias", "bias_param")
    options = {"axis": first, "num_axes": end - first}
    plain = {"axis": 1, "num_axes": 1}
    return str(node.layer(kind, x, [blob], **{block: {k: v for k, v in options.items() if v != plain[k]}}))


def eltwise(node: Any, values: list[str], operation: int, coeff: list[float] | None = None) -> str:
    options: dict[str, Any] = {"operation": operation} if operation != SUM else {}
    return str(node.layer("Eltwise", values, eltwise_param=options | ({"coeff": coeff} if coeff else {})))


def add(node: Any) -> str:
    return combined(node, *node.inputs, multiply=False)


def mul(node: Any) -> str:
    return combined(node, *node.inputs, multiply=True)


def sub(node: Any) -> str:
    """x - y; a number less a value that is that number less another is the other"""
    x, y = node.inputs
    if _is_number(node, x) and not node.is_constant(y):
        c = float(node.constant(x).flat[0])
        return node.seen(y, "subtracted from", c) or power(node, y, scale=-1, shift=c)
    if node.is_constant(y):
        return combined(node, x, node.made_constant(-node.constant(y)), multiply=False)
    if node.shape(x) == node.shape(y) and not node.is_constant(x):
        return eltwise(node, [x, y], SUM, [1.0, -1.0])
    return combined(node, x, power(node, y, scale=-1), multiply=False)


def div(node: Any) -> str:
    """x / y, as x y^-1"""
    x, y = node.inputs
    if not node.is_constant(y):
        return combined(node, x, power(node, y, exponent=-1), multiply=True)
    c = node.constant(y)
    if not np.all(c) or c.dtype.kind != "f":
        raise ExportError("division by zero, or of integers")
    return combined(node, x, node.made_constant(1 / c), multiply=True)


def largest(node: Any) -> str:
    """The largest of all: of one number and a value a Clip, or, of 0, a ReLU."""
    values = [v for v in node.inputs if not _is_number(node, v)]
    numbers = [float(node.constant(v).flat[0]) for v in node.inputs if _is_number(node, v)]
    if not values:
        raise ExportError("nothing but constants")
    x = _all(node, values, LARGEST)
    return x if not numbers else clipped(node, x, max(numbers), MOST)


def least(node: Any) -> str:
    """-max(-x, -y)"""
    values = [v for v in node.inputs if not _is_number(node, v)]
    numbers = [float(node.constant(v).flat[0]) for v in node.inputs if _is_number(node, v)]
    if len(values) > 1:
        x = power(node, _all(node, [power(node, v, scale=-1) for v in values], LARGEST), scale=-1)
    else:
        x = values[0]
    return x if not numbers else clipped(node, x, -MOST, min(numbers))


def total(node: Any) -> str:
    """Sum, Mean"""
    x = _all(node, node.inputs, SUM)
    return x if node.op == "Sum" or len(node.inputs) == 1 else power(node, x, scale=1 / len(node.inputs))


def _is_number(node: Any, value: str) -> bool:
    return node.is_constant(value) and node.constant(value).size == 1


def _all(node: Any, values: list[str], operation: int) -> str:
    shape = np.broadcast_shapes(*(node.shape(v) for v in values))
    if len(values) == 1:
        return values[0]
    if operation == SUM and any(node.shape(v) != shape or node.is_constant(v) for v in values):
        first, *others = values
        for value in others:
            first = combined(node, first, value, multiply=False)
        return first
    return eltwise(node, [widened(node, v, shape) for v in values], operation)


def clipped(node: Any, x: str, low: float, high: float) -> str:
    if low == 0 and high >= MOST:
        return str(node.layer("ReLU", x))
    return str(node.layer("Clip", x, clip_param={"min": max(low, -MOST), "max": min(high, MOST)}))


def clip(node: Any) -> str:
    low, high = node.argument("min", 1), node.argument("max", 2)
    return clipped(node, node.inputs[0], -MOST if low is None else float(low), MOST if high is None else float(high))


def power_of(node: Any) -> str:
    exponent = node.weight(1)
    if exponent.size != 1:
        raise ExportError("several exponents; a Power of Caffe has one")
    return power(node, node.inputs[0], exponent=float(exponent.flat[0]))


IMPORTERS = {"Add": add, "Sub": sub, "Mul": mul, "Div": div, "Max": largest, "Min": least, "Sum": total, "Mean": total}
IMPORTERS |= {"Clip": clip, "Pow": power_of}
