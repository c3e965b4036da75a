"""PriorBox in ONNX where the sizes of map or image stay open: the same grid, computed from them."""

from typing import Any

import numpy as np


def build(
    graph: Any, sizes: tuple[Any, ...], step: Any, offset: float, places: Any, clip: bool, variance: tuple[float, ...]
) -> str:
    """The value (1, 2, 4 H W K) for sizes (map's height, width, image's height, width), numbers or open ones.

    `places` are (x, y, width, height) of the boxes of each size, as `PriorBox.placed` gives them.
    """
    across, down, wide, high = np.concatenate(places).T
    height, width = sizes[:2]
    y = _edges(graph, height, sizes[2], step and step[0], offset, down, high / 2)
    x = _edges(graph, width, sizes[3], step and step[1], offset, across, wide / 2)
    x = graph.op("Expand", [_column(graph, x, 0), graph.joined([height, 1, 1, 1, 1])])
    y = graph.op("Expand", [_column(graph, y, 1), graph.joined([1, width, 1, 1, 1])])
    boxes = graph.op("Reshape", [graph.op("Concat", [x, y], axis=4), graph.joined([1, 1, -1, 4])])
    if clip:
        boxes = graph.op("Clip", [boxes, graph.const(np.float32(0)), graph.const(np.float32(1))])
    each = graph.const(np.broadcast_to(np.float32(variance), 4))
    both = graph.op("Concat", [boxes, graph.op("Expand", [each, graph.op("Shape", [boxes])])], axis=1)
    return str(graph.op("Reshape", [both, graph.joined([1, 2, -1])]))


def _edges(graph: Any, count: Any, whole: Any, step: Any, offset: float, beside: Any, half: Any) -> str:
    """(count, K, 2): where along an axis the boxes of each pixel begin and end, in parts of the image."""
    count, whole = (_float(graph, size) for size in (count, whole))
    step = graph.op("Div", [whole, count]) if step is None else graph.const(np.float32(step))
    pixels = graph.op("Range", [graph.const(np.float32(0)), graph.op("Squeeze", [count]), graph.const(np.float32(1))])
    centres = graph.op("Mul", [graph.op("Add", [pixels, graph.const(np.float32(offset))]), step])
    centres = graph.op("Unsqueeze", [centres, graph.const(np.array([1, 2]))])
    around = graph.const(np.stack([beside - half, beside + half], axis=1), "boxes")
    return str(graph.op("Div", [graph.op("Add", [centres, around]), whole]))


def _float(graph: Any, size: Any) -> str:
    if isinstance(size, int | float):
        return str(graph.const(np.array([size], np.float32)))
    return str(graph.op("Cast", [graph.joined([size])], to=1))


def _column(graph: Any, edges: str, axis: int) -> str:
    """(n, K, 2) as (1, n, K, 2, 1) or (n, 1, K, 2, 1)."""
    return str(graph.op("Unsqueeze", [edges, graph.const(np.array([axis, 4]))]))
