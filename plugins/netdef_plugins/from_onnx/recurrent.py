"""LSTM: as ONNX has it, and as a Scan whose step is one, which is how a recurrent layer is exported."""

from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import crop, picked, reshaped

STEP = ["Mul", "Gemm", "Reshape", *["Gather"] * 4, *["Sigmoid"] * 3, "Mul", "Mul", "Tanh", "Mul", "Add", "Tanh", "Mul"]
ACTIVATIONS = ([], [b"Sigmoid", b"Tanh", b"Tanh"], [b"Sigmoid", b"Tanh", b"Tanh"] * 2)


def layer(node: Any, x: str, cont: str, blobs: list[Any], begin: list[str], last: bool) -> list[str]:
    """h of all steps (T, N, D), and h and c (1, N, D) after the last one, if they are asked for or begin as said."""
    options: dict[str, Any] = {"num_output": blobs[-1].shape[1]}
    if not begin and not last:
        return [str(node.layer("LSTM", [x, cont], blobs, recurrent_param=options))]
    shape = (1, node.shape(x)[1], blobs[-1].shape[1])
    begin = begin or [node.made_constant(np.zeros(shape, np.float32)) for _ in range(2)]
    bottoms = [x, cont, *(_state(node, s, shape) for s in begin)]
    y, *states = node.layer("LSTM", bottoms, blobs, tops=3, recurrent_param=options | {"expose_hidden": True})
    if not last:
        node.layer("Silence", states, tops=0)
    return [y, *states]


def _state(node: Any, s: str, shape: tuple[int, ...]) -> str:
    return node.made_constant(node.constant(s).reshape(shape)) if node.is_constant(s) else reshaped(node, s, shape)


def lstm(node: Any) -> list[str]:
    """One LSTM layer for each direction; backwards, of the steps in reverse."""
    a, x = node.attributes, node.inputs[0]
    steps, n = _plain(node)
    weights = [node.weight(i) for i in (1, 2)]
    d, bias = weights[1].shape[2], node.weight(3) if node.has(3) else None
    read = [node.is_read(t) for t in range(3)]
    found = []
    for i, backwards in enumerate({b"forward": (0,), b"reverse": (1,)}.get(a.get("direction", b"forward"), (0, 1))):
        b = np.zeros(4 * d, np.float32) if bias is None else bias[i].reshape(2, 4 * d).sum(axis=0)
        blobs = [_gates(part, d) for part in (weights[0][i], b, weights[1][i])]
        begin = _begin(node, i)
        cont = np.ones((steps, n), np.float32)
        cont[0] = bool(begin)
        xs = picked(node, x, 0, range(steps - 1, -1, -1)) if backwards else x
        y, *states = layer(node, xs, node.made_constant(cont), blobs, begin, read[1] or read[2])
        h = states[0] if states else crop(node, y, 0, steps - 1, steps) if read[1] else ""
        y = picked(node, y, 0, range(steps - 1, -1, -1)) if backwards and read[0] else y
        found.append((reshaped(node, y, (steps, 1, n, d)) if read[0] else "", h, states[1] if read[2] else ""))
    return [_both(node, values, axis) for values, axis in zip(zip(*found, strict=True), (1, 0, 0), strict=True)]


def _both(node: Any, values: tuple[str, ...], axis: int) -> str:
    if not values[0]:
        return str(node.inputs[0])  # nobody reads it
    return values[0] if len(values) == 1 else str(node.layer("Concat", list(values), concat_param={"axis": axis}))


def _plain(node: Any) -> tuple[int, int]:
    """(steps, sequences). Raises ExportError for what an LSTM of Caffe does not have."""
    a, (steps, n) = node.attributes, node.shape(node.inputs[0])[:2]
    odd = [name for name in ("clip", "input_forget", "layout") if a.get(name)]
    odd += ["activations"] if a.get("activations", []) not in ACTIVATIONS else []
    odd += ["sequence_lens"] if node.has(4) and np.any(node.weight(4) != steps) else []
    odd += ["P"] if node.has(7) and np.any(node.weight(7)) else []
    if odd:
        raise ExportError(f"{', '.join(odd)}, which no LSTM of Caffe has")
    return steps, n


def _gates(rows: np.ndarray, d: int) -> np.ndarray:
    """From ONNX's order, i o f c, to Caffe's: i f o c."""
    return rows.reshape(4, d, *rows.shape[1:])[[0, 2, 1, 3]].reshape(rows.shape)


def _begin(node: Any, i: int) -> list[str]:
    """h and c of a direction before the first step; none where they are zeros, or left out."""
    given = [node.inputs[j] if node.has(j) else "" for j in (5, 6)]
    if all(not s or (node.is_constant(s) and not np.any(node.constant(s))) for s in given):
        return []
    if not all(given):
        raise ExportError("one of h and c at the beginning; want both or neither")
    return [
        node.made_constant(node.constant(s)[i : i + 1]) if node.is_constant(s) else crop(node, s, 0, i, i + 1)
        for s in given
    ]


def scan(node: Any) -> list[str]:
    """A Scan whose step is that of an exported LSTM; the comparison at the end proves that it is."""
    a, step = node.attributes, node.attributes["body"].node
    kinds = [n.op_type for n in step if n.op_type != "Identity"]
    if kinds != STEP or a["num_scan_inputs"] != 2 or len(node.inputs) != 4:
        raise ExportError("steps of another kind than an LSTM's, of which no layer of Caffe is made")
    *begin, rows, cont = node.inputs
    w = node.constant(step[1].input[1])
    steps, n, width = node.shape(rows)
    blobs = [np.eye(width, dtype=np.float32), np.zeros(width, np.float32), w]
    last = node.is_read(0) or node.is_read(1)
    y, *states = layer(node, rows, reshaped(node, cont, (steps, n)), blobs, begin, last)
    return [*(reshaped(node, s, (n, width // 4)) for s in states or [y] * 2), y]


IMPORTERS = {"LSTM": lstm, "Scan": scan}
