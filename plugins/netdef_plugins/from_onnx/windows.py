"""Convolutions, and how their windows lie: pads that differ before and behind become pads alike and a cut."""

import math
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import crop, reshaped

Ints = list[int]


def spread(names: tuple[str, str, str], values: Ints, default: int) -> dict[str, Any]:
    """Sizes along axes in Caffe's spellings: once where all are alike, by height and width, or one for each axis."""
    whole, high, wide = names
    if len(set(values)) == 1:
        return {whole: values[:1]} if values[0] != default else {}
    return {high: values[0], wide: values[1]} if len(values) == 2 else {whole: values}


def paddings(node: Any, x: str, kernel: Ints, stride: Ints, dilation: Ints) -> tuple[str, Ints, Ints]:
    """(value without zeros around it, zeros before, zeros behind), those of a Pad and of auto_pad included."""
    plain, (begin, end) = node.unpadded(x)
    auto, axes = node.attributes.get("auto_pad", b"NOTSET"), len(kernel)
    pads = node.attributes.get("pads", [0] * 2 * axes)
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        sizes = [d + a + b for d, a, b in zip(node.shape(plain)[2:], begin, end, strict=True)]
        total = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
        ]
        less, more = [t // 2 for t in total], [-(-t // 2) for t in total]
        pads = [*less, *more] if auto == b"SAME_UPPER" else [*more, *less]
    before = [a + b for a, b in zip(begin, pads[:axes], strict=True)]
    return plain, before, [a + b for a, b in zip(end, pads[axes:], strict=True)]


def alike(begin: Ints, stride: Ints, wanted: Ints, gives: Any) -> tuple[Ints, Ints]:
    """(pads, how many outputs to leave out in front) that give what is wanted where both sides are padded alike.

    `gives(axis, pad)` is the number of outputs.
    """
    pads, before = [], []
    for axis, (p, s, n) in enumerate(zip(begin, stride, wanted, strict=True)):
        more = 0
        while gives(axis, p + more * s) < n + more:
            more += 1
            if more > n:
                raise ExportError(f"{n} outputs along axis {axis + 2} with {p} zeros in front: no layer of Caffe")
        pads.append(p + more * s)
        before.append(more)
    return pads, before


def cut_out(node: Any, y: str, before: Ints, wanted: Ints) -> str:
    for axis, (a, n) in enumerate(zip(before, wanted, strict=True), 2):
        y = crop(node, y, axis, a, a + n)
    return y


def convolution(node: Any) -> str:
    w, b = node.weight(1), node.weight(2) if node.has(2) else None
    a, axes = node.attributes, w.ndim - 2
    kernel, stride = list(w.shape[2:]), a.get("strides", [1] * axes)
    dilation, group = a.get("dilations", [1] * axes), a.get("group", 1)
    x, begin, end = paddings(node, node.inputs[0], kernel, stride, dilation)
    sizes = node.shape(x)[2:]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]

    def gives(axis: int, pad: int, behind: int | None = None) -> int:
        return (sizes[axis] + pad + (pad if behind is None else behind) - reach[axis]) // stride[axis] + 1

    wanted = [gives(i, p, q) for i, (p, q) in enumerate(zip(begin, end, strict=True))]
    pads, before = alike(begin, stride, wanted, gives)
    options = options_of(len(w), group, b is not None, kernel, stride, pads, dilation)
    y = node.layer("Convolution", x, [w] if b is None else [w, b], convolution_param=options)
    return cut_out(node, y, before, wanted)


def options_of(
    n: int, group: int, bias: bool, kernel: Ints, stride: Ints, pads: Ints, dilation: Ints
) -> dict[str, Any]:
    found: dict[str, Any] = {"num_output": n} | ({"group": group} if group != 1 else {})
    found |= {} if bias else {"bias_term": False}
    found |= spread(("kernel_size", "kernel_h", "kernel_w"), kernel, 0)
    found |= spread(("stride", "stride_h", "stride_w"), stride, 1)
    found |= spread(("pad", "pad_h", "pad_w"), pads, 0)
    if any(d != 1 for d in dilation):
        found["dilation"] = dilation if len(set(dilation)) > 1 else dilation[:1]
    return found


