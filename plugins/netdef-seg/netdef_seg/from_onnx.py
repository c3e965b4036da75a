"""What `netdef import` makes of ONNX operations that put numbers at places among zeros: an Upsample with a mask."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError


def scattered(node: Any, x: str, places: str, planes: tuple[int, int], size: int) -> str:
    """The planes (n, c, 1, size) of zeros, but x at the places within its plane."""
    shape = {"shape": {"dim": [*planes, 1, -1]}}
    both = [node.layer("Reshape", value, reshape_param=shape) for value in (x, places)]
    return str(node.layer("Upsample", both, upsample_param={"upsample_h": 1, "upsample_w": size}))


def _zeros(node: Any) -> tuple[int, ...]:
    """The shape of what is written into. Raises ExportError unless it is zeros."""
    if np.any(node.weight(0)) or node.attributes.get("reduction", b"none") != b"none":
        raise ExportError("into something else than zeros, or added to it; an Upsample puts numbers among zeros")
    return tuple(node.shape(node.inputs[0]))


def scatter_elements(node: Any) -> str:
    """Along the last axis, where places, numbers and zeros are alike in all other axes."""
    shape, (places, x) = _zeros(node), node.inputs[1:3]
    given, axis = node.shape(places), node.attributes.get("axis", 0) % len(shape)
    if axis != len(shape) - 1 or given[:-1] != shape[:-1]:
        raise ExportError(f"places of shape {given} along axis {axis} of {shape}; want the last, the others alike")
    y = scattered(node, x, places, (math.prod(shape[:-1]), 1), shape[-1])
    return str(node.layer("Reshape", y, reshape_param={"shape": {"dim": list(shape)}}))


def scatter_nd(node: Any) -> str:
    """Single numbers at places of a line."""
    shape, (places, x) = _zeros(node), node.inputs[1:3]
    if len(shape) != 1 or node.shape(places)[-1] != 1:
        raise ExportError(f"places of shape {node.shape(places)} in zeros of shape {shape}; want places in a line")
    y = scattered(node, x, places, (1, 1), shape[0])
    return str(node.layer("Reshape", y, reshape_param={"shape": {"dim": [-1]}}))


def max_unpool(node: Any) -> str:
    """By the mask of the pooling itself, in its planes."""
    x, places, shape = *node.inputs[:2], node.shape(node.inputs[0])
    size = _unpooled(node, shape)
    mask = node.seen(places, "in planes", math.prod(size))
    if mask is None or len(size) != 2:
        raise ExportError("indices that are not a MaxPool's of images as large as the output")
    return str(node.layer("Upsample", [x, mask], upsample_param={"upsample_h": size[0], "upsample_w": size[1]}))


def _unpooled(node: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if node.has(2):
        return tuple(int(n) for n in node.weight(2)[2:])
    a, axes = node.attributes, len(shape) - 2
    stride, pads = a.get("strides", [1] * axes), a.get("pads", [0] * 2 * axes)
    sizes = zip(shape[2:], stride, a["kernel_shape"], pads[:axes], pads[axes:], strict=True)
    return tuple((n - 1) * s + k - p - q for n, s, k, p, q in sizes)


IMPORTERS = {"ScatterElements": scatter_elements, "ScatterND": scatter_nd, "MaxUnpool": max_unpool}
