"""One step of an LSTM: the layer, and the arithmetic that LSTM takes from it."""

from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, Shape
from netdef_plugins import recurrent_onnx

Array = np.ndarray


def squash(gates: Array) -> None:
    """The gates' four parts in place: i, f, o = sigmoid, by tanh, which cannot overflow, and g = tanh."""
    i, f, o, g = np.split(gates, 4, axis=-1)
    for a in (i, f, o):
        a *= 0.5
        np.tanh(a, out=a)
        a *= 0.5
        a += 0.5
    np.tanh(g, out=g)


def unit(gates: Array, cont: Array, c: Array) -> tuple[Array, Array]:
    """The next c and h of LSTMUnit from squashed gates."""
    i, f, o, g = np.split(gates, 4, axis=-1)
    new = cont * f * c + i * g
    return new, o * np.tanh(new)


def unit_backward(gates: Array, cont: Array, c: Array, new: Array, dnew: Array, dh: Array, dgates: Array) -> Array:
    """dc, from the gradients with respect to the next c and h; dgates, before they were squashed, is written."""
    i, f, o, g = np.split(gates, 4, axis=-1)
    di, df, do, dg = np.split(dgates, 4, axis=-1)
    squashed = np.tanh(new)
    dnew = dnew + dh * o * (1 - squashed * squashed)
    di[...] = dnew * g * i * (1 - i)
    df[...] = dnew * cont * c * f * (1 - f)
    do[...] = dh * squashed * o * (1 - o)
    dg[...] = dnew * i * (1 - g * g)
    return dnew * cont * f


class LSTMUnit(ParameterFree):
    """c' = cont f c + i g, h' = o tanh(c'), where i, f, o = sigmoid and g = tanh of the second bottom's four parts.

    One step: bottoms c (1, N, D), gates (1, N, 4 D) and cont (1, N), tops c' and h'. cont = 0 begins a new sequence.
    """

    type = "LSTMUnit"
    bottoms = 3
    tops = 2
    no_gradient = (2,)

    def infer(self, *shapes: Shape) -> list[Shape]:
        c, gates, cont = shapes
        if len(c) != 3 or c[0] != 1 or gates != (1, c[1], 4 * c[2]) or cont != (1, c[1]):
            raise LayerError(f"the bottoms' shapes are {c}, {gates}, {cont}; want (1, N, D), (1, N, 4 D), (1, N)")
        return [c, c]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        c, gates, cont = (b.data for b in bottom)
        gates = gates.copy()
        squash(gates)
        top[0].data[...], top[1].data[...] = unit(gates, cont[..., None], c)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        c, gates, cont = (b.data for b in bottom)
        gates, cont = gates.copy(), cont[..., None]
        squash(gates)
        dgates = bottom[1].diff if propagate_down[1] else np.empty_like(gates)
        dc = unit_backward(gates, cont, c, unit(gates, cont, c)[0], top[0].diff, top[1].diff, dgates)
        if propagate_down[0]:
            bottom[0].diff[...] = dc

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        c, gates, cont = inputs
        return list(recurrent_onnx.unit(graph, gates, recurrent_onnx.column(graph, cont, 2), c, graph.shape(c)[2]))
