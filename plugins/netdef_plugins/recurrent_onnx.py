"""Recurrent layers as operations of ONNX: the unit of an LSTM, and Scan around a step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from netdef.layer import Shape

Step = Callable[[str, str, list[str]], list[str]]


def column(graph: Any, cont: str, axis: int) -> str:
    """cont with one axis more, to multiply the state by."""
    return graph.op("Unsqueeze", [cont, graph.const(np.array([axis], np.int64))])


def reshaped(graph: Any, x: str, shape: Shape) -> str:
    return graph.op("Reshape", [x, graph.joined(shape)])


def linear(graph: Any, x: str, shape: Shape, w: str, b: str | None = None) -> str:
    """W x + b along what lies behind the axes of `shape` but the last; its result has that shape."""
    flat = reshaped(graph, x, (-1, graph.shape(w)[1]))
    return reshaped(graph, graph.op("Gemm", [flat, w, b], transB=1), shape)


def unit(graph: Any, gates: str, cont: str, c: str, d: int) -> tuple[str, str]:
    """The next c and h of LSTMUnit, D numbers each; cont has as many axes as c: (N, D), or (1, N, D).

    Split has another form in most opsets, Gather has one in all of them.
    """
    gates = reshaped(graph, gates, (-1, 4, d))
    i, f, o, g = (graph.op("Gather", [gates, graph.const(np.array(k, np.int64))], axis=1) for k in range(4))
    i, f, o = (graph.op("Sigmoid", [x]) for x in (i, f, o))
    kept = graph.op("Mul", [graph.op("Mul", [cont, f]), c])
    new = graph.op("Add", [kept, graph.op("Mul", [i, graph.op("Tanh", [g])])])
    return new, graph.op("Mul", [o, graph.op("Tanh", [new])])


def scan(graph: Any, a: str, cont: str, begin: list[str], state: Shape, step: Step) -> tuple[list[str], str]:
    """Runs step(a_t, cont_t, state) -> state for every t; the last state, and its first part of every step.

    a is (T, N, rows), cont (T, N, 1), a state (N, D). The step's operations see the values around them, as weights.
    """
    from onnx import TensorProto, helper

    outer, graph.nodes = graph.nodes, []
    names = [graph.fresh(f"{graph.layer}/{what}") for what in ("a_t", "cont_t")]
    old = [graph.fresh(f"{graph.layer}/state") for _ in begin]
    new = step(*names, old)
    every = graph.op("Identity", [new[0]])
    n, d = state[0] if isinstance(state[0], int) else None, state[1]
    inputs = [(name, (n, d)) for name in old] + [(names[0], (n, None)), (names[1], (n, 1))]
    outputs = [(name, (n, d)) for name in [*new, every]]
    info = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side] for side in (inputs, outputs)]
    body = helper.make_graph(graph.nodes, graph.fresh(f"{graph.layer}/step"), *info)
    graph.nodes = outer
    found = graph.op("Scan", [*begin, a, cont], outputs=len(begin) + 1, num_scan_inputs=2, body=body)
    return found[:-1], found[-1]
