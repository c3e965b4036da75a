"""Operators that move numbers: reshaped, transposed, joined, cut, repeated."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import linear, parts, picked, places, reshaped, transposed, widened


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
    kept = {axis: range(shape[axis])[first:end:step] for axis, first, end, step in given}
    for axis, found in kept.items():
        if not found:
            raise ExportError(f"nothing is left of axis {axis}")

    def build() -> str:
        y = x
        for axis, found in kept.items():
            y = picked(node, y, axis, list(found))
        return str(y)

    if steps == [-1] and len(kept[axes[0]]) == shape[axes[0]]:
        return str(node.see(x, build, "reversed", axes[0]))
    return build()


def gather(node: Any) -> str:
    """Of constant places along an axis, where a number alone takes the axis away; of others rows: see `_rows`."""
    x, axis = node.inputs[0], node.attributes.get("axis", 0)
    if not node.is_constant(node.inputs[1]):
        return _rows(node, x, places(node, node.inputs[1]) or node.inputs[1], axis)
    at, shape = node.weight(1), node.shape(x)
    axis %= len(shape)
    y = picked(node, x, axis, (at.reshape(-1) % shape[axis]).tolist())
    return reshaped(node, y, (*shape[:axis], *at.shape, *shape[axis + 1 :]))


def gather_nd(node: Any) -> str:
    """Of constant places along the first axes, as along one"""
    x, at = node.inputs[0], node.weight(1)
    if node.attributes.get("batch_dims", 0):
        raise ExportError("places of their own for every value of a batch; want places alike")
    first, rest = np.split(node.shape(x), [at.shape[-1]])
    flat = np.ravel_multi_index(tuple(np.moveaxis(at % first, -1, 0)), tuple(first)).reshape(-1)
    y = picked(node, reshaped(node, x, (math.prod(first), *rest)), 0, flat.tolist())
    return reshaped(node, y, (*at.shape[:-1], *rest))


def _rows(node: Any, x: str, at: str, axis: int) -> str:
    """Computed places: in a table an Embed, in a value along its first axis a BatchReindex."""
    shape = node.shape(x)
    if axis or len(shape) != 2 or not node.is_constant(x):
        if axis or len(node.shape(at)) != 1:
            raise ExportError(f"computed places along axis {axis} of {len(shape)}; want rows of a table, or a batch's")
        return str(node.layer("BatchReindex", [x, at]))
    options = {"input_dim": shape[0], "num_output": shape[1], "bias_term": False}
    return str(node.layer("Embed", at, [node.constant(x)], embed_param=options))


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


IMPORTERS = {"Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose}
IMPORTERS |= {
    "Concat": concat,
    "Split": split,
    "Slice": cut,
    "Gather": gather,
    "GatherND": gather_nd,
    "Tile": tile,
    "Expand": expand,
}
IMPORTERS |= {"DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth, "CumSum": cumulative}