def deconvolution(node: Any) -> str:
    """ConvTranspose: where unlike much is cut off before and behind, a Deconvolution of a larger top, and a cut."""
    w, b = node.weight(1), node.weight(2) if node.has(2) else None
    x, a, axes = node.inputs[0], node.attributes, w.ndim - 2
    kernel, stride = list(w.shape[2:]), a.get("strides", [1] * axes)
    dilation, group = a.get("dilations", [1] * axes), a.get("group", 1)
    whole = [
        s * (d - 1) + e * (k - 1) + 1 for d, k, s, e in zip(node.shape(x)[2:], kernel, stride, dilation, strict=True)
    ]
    begin, end = _cut_off(node, whole, stride)
    if min(*begin, *end) < 0:
        raise ExportError(f"more outputs than a Deconvolution of Caffe gives: {whole}, cut by {begin} and {end}")
    pads = [min(p, q) for p, q in zip(begin, end, strict=True)]
    options = options_of(w.shape[1] * group, group, b is not None, kernel, stride, pads, dilation)
    y = node.layer("Deconvolution", x, [w] if b is None else [w, b], convolution_param=options)
    wanted = [n - p - q for n, p, q in zip(whole, begin, end, strict=True)]
    return cut_out(node, y, [p - q for p, q in zip(begin, pads, strict=True)], wanted)


def _cut_off(node: Any, whole: Ints, stride: Ints) -> tuple[Ints, Ints]:
    """How much of the whole transposed convolution is left out before and behind, below 0 where there is more."""
    a, axes = node.attributes, len(whole)
    more = a.get("output_padding", [0] * axes)
    auto = a.get("auto_pad", b"NOTSET")
    shape = a.get("output_shape")
    if shape is None and auto in (b"SAME_UPPER", b"SAME_LOWER"):
        shape = [d * s for d, s in zip(node.shape(node.inputs[0])[2:], stride, strict=True)]
    if shape is None:
        pads = a.get("pads", [0] * 2 * axes)
        return pads[:axes], [p - m for p, m in zip(pads[axes:], more, strict=True)]
    total = [n - want for n, want in zip(whole, shape[-axes:], strict=True)]
    less, rest = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, rest) if auto == b"SAME_UPPER" else (rest, less)


def col2im(node: Any) -> str:
    """Columns back to an image: a Deconvolution with a 1 for each place in the window."""
    x, image, kernel = node.inputs[0], *(node.weight(i).tolist() for i in (1, 2))
    n, rows = node.shape(x)[:2]
    a, axes = node.attributes, len(kernel)
    stride, dilation = a.get("strides", [1] * axes), a.get("dilations", [1] * axes)
    begin, end = np.reshape(a.get("pads", [0] * 2 * axes), (2, axes)).tolist()
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    room = [size + p + q - r for size, p, q, r in zip(image, begin, end, reach, strict=True)]
    if begin != end or any(r % s for r, s in zip(room, stride, strict=True)):
        raise ExportError(f"windows of {reach} by {stride} that do not end with the image {image}, padded alike")
    places, taps = [r // s + 1 for r, s in zip(room, stride, strict=True)], math.prod(kernel)
    w = np.tile(np.eye(taps, dtype=np.float32).reshape(taps, 1, *kernel), (rows // taps, *[1] * (axes + 1)))
    options = options_of(rows // taps, rows // taps, False, kernel, stride, begin, dilation)
    return str(node.layer("Deconvolution", reshaped(node, x, (n, rows, *places)), [w], convolution_param=options))


IMPORTERS = {"Conv": convolution, "ConvTranspose": deconvolution, "Col2Im": col2im}
