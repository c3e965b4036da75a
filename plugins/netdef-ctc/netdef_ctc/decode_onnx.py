"""CTCGreedyDecoder as ONNX operations: labels that count are scattered to their places, others behind the end."""

from typing import Any

import numpy as np


def build(graph: Any, scores: str, going: str, blank: int, merge: bool) -> str:
    """The value of labels (N, T, 1, 1), for scores (T, N, C, ...) and marks (T, N); it holds no size of either."""
    one, none = (graph.const(np.array(v, np.int64)) for v in (1, -1))
    best = graph.op("ArgMax", [graph.op("Reshape", [scores, graph.const(np.array([0, 0, -1]))])], axis=2, keepdims=0)
    absent = graph.op("Sub", [graph.op("Mul", [graph.cut(best, 0, 0, 1), graph.const(np.array(0))]), one])
    marks = graph.op("Cast", [graph.op("Reshape", [going, graph.op("Shape", [best])])], to=9)
    stopped = graph.op("Cast", [graph.op("Not", [graph.cut(marks, 0, 1)])], to=7)
    stopped = graph.op("Concat", [graph.op("Add", [absent, one]), stopped], axis=0)
    ended = graph.op("Cast", [_sums(graph, stopped)], to=9)
    skipped = graph.op("Or", [ended, graph.op("Equal", [best, graph.const(np.array(blank))])])
    if merge:
        before = graph.op("Concat", [absent, graph.cut(best, 0, 0, -1)], axis=0)
        skipped = graph.op("Or", [skipped, graph.op("Equal", [best, before])])
    kept = graph.op("Cast", [graph.op("Not", [skipped])], to=7)
    place = graph.op("Where", [skipped, none, graph.op("Sub", [_sums(graph, kept), one])])
    empty = graph.op("Sub", [graph.op("Mul", [best, graph.const(np.array(0))]), one])
    longer = graph.op("Concat", [empty, absent], axis=0)
    labels = graph.cut(graph.op("ScatterElements", [longer, place, best], axis=0), 0, 0, -1)
    labels = graph.op("Cast", [graph.op("Transpose", [labels], perm=[1, 0])], to=1)
    return str(graph.op("Unsqueeze", [labels, graph.const(np.array([2, 3]))]))


def _sums(graph: Any, x: str) -> str:
    """Of each row and those before it."""
    return str(graph.op("CumSum", [x, graph.const(np.array(0))]))
