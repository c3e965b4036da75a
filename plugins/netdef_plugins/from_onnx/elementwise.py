"""Operators on every number alone: activations, and what they are made of."""

import math
from typing import Any

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import PROD, SUM, clipped, eltwise
from netdef_plugins.from_onnx.forms import CUT_OFF, power

SIMPLE = {"Relu": "ReLU", "Sigmoid": "Sigmoid", "Tanh": "TanH", "Abs": "AbsVal", "Softplus": "BNLL", "Log": "Log"}
SIMPLE |= {"Exp": "Exp"}
POWERS = {"Sqrt": {"exponent": 0.5}, "Reciprocal": {"exponent": -1.0}, "Neg": {"scale": -1.0}}
FLOATS = {1, 10, 11, 9}  # float32, float16, float64 and bool, which a blob holds as 0 and 1


def simple(node: Any) -> str:
    return str(node.layer(SIMPLE[node.op], node.inputs[0]))


def powers(node: Any) -> str:
    return power(node, node.inputs[0], **POWERS[node.op])


def same(node: Any) -> str:
    """Identity"""
    return str(node.inputs[0])


def cast(node: Any) -> str:
    """Between floats, of whole numbers, and from what a layer here holds as floats anyway, nothing is done."""
    x = node.inputs[0]
    if node.attributes["to"] in FLOATS or node.is_whole(x):
        return str(x)

    def refuse() -> str:
        raise ExportError(f"operation '{node.name}' (Cast) makes whole numbers, not places alone; blobs are floats")

    return str(node.see(x, refuse, *CUT_OFF))


def dropout(node: Any) -> str:
    ratio = node.argument("ratio", 1)
    options = {} if ratio is None else {"dropout_ratio": float(ratio)}
    return str(node.layer("Dropout", node.inputs[0], dropout_param=options))


def leaky(node: Any) -> str:
    return str(node.layer("ReLU", node.inputs[0], relu_param={"negative_slope": node.attributes.get("alpha", 0.01)}))


def elu(node: Any) -> str:
    return str(node.layer("ELU", node.inputs[0], elu_param={"alpha": node.attributes.get("alpha", 1.0)}))


def selu(node: Any) -> str:
    """gamma ELU(x), of the alpha that makes it so"""
    a = node.attributes
    y = node.layer("ELU", node.inputs[0], elu_param={"alpha": a.get("alpha", 1.6732632423543772)})
    return power(node, y, scale=a.get("gamma", 1.0507009873554805))


def celu(node: Any) -> str:
    """alpha ELU(x / alpha)"""
    alpha = node.attributes.get("alpha", 1.0)
    return power(node, node.layer("ELU", power(node, node.inputs[0], scale=1 / alpha)), scale=alpha)


def prelu(node: Any) -> str:
    x, slope = node.inputs[0], node.weight(1)
    channels = node.shape(x)[1]
    if slope.size == 1:
        return str(node.layer("PReLU", x, [slope.reshape(())], prelu_param={"channel_shared": True}))
    if slope.size != channels or (slope.ndim == len(node.shape(x)) and slope.shape[1] != channels):
        raise ExportError(f"slopes of shape {slope.shape} for {channels} channels; want one, or one for each channel")
    return str(node.layer("PReLU", x, [slope.reshape(-1)]))


def hard_sigmoid(node: Any) -> str:
    a = node.attributes
    return clipped(node, power(node, node.inputs[0], a.get("alpha", 0.2), a.get("beta", 0.5)), 0.0, 1.0)


def hard_swish(node: Any) -> str:
    x = node.inputs[0]
    return eltwise(node, [x, clipped(node, power(node, x, 1 / 6, 0.5), 0.0, 1.0)], PROD)


def softsign(node: Any) -> str:
    """x / (1 + |x|)"""
    x = node.inputs[0]
    return eltwise(node, [x, power(node, node.layer("AbsVal", x), shift=1.0, exponent=-1.0)], PROD)


def mish(node: Any) -> str:
    """x tanh(log(1 + e^x))"""
    x = node.inputs[0]
    return eltwise(node, [x, node.layer("TanH", node.layer("BNLL", x))], PROD)


def erf(node: Any, x: str | None = None) -> str:
    """Within 1.5e-7, which is what float32 holds: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26."""
    x = x or node.inputs[0]
    size = node.layer("AbsVal", x)
    terms = [power(node, size, scale=0.3275911, shift=1.0, exponent=-k) for k in range(1, 6)]
    total = eltwise(node, terms, SUM, [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429])
    falling = node.layer("Exp", power(node, x, exponent=2.0), exp_param={"scale": -1.0})
    above = power(node, eltwise(node, [total, falling], PROD), scale=-1.0, shift=1.0)
    return eltwise(node, [above, power(node, node.layer("Threshold", x), scale=2.0, shift=-1.0)], PROD)


def gelu(node: Any) -> str:
    """x (1 + erf(x / sqrt 2)) / 2, or with tanh for erf"""
    x = node.inputs[0]
    if node.attributes.get("approximate", b"none") == b"none":
        inner = erf(node, power(node, x, scale=0.5**0.5))
    else:
        scale = (2 / math.pi) ** 0.5
        inner = eltwise(node, [x, power(node, x, exponent=3.0)], SUM, [scale, scale * 0.044715])
        inner = node.layer("TanH", inner)
    return eltwise(node, [x, power(node, inner, scale=0.5, shift=0.5)], PROD)


IMPORTERS = dict.fromkeys(SIMPLE, simple) | dict.fromkeys(POWERS, powers) | {"Identity": same, "Cast": cast}
IMPORTERS |= {"LeakyRelu": leaky, "Elu": elu, "Selu": selu, "Celu": celu, "PRelu": prelu, "Dropout": dropout}
IMPORTERS |= {"HardSigmoid": hard_sigmoid, "HardSwish": hard_swish, "Softsign": softsign, "Mish": mish}
IMPORTERS |= {"Erf": erf, "Gelu": gelu}
