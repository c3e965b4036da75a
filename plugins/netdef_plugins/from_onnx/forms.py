"""What many operators need: values reshaped, cut, transposed, widened and mixed along an axis by layers of Caffe."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef.layer import Shape

CUT_OFF = ("cut off",)
"""How a value is seen as whole numbers: for readers that take places, which layers make whole themselves."""
MANY = 1 << 24
"""Numbers of a value that the model itself does not have."""
PIECES = 256
"""Slices of one value: beyond, a matrix picks."""


def power(node: Any, x: str, scale: float = 1.0, shift: float = 0.0, exponent: float = 1.0) -> str:
    """(shift + scale x) ^ exponent; x itself where that is all."""
    options = {"scale": scale, "shift": shift, "power": exponent}
    plain = {"scale": 1.0, "shift": 0.0, "power": 1.0}
    own = {k: float(v) for k, v in options.items() if v != plain[k]}
    return str(node.layer("Power", x, power_param=own)) if own else x


def reshaped(node: Any, x: str, shape: Sequence[int]) -> str:
    """By Flatten where that is all, else by a Reshape that holds as few sizes as it can."""
    old, new = node.shape(x), tuple(shape)
    if old == new:
        return x
    for axis in range(min(len(new), len(old))):
        end = axis + len(old) - len(new)
        if end > axis and (*old[:axis], math.prod(old[axis : end + 1]), *old[end + 1 :]) == new:
            flat = {"axis": axis, "end_axis": end} if (axis, end) != (1, len(old) - 1) else {}
            return str(node.layer("Flatten", x, flatten_param=flat))
    kept = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    dims = [0] * kept + list(new[kept:])
    if kept < len(new) and 0 not in old:
        dims[max(range(kept, len(new)), key=lambda i: new[i])] = -1
    return str(node.layer("Reshape", x, reshape_param={"shape": {"dim": dims}}))


def linear(node: Any, x: str, axis: int, matrix: np.ndarray) -> str:
    """The matrix (new size, size) times x along an axis: an InnerProduct along the last, else a 1 x 1 Convolution."""
    shape = node.shape(x)
    n, outer, inner = len(matrix), math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if axis == len(shape) - 1 and axis:
        options = {"num_output": n, "bias_term": False} | ({"axis": axis} if axis > 1 else {})
        return str(node.layer("InnerProduct", x, [matrix], inner_product_param=options))
    whole = len(shape) == 4 and axis == 1
    flat = x if whole else reshaped(node, x, (outer, shape[axis], inner, 1))
    options = {"num_output": n, "bias_term": False, "kernel_size": [1]}
    y = node.layer("Convolution", flat, [matrix[:, :, None, None]], convolution_param=options)
    return str(y) if whole else reshaped(node, y, (*shape[:axis], n, *shape[axis + 1 :]))


def parts(node: Any, x: str, axis: int, cuts: Sequence[int]) -> list[str]:
    """x cut at these places along an axis."""
    found = node.layer("Slice", x, tops=len(cuts) + 1, slice_param={"axis": axis, "slice_point": list(cuts)})
    return [found] if isinstance(found, str) else list(found)


def crop(node: Any, x: str, axis: int, first: int, end: int) -> str:
    """x[..., first:end, ...] along an axis."""
    size = node.shape(x)[axis]
    if not 0 <= first < end <= size:
        raise ExportError(f"nothing is left of {size} along axis {axis} between {first} and {end}")
    cuts = [c for c in (first, end) if 0 < c < size]
    if not cuts:
        return x
    found = parts(node, x, axis, cuts)
    kept = found.pop(1 if first else 0)
    node.layer("Silence", found, tops=0)
    return kept


def picked(node: Any, x: str, axis: int, places: Sequence[int]) -> str:
    """x at these places along an axis: cut out and joined, every n-th by a Pooling of one pixel."""
    shape, steps = node.shape(x), {b - a for a, b in pairwise(places)}
    if len(places) == 1 or steps == {1}:
        return crop(node, x, axis, places[0], places[-1] + 1)
    if len(steps) == 1 and min(steps) > 1 and len(shape) == 4 and axis > 1:
        x = crop(node, x, axis, places[0], places[-1] + 1)
        stride = {"stride_h": min(steps), "stride_w": 1} if axis == 2 else {"stride_h": 1, "stride_w": min(steps)}
        return str(node.layer("Pooling", x, pooling_param={"kernel_size": 1} | stride))
    cuts = sorted({c for p in places for c in (p, p + 1)} - {0, shape[axis]})
    if len(cuts) >= PIECES:
        return linear(node, x, axis, np.eye(shape[axis])[list(places)])
    pieces, starts = parts(node, x, axis, cuts), [0, *cuts]
    wanted = [starts.index(p) for p in places]
    if unread := [piece for i, piece in enumerate(pieces) if i not in wanted]:
        node.layer("Silence", unread, tops=0)
    return str(node.layer("Concat", [pieces[i] for i in wanted], concat_param={"axis": axis}))


def transposed(node: Any, x: str, order: Sequence[int]) -> str:
    """A Reshape where only axes of one element move, else a Permute. Raises ExportError where none is there."""
    shape = node.shape(x)
    if sorted(order) != list(range(len(shape))):
        raise ExportError(f"axes {list(order)} of a value of shape {shape}")
    if list(order) == sorted(order):
        return x
    moved = [axis for axis in order if shape[axis] != 1]
    if moved == sorted(moved):
        return reshaped(node, x, [shape[axis] for axis in order])
    if not node.knows("Permute"):
        raise ExportError(f"axes {list(order)}: want the layer Permute, which netdef-ssd brings")
    return str(node.layer("Permute", x, permute_param={"order": list(order)}))


def widened(node: Any, x: str, shape: Sequence[int]) -> str:
    """x broadcast to a shape: Tile along every axis of one element."""
    old = node.shape(x)
    x = reshaped(node, x, (1,) * (len(shape) - len(old)) + old)
    for axis, (a, b) in enumerate(zip(node.shape(x), shape, strict=True)):
        if a != b:
            x = node.layer("Tile", x, tile_param={"axis": axis, "tiles": b})
    return x


def places(node: Any, value: str) -> str | None:
    """The blob that a value of places is made of; None where it is not whole numbers."""
    return value if node.is_whole(value) else node.seen(value, *CUT_OFF)


def along(small: Sequence[int], whole: Sequence[int]) -> tuple[int, int] | None:
    """Axes (first, end) of `whole` that a shape has, the rest being 1; None where there is no such run."""
    own = [axis for axis, size in enumerate(small) if size != 1]
    first, end = (own[0], own[-1] + 1) if own else (0, 1)
    return (first, end) if tuple(small[first:end]) == tuple(whole[first:end]) else None


def aligned(shape: Shape, axes: int) -> Shape:
    return (1,) * (axes - len(shape)) + tuple(shape)
