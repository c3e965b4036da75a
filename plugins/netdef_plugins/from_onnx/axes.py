"""Operators that move numbers: reshaped, transposed, joined, cut, repeated, resized, padded."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import linear, parts, picked, reshaped, transposed, widened


def reshape(node: Any) -> str:
    x = node.inputs[0]
    old, dims = node.shape(x), [int(d) for d in node.argument("shape", 1)]
    if not node.attributes.get("allowzero", 0):
        dims = [old[i] if d == 0 else d for i, d in enumerate(dims)]
    if -1 in dims:
        dims[dims.index(-1)] = math.prod(old) // max(1, -math.prod(dims))
    return reshaped(node, x, dims)


def flatten(node: Any) -> str:
    x, axis = node.inputs[0], node.attributes.get("axis", 1)
    shape = node.shape(x)
    return reshaped(node, x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def squeeze(node: Any) -> str:
    x, axes = node.inputs[0], node.argument("axes", 1)
    shape = node.shape(x)
    gone = [a for a, d in enumerate(shape) if d == 1] if axes is None else [int(a) % len(shape) for a in axes.flat]
    return reshaped(node, x, [d for a, d in enumerate(shape) if a not in gone])


def unsqueeze(node: Any) -> str:
    x, axes = node.inputs[0], node.argument("axes", 1)
    rank = len(node.shape(x)) + axes.size
    new, sizes = {int(a) % rank for a in axes.flat}, iter(node.shape(x))
    return reshaped(node, x, [1 if a in new else next(sizes) for a in range(rank)])


def transpose(node: Any) -> str:
    x = node.inputs[0]
    return transposed(node, x, node.attributes.get("perm", list(range(len(node.shape(x))))[::-1]))


def concat(node: Any) -> str:
    axis = node.attributes["axis"] % len(node.shape(node.inputs[0]))
    return str(node.layer("Concat", node.inputs, concat_param={"axis": axis} if axis != 1 else {}))


def split(node: Any) -> list[str]:
    x, sizes = node.inputs[0], node.argument("split", 1)
    axis = node.attributes.get("axis", 0) % len(node.shape(x))
    size, n = node.shape(x)[axis], len(node.node.output)
    if sizes is None:
        each = -(-size // n)
        sizes = np.array([each] * (n - 1) + [size - each * (n - 1)])
    found = parts(node, x, axis, np.cumsum(sizes)[:-1].tolist())
    if unread := [value for t, value in enumerate(found) if not node.is_read(t)]:
        node.layer("Silence", unread, tops=0)
    return found


def cut(node: Any) -> str:
    """Slice, along each axis in turn"""
    x = node.inputs[0]
    shape = node.shape(x)
    starts, ends = (node.argument(name, i).tolist() for i, name in ((1, "starts"), (2, "ends")))
    axes, steps = node.argument("axes", 3), node.argument("steps", 4)
    axes = list(range(len(starts))) if axes is None else [axis % len(shape) for axis in axes.tolist()]
    steps = [1] * len(starts) if steps is None else steps.tolist()
    given = zip(axes, starts, ends, steps, strict=True)
    places = {axis: range(shape[axis])[first:end:step] for axis, first, end, step in given}
    for axis, found in places.items():
        if not found:
            raise ExportError(f"nothing is left of axis {axis}")

    def build() -> str:
        y = x
        for axis, found in places.items():
            y = picked(node, y, axis, list(found))
        return str(y)

    if steps == [-1] and len(places[axes[0]]) == shape[axes[0]]:
        return str(node.see(x, build, "reversed", axes[0]))
    return build()


def gather(node: Any) -> str:
    """Of constant places along an axis, where a number alone takes the axis away; of rows of a table an Embed."""
    if node.is_constant(node.inputs[0]) and not node.is_constant(node.inputs[1]):
        return _embedded(node)
    x, places = node.inputs[0], node.weight(1)
    shape = node.shape(x)
    axis = node.attributes.get("axis", 0) % len(shape)
    y = picked(node, x, axis, (places.reshape(-1) % shape[axis]).tolist())
    return reshaped(node, y, (*shape[:axis], *places.shape, *shape[axis + 1 :]))


def _embedded(node: Any) -> str:
    table, axis = node.constant(node.inputs[0]), node.attributes.get("axis", 0)
    if table.ndim != 2 or axis:
        raise ExportError(f"computed places along axis {axis} of {table.ndim}; want rows of a table")
    options = {"input_dim": len(table), "num_output": table.shape[1], "bias_term": False}
    return str(node.layer("Embed", node.inputs[1], [table], embed_param=options))


def cumulative(node: Any) -> str:
    """Sums of all numbers so far, by a triangle"""
    x, a = node.inputs[0], node.attributes
    axis = int(node.weight(1).flat[0]) % len(node.shape(x))
    n, itself = node.shape(x)[axis], not a.get("exclusive", 0)
    triangle = np.tri(n, k=0 if itself else -1)
    return linear(node, x, axis, triangle.T if a.get("reverse", 0) else triangle)


def tile(node: Any) -> str:
    x = node.inputs[0]
    for axis, n in enumerate(node.weight(1).tolist()):
        x = node.layer("Tile", x, tile_param={"axis": axis, "tiles": n}) if n != 1 else x
    return str(x)


def expand(node: Any) -> str:
    shape = np.broadcast_shapes(node.shape(node.inputs[0]), tuple(node.weight(1).tolist()))
    return widened(node, node.inputs[0], shape)


def depth_to_space(node: Any) -> str:
    x, b = node.inputs[0], node.attributes["blocksize"]
    n, c, h, w = node.shape(x)
    if node.attributes.get("mode", b"DCR") == b"DCR":
        y = transposed(node, reshaped(node, x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = transposed(node, reshaped(node, x, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return reshaped(node, y, (n, c // (b * b), h * b, w * b))


def space_to_depth(node: Any) -> str:
    x, b = node.inputs[0], node.attributes["blocksize"]
    n, c, h, w = node.shape(x)
    y = transposed(node, reshaped(node, x, (n, c, h // b, b, w // b, b)), (0, 3, 5, 1, 2, 4))
    return reshaped(node, y, (n, c * b * b, h // b, w // b))


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
    if mode == b"constant" and value is not None and np.any(value) and any(pads):
        raise ExportError(f"padding with {float(value):g}; layers of Caffe pad with zeros")

    def build() -> str:
        y = x
        for axis, (a, b) in enumerate(zip(begin, end, strict=True)):
            y = linear(node, y, axis, _padding(node.shape(x)[axis], a, b, mode.decode())) if a or b else y
        return str(y)

    if mode != b"constant" or n < 3 or any(begin[:2]) or any(end[:2]) or min(pads) < 0:
        return build()
    node.postpone(begin[2:], end[2:], build)
    return None


def _padding(size: int, before: int, behind: int, mode: str) -> np.ndarray:
    """The matrix that pads: rows are outputs."""
    if min(before, behind) < 0:
        raise ExportError("padding below zero; want a Slice")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise ExportError(f"mode '{mode}'; want constant, reflect, edge or wrap")
    how: Any = mode
    return np.pad(np.eye(size), ((before, behind), (0, 0)), mode=how)


IMPORTERS = {"Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose}
IMPORTERS |= {"Concat": concat, "Split": split, "Slice": cut, "Gather": gather, "Tile": tile, "Expand": expand}
IMPORTERS |= {"DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth, "Resize": resize, "Upsample": resize}
IMPORTERS |= {"Pad": pad, "CumSum": cumulative}
