"""Comparisons, as blobs of 0 and 1 that a Threshold gives, and what is chosen by them."""

from typing import Any

from netdef_plugins.from_onnx.arithmetic import LARGEST, PROD, SUM, combined, eltwise
from netdef_plugins.from_onnx.forms import power


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
    return inverse(node, above) if negated else str(above)


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
    """c x + (1 - c) y: right as long as x and y are finite"""
    c, x, y = node.inputs
    chosen = combined(node, c, x, multiply=True)
    other = combined(node, inverse(node, c), y, multiply=True)
    return combined(node, chosen, other, multiply=False)


def sign(node: Any) -> str:
    """(x > 0) - (-x > 0)"""
    x = node.inputs[0]
    above, below = node.layer("Threshold", x), node.layer("Threshold", power(node, x, scale=-1))
    return eltwise(node, [above, below], SUM, [1.0, -1.0])


IMPORTERS = dict.fromkeys(("Greater", "Less", "GreaterOrEqual", "LessOrEqual"), compared) | {"Where": where}
IMPORTERS |= dict.fromkeys(("Not", "And", "Or"), logical) | {"Sign": sign}
