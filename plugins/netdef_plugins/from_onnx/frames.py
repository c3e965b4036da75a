"""Images made larger or smaller: resized, padded, cut."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import combined
from netdef_plugins.from_onnx.forms import crop, linear


def resize(node: Any) -> str:
    """Every pixel k times is a Deconvolution of ones, which takes any size; all else, axis by axis, a matrix."""
    x = node.inputs[0]
    shape, new = node.shape(x), _resized(node)
    mixed = {axis: _matrix(node, a, b, axis) for axis, (a, b) in enumerate(zip(shape, new, strict=True)) if a != b}
    times = [b // a for a, b in zip(shape, new, strict=True)]
    repeats = all(_repeats(matrix, times[axis]) for axis, matrix in mixed.items())
    if repeats and mixed and len(shape) == 4 and min(mixed) > 1:
        options: dict[str, Any] = {"num_output": shape[1], "group": shape[1], "bias_term": False}
        options |= {"kernel_h": times[2], "kernel_w": times[3], "stride_h": times[2], "stride_w": times[3]}
        return str(node.layer("Deconvolution", x, [np.ones((shape[1], 1, *times[2:]))], convolution_param=options))
    for axis, matrix in mixed.items():
        x = linear(node, x, axis, matrix)
    return str(x)


def _repeats(matrix: np.ndarray, times: int) -> bool:
    return len(matrix) == times * matrix.shape[1] and np.array_equal(matrix, np.eye(matrix.shape[1]).repeat(times, 0))


def _resized(node: Any) -> tuple[int, ...]:
    shape = node.shape(node.inputs[0])
    if "keep_aspect_ratio_policy" in node.attributes and node.attributes["keep_aspect_ratio_policy"] != b"stretch":
        raise ExportError("keep_aspect_ratio_policy; want the sizes or scales themselves")
    given = node.weight(3 if node.has(3) else 2)
    sizes = list(shape)
    for axis, value in zip(node.attributes.get("axes", range(len(shape))), given, strict=True):
        sizes[axis] = int(value) if node.has(3) else int(np.floor(shape[axis] * np.float64(value)))
    return tuple(sizes)


def _matrix(node: Any, old: int, new: int, axis: int) -> np.ndarray:
    """What the operation does along one axis, found by resizing the unit vectors."""
    left = ("axes", "keep_aspect_ratio_policy", "" if node.attributes.get("antialias") else "antialias")
    taken = {k: v for k, v in node.attributes.items() if k not in left}
    feed: dict[str, Any] = {"x": np.eye(old, dtype=np.float32)}
    if node.has(3):
        feed["sizes"] = np.array([old, new], np.int64)
    else:
        axes = list(node.attributes.get("axes", range(len(node.shape(node.inputs[0])))))
        feed["scales"] = np.array([1, node.weight(2)[axes.index(axis)]], np.float32)
    inputs = ["x", "", "", "sizes"] if node.has(3) else ["x", "", "scales"]
    return np.asarray(_run("Resize", inputs, taken, feed)).T


def _run(operator: str, inputs: list[str], attributes: dict[str, Any], feed: dict[str, Any]) -> Any:
    from onnx import TensorProto, helper  # when it is needed: this module is loaded with every net
    from onnx.reference import ReferenceEvaluator

    kinds = {name: helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in feed.items()}
    infos = [helper.make_tensor_value_info(name, kinds[name], x.shape) for name, x in feed.items()]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_node(operator, inputs, ["y"], **attributes)
    graph = helper.make_graph([made], "one", infos, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return ReferenceEvaluator(model).run(None, feed)[0]


def pad(node: Any) -> str | None:
    """Zeros around an image, which the operation that follows takes over; mirrored or repeated, a matrix."""
    x, pads, value = node.inputs[0], node.argument("pads", 1).astype(int).tolist(), node.argument("value", 2)
    mode, n = node.attributes.get("mode", b"constant"), len(node.shape(x))
    if node.has(3):
        axes, given = [int(a) % n for a in node.weight(3)], pads
        pads = [0] * 2 * n
        for i, a in enumerate(axes):
            pads[a], pads[n + a] = given[i], given[len(axes) + i]
    begin, end = pads[:n], pads[n:]
    value = 0.0 if value is None or mode != b"constant" else float(value)

    def build() -> str:
        return framed(node, x, begin, end, value, mode.decode())

    if mode != b"constant" or value or n < 3 or any(begin[:2]) or any(end[:2]) or min(pads) < 0:
        return build()
    node.postpone(begin[2:], end[2:], build)
    return None


def _frame(shape: Sequence[int], begin: Sequence[int], end: Sequence[int], value: float) -> np.ndarray:
    """0 where there was something before padding, the value around it."""
    sides = list(zip(begin, end, strict=True))
    inner = np.zeros([size + min(0, a) + min(0, b) for size, (a, b) in zip(shape, sides, strict=True)], np.float32)
    return np.pad(inner, [(max(0, a), max(0, b)) for a, b in sides], constant_values=value)


def framed(
    node: Any, x: str, begin: Sequence[int], end: Sequence[int], value: float = 0.0, mode: str = "constant"
) -> str:
    """x with so much more along each axis, or less where that is below 0."""
    y = x
    for axis, (a, b) in enumerate(zip(begin, end, strict=True)):
        y = crop(node, y, axis, max(0, -a), node.shape(y)[axis] + min(0, b))
        a, b = max(0, a), max(0, b)
        y = linear(node, y, axis, _padding(node.shape(y)[axis], a, b, mode)) if a or b else y
    if not value:
        return y
    return combined(node, y, node.made_constant(_frame(node.shape(x), begin, end, value)), multiply=False)


def _padding(size: int, before: int, behind: int, mode: str) -> np.ndarray:
    """The matrix that pads: rows are outputs."""
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise ExportError(f"mode '{mode}'; want constant, reflect, edge or wrap")
    how: Any = mode
    return np.pad(np.eye(size), ((before, behind), (0, 0)), mode=how)


IMPORTERS = {"Resize": resize, "Upsample": resize, "Pad": pad}
