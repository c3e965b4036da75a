"""Comparisons, as blobs of 0 and 1 that a Threshold gives, and what is chosen by them."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import LARGEST, MOST, PROD, SUM, combined, eltwise
from netdef_plugins.from_onnx.forms import MANY, places, power, reshaped


def compared(node: Any) -> str:
    """1 where x > y: a Threshold of x, or of x - y where y is not one number; x < y is -x > -y, x >= y not x < y."""
    x, y = node.inputs
    swapped, negated = {"Greater": (0, 0), "Less": (1, 0), "GreaterOrEqual": (1, 1), "LessOrEqual": (0, 1)}[node.op]
    if swapped:
        x, y = y, x
    if node.is_constant(y) and node.constant(y).size == 1:
        above = node.layer("Threshold", x, threshold_param={"threshold": float(node.constant(y).flat[0])})
    else:
        above = node.layer("Threshold", combined(node, x, _negative(node, y), multiply=False))
    return str(node.wholly(inverse(node, above) if negated else above))


def equal(node: Any) -> str:
    """1 where |x - y| is not above 0"""
    x, y = node.inputs
    return str(node.wholly(_equal(node, x, y)))


def _equal(node: Any, x: str, y: str) -> str:
    away = node.layer("AbsVal", combined(node, x, _negative(node, y), multiply=False))
    return inverse(node, node.layer("Threshold", away))


def one_hot(node: Any) -> str:
    """One value where a place is the axis's own, the other elsewhere; places below 0 are counted from the end."""
    x, n, (off, on) = node.inputs[0], int(node.weight(1).flat[0]), node.weight(2).tolist()
    at, shape = places(node, x) or x, node.shape(x)
    axis = node.attributes.get("axis", -1) % (len(shape) + 1)
    if n * math.prod(shape) > MANY:
        raise ExportError(f"{n:,} values for each of {math.prod(shape):,} places; want {MANY:,} or fewer")
    own = np.arange(n, dtype=np.float32).reshape(n, *[1] * (len(shape) - axis))
    found = _equal(node, reshaped(node, at, (*shape[:axis], 1, *shape[axis:])), node.made_constant(own))
    return power(node, found, scale=on - off, shift=off)


def _negative(node: Any, x: str) -> str:
    return node.made_constant(-node.constant(x)) if node.is_constant(x) else power(node, x, scale=-1)


def inverse(node: Any, x: str) -> str:
    return power(node, x, scale=-1, shift=1)


def logical(node: Any) -> str:
    """Not, And, Or"""
    if node.op == "Not":
        return inverse(node, node.inputs[0])
    return eltwise(node, node.inputs, PROD if node.op == "And" else LARGEST)


def where(node: Any) -> str:
    """c x + (1 - c) y: right as long as x and y are finite; of a constant the infinite is as large as numbers are"""
    c, x, y = (_finite(node, value) for value in node.inputs)
    inverted = node.made_constant(1 - node.constant(c)) if node.is_constant(c) else inverse(node, c)
    return combined(node, _times(node, c, x), _times(node, inverted, y), multiply=False)


def _finite(node: Any, x: str) -> str:
    return node.made_constant(node.constant(x).astype(np.float32).clip(-MOST, MOST)) if node.is_constant(x) else x


def _times(node: Any, x: str, y: str) -> str:
    if node.is_constant(x) and node.is_constant(y):
        return str(node.made_constant(node.constant(x) * node.constant(y)))
    return combined(node, x, y, multiply=True)


def triangle(node: Any) -> str:
    """Trilu: times 1 on one side of the diagonal and 0 on the other"""
    x, k = node.inputs[0], int(node.weight(1).flat[0]) if node.has(1) else 0
    ones = np.ones(node.shape(x)[-2:], np.float32)
    mask = np.triu(ones, k) if node.attributes.get("upper", 1) else np.tril(ones, k)
    return combined(node, x, node.made_constant(mask), multiply=True)


def sign(node: Any) -> str:
    """(x > 0) - (-x > 0)"""
    x = node.inputs[0]
    above, below = node.layer("Threshold", x), node.layer("Threshold", power(node, x, scale=-1))
    return eltwise(node, [above, below], SUM, [1.0, -1.0])


IMPORTERS = dict.fromkeys(("Greater", "Less", "GreaterOrEqual", "LessOrEqual"), compared) | {"Where": where}
IMPORTERS |= dict.fromkeys(("Not", "And", "Or"), logical) | {"Sign": sign, "Trilu": triangle}
IMPORTERS |= {"Equal": equal, "OneHot": one_hot}
