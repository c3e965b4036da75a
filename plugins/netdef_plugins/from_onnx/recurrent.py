"""LSTM and RNN: as ONNX has them, and as a Scan whose step is one, which is how a recurrent layer is exported."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import SUM, eltwise
from netdef_plugins.from_onnx.forms import crop, picked, reshaped

UNIT = ["Reshape", *["Gather"] * 4, *["Sigmoid"] * 3, "Mul", "Mul", "Tanh", "Mul", "Add", "Tanh", "Mul"]


@dataclass
class Kind:
    """What sets LSTM and RNN apart."""

    type: str
    gates: int
    states: int
    activations: list[bytes]
    step: list[str]
    """The operations of a Scan that is one."""


LSTM = Kind("LSTM", 4, 2, [b"Sigmoid", b"Tanh", b"Tanh"], ["Mul", "Gemm", *UNIT])
RNN = Kind("RNN", 1, 1, [b"Tanh"], ["Mul", "Gemm", "Tanh"])


def layer(node: Any, kind: Kind, x: str, cont: str, blobs: list[Any], begin: list[str], last: bool) -> list[str]:
    """h of all steps (T, N, D), and the states (1, N, D) after the last one, if they are asked for or begin as said."""
    d = blobs[2].shape[1]
    blobs = [*blobs, np.eye(d, dtype=np.float32), np.zeros(d, np.float32)] if kind is RNN else blobs
    options: dict[str, Any] = {"num_output": d}
    if not begin and not last:
        return [_shown(node, kind, node.layer(kind.type, [x, cont], blobs, recurrent_param=options))]
    shape = (1, node.shape(x)[1], d)
    begin = begin or [node.made_constant(np.zeros(shape, np.float32)) for _ in range(kind.states)]
    bottoms = [x, cont, *(_state(node, s, shape) for s in begin)]
    options |= {"expose_hidden": True}
    y, *states = node.layer(kind.type, bottoms, blobs, tops=1 + kind.states, recurrent_param=options)
    if not last:
        node.layer("Silence", states, tops=0)
    return [_shown(node, kind, y), *states]


def _shown(node: Any, kind: Kind, y: str) -> str:
    """h, where an RNN of Caffe, whose matrix is 1 here, gives tanh h: (log(1 + y) - log(1 - y)) / 2."""
    if kind is not RNN:
        return y
    logs = [node.layer("Log", y, log_param={"shift": 1.0, "scale": sign}) for sign in (1.0, -1.0)]
    return eltwise(node, logs, SUM, [0.5, -0.5])


def _state(node: Any, s: str, shape: tuple[int, ...]) -> str:
    return node.made_constant(node.constant(s).reshape(shape)) if node.is_constant(s) else reshaped(node, s, shape)


def recurrent(node: Any) -> list[str]:
    """One layer for each direction; backwards, of the steps in reverse."""
    a, kind, read = node.attributes, LSTM if node.op == "LSTM" else RNN, [node.is_read(t) for t in range(3)]
    _check(node, kind)
    ways = {b"forward": (0,), b"reverse": (1,)}.get(a.get("direction", b"forward"), (0, 1))
    found = [_one_way(node, kind, i, bool(backwards), read) for i, backwards in enumerate(ways)]
    return [_both(node, values, axis) for values, axis in zip(zip(*found, strict=True), (1, 0, 0), strict=False)]


def _one_way(node: Any, kind: Kind, i: int, backwards: bool, read: list[bool]) -> list[str]:
    """What is read of h of all steps and of the states after the last one."""
    x, (w, hidden) = node.inputs[0], (node.weight(k)[i] for k in (1, 2))
    (steps, n), d = node.shape(x)[:2], hidden.shape[1]
    b = node.weight(3)[i].reshape(2, -1).sum(axis=0) if node.has(3) else np.zeros(len(w), np.float32)
    blobs = [_gates(part, d) if kind is LSTM else part for part in (w, b, hidden)]
    begin = _begin(node, kind, i)
    cont = np.ones((steps, n), np.float32)
    cont[0] = bool(begin)
    xs = picked(node, x, 0, range(steps - 1, -1, -1)) if backwards else x
    y, *states = layer(node, kind, xs, node.made_constant(cont), blobs, begin, any(read[1:]))
    h = states[0] if states else crop(node, y, 0, steps - 1, steps) if read[1] else ""
    y = picked(node, y, 0, range(steps - 1, -1, -1)) if backwards and read[0] else y
    return [reshaped(node, y, (steps, 1, n, d)) if read[0] else "", h, *(states[1:] if read[2] else [""])]


def _both(node: Any, values: tuple[str, ...], axis: int) -> str:
    if not values[0]:
        return str(node.inputs[0])  # nobody reads it
    return values[0] if len(values) == 1 else str(node.layer("Concat", list(values), concat_param={"axis": axis}))


def _check(node: Any, kind: Kind) -> None:
    """Raises ExportError for what a recurrent layer of Caffe does not have."""
    a, steps = node.attributes, node.shape(node.inputs[0])[0]
    odd = [name for name in ("clip", "input_forget", "layout") if a.get(name)]
    odd += ["activations"] if a.get("activations", []) not in ([], kind.activations, kind.activations * 2) else []
    odd += ["sequence_lens"] if node.has(4) and np.any(node.weight(4) != steps) else []
    odd += ["P"] if node.has(7) and np.any(node.weight(7)) else []
    if odd:
        raise ExportError(f"{', '.join(odd)}, which no {kind.type} of Caffe has")


def _gates(rows: np.ndarray, d: int) -> np.ndarray:
    """From ONNX's order, i o f c, to Caffe's: i f o c."""
    return rows.reshape(4, d, *rows.shape[1:])[[0, 2, 1, 3]].reshape(rows.shape)


def _begin(node: Any, kind: Kind, i: int) -> list[str]:
    """h, and c, of a direction before the first step; none where they are zeros, or left out."""
    given = [node.inputs[j] if node.has(j) else "" for j in range(5, 5 + kind.states)]
    if all(not s or (node.is_constant(s) and not np.any(node.constant(s))) for s in given):
        return []
    if not all(given):
        raise ExportError("one of h and c at the beginning; want both or neither")
    return [
        node.made_constant(node.constant(s)[i : i + 1]) if node.is_constant(s) else crop(node, s, 0, i, i + 1)
        for s in given
    ]


def scan(node: Any) -> list[str]:
    """A Scan whose step is that of an exported layer; the comparison at the end proves that it is."""
    a, step = node.attributes, node.attributes["body"].node
    operations = [n.op_type for n in step if n.op_type != "Identity"]
    kind = next((kind for kind in (LSTM, RNN) if kind.step == operations), None)
    if not kind or a["num_scan_inputs"] != 2 or len(node.inputs) != kind.states + 2:
        raise ExportError("steps of another kind than an LSTM's or RNN's, of which no layer of Caffe is made")
    *begin, rows, cont = node.inputs
    w = node.constant(step[1].input[1])
    steps, n, width = node.shape(rows)
    blobs = [np.eye(width, dtype=np.float32), np.zeros(width, np.float32), w]
    last = any(node.is_read(t) for t in range(kind.states))
    y, *states = layer(node, kind, rows, reshaped(node, cont, (steps, n)), blobs, begin, last)
    return [*(reshaped(node, s, (n, w.shape[1])) for s in states or [y] * kind.states), y]


IMPORTERS = {"LSTM": recurrent, "RNN": recurrent, "Scan": scan}
