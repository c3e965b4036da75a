"""Nms as ONNX operations: every pixel's row is made, and those of peaks are scattered to their places."""

from typing import Any

import numpy as np


def build(graph: Any, x: str, parts: int, threshold: float, most: int, reach: int) -> str:
    """The value of (N, parts, most + 1, 3) for maps x: how many peaks, then rows (x, y, score) of at most `most`."""
    height, width = graph.sizes(x)[2:]
    maps = graph.op("Reshape", [graph.cut(x, 1, 0, parts), graph.joined([-1, 1, height, width])])
    inner = graph.cut(maps, (2, 3), 1, -1)
    found = graph.op("Reshape", [_found(graph, maps, inner, threshold), _whole(graph, 0, -1)])
    rows = graph.op("Concat", [*_places(graph, maps, height, width, reach), inner], axis=1)
    rows = graph.op("Reshape", [rows, _whole(graph, 0, 0, -1)])
    kept = graph.op("Cast", [found], to=7)
    count = graph.op("CumSum", [kept, graph.const(np.array(1))])
    listed = graph.op("And", [found, graph.op("LessOrEqual", [count, graph.const(np.array(most))])])
    place = graph.op("Where", [listed, count, graph.const(np.array(most + 1))])
    place = graph.op("Expand", [graph.op("Unsqueeze", [place, _whole(graph, 1)]), graph.op("Shape", [rows])])
    size = graph.op("Concat", [graph.joined([graph.size(maps, 0)]), _whole(graph, 3, most + 2)], axis=0)
    table = graph.op("ScatterElements", [graph.op("ConstantOfShape", [size]), place, rows], axis=2)
    total = graph.op("Cast", [graph.op("ReduceSum", [kept, _whole(graph, 1)], keepdims=1)], to=1)
    head = graph.op("Unsqueeze", [graph.op("Mul", [total, graph.const(np.array([[1, 0, 0]], "f4"))]), _whole(graph, 2)])
    table = graph.op("Concat", [head, graph.cut(table, 2, 1, -1)], axis=2)
    table = graph.op("Transpose", [table], perm=[0, 2, 1])
    return str(graph.op("Reshape", [table, _whole(graph, -1, parts, most + 1, 3)]))


def _found(graph: Any, maps: str, inner: str, threshold: float) -> str:
    """Which pixels within the border are above the threshold and all their neighbours."""
    steps = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = [graph.cut(maps, (2, 3), (i, j), (i - 2 or None, j - 2 or None)) for i, j in steps]
    high = graph.op("Greater", [inner, graph.const(np.array(threshold, "f4"))])
    return str(graph.op("And", [high, graph.op("Greater", [inner, graph.op("Max", around)])]))


def _places(graph: Any, maps: str, height: Any, width: Any, reach: int) -> list[str]:
    """x and y of the mean place around every pixel within the border, weighed by what is above 0."""
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    ones = np.ones((len(steps), len(steps)), np.float32)
    kernels = graph.const(np.stack([ones, ones * steps, ones * steps[:, None]])[:, None])
    sums = graph.op("Conv", [graph.op("Relu", [maps]), kernels], pads=[reach] * 4)
    sums = graph.cut(sums, (2, 3), 1, -1)
    total, *moves = (graph.cut(sums, 1, i, i + 1) for i in range(3))
    none = graph.op("Equal", [total, graph.const(np.zeros((), "f4"))])
    total = graph.op("Where", [none, graph.const(np.ones((), "f4")), total])
    columns, rows = (graph.op("Cast", [graph.numbers(1, size - 1)], to=1) for size in (width, height))
    pixels = columns, graph.op("Unsqueeze", [rows, _whole(graph, 1)])
    means = [graph.op("Div", [move, total]) for move in moves]
    return [graph.op("Add", [mean, at]) for mean, at in zip(means, pixels, strict=True)]


def _whole(graph: Any, *numbers: int) -> str:
    return str(graph.const(np.array(numbers, np.int64)))
