"""MaxPool and AveragePool as Poolings that round as ONNX does, and the pooling of whole images."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import MOST, combined
from netdef_plugins.from_onnx.forms import reshaped
from netdef_plugins.from_onnx.frames import framed
from netdef_plugins.from_onnx.reductions import reduced
from netdef_plugins.from_onnx.windows import Ints, alike, cut_out, paddings, spread

MAX, AVE = 0, 1
DOWN = 1
"""round_mode"""
EXACT = 1 << 24
"""So far float32 knows every whole number."""


def pooling(node: Any) -> list[str]:
    """MaxPool, AveragePool; of volumes with windows of unlike sides, along one axis after the other."""
    a, axes = node.attributes, len(node.attributes["kernel_shape"])
    sides = [a["kernel_shape"], a.get("strides", [1] * axes), *np.reshape(a.get("pads", [0] * 2 * axes), (2, axes))]
    each = [tuple(map(int, side)) for side in zip(*sides, strict=True)]
    plain = a.get("auto_pad", b"NOTSET") == b"NOTSET" and set(a.get("dilations", [1])) == {1} and not node.is_read(1)
    if axes < 3 or len(set(each)) == 1 or not plain:
        return _pooled(node, node.inputs[0])
    x = node.spread_out(node.inputs[0])
    for axis, side in enumerate(each, 2):
        x = _along(node, x, axis, *side) if side != (1, 1, 0, 0) else x
    return [x]


def _along(node: Any, x: str, axis: int, kernel: int, stride: int, begin: int, end: int) -> str:
    """Along one axis of a volume: of an image that has the axes before it and those behind it as one."""
    n, *shape = node.shape(x)
    flat = reshaped(node, x, (n, math.prod(shape[: axis - 1]), shape[axis - 1], math.prod(shape[axis:])))
    node.attributes |= {"kernel_shape": [kernel, 1], "strides": [stride, 1], "pads": [begin, 0, end, 0]}
    (y,) = _pooled(node, flat)
    return reshaped(node, y, (n, *shape[: axis - 1], node.shape(y)[2], *shape[axis:]))


def _pooled(node: Any, x: str) -> list[str]:
    a, kernel = node.attributes, node.attributes["kernel_shape"]
    axes = len(kernel)
    stride, dilation = a.get("strides", [1] * axes), a.get("dilations", [1] * axes)
    if any(d != 1 for d in dilation):
        return [_dilated(node, node.spread_out(x), kernel, stride, dilation)]
    outside = node.unpadded(x)[1]
    plain, begin, end = paddings(node, x, kernel, stride, dilation)
    average = node.op == "AveragePool"
    if not average and any(map(any, outside)):
        plain, begin, end = paddings(node, node.spread_out(x), kernel, stride, dilation)
    sizes = node.shape(plain)[2:]
    wanted = [_count(*s, a.get("ceil_mode", 0)) for s in zip(sizes, kernel, stride, begin, end, strict=True)]
    pads, before, down = _rounded(sizes, kernel, stride, begin, wanted)
    y, *mask = _layer(node, plain, AVE if average else MAX, kernel, stride, pads, down, 2 if node.is_read(1) else 1)
    if average:
        y = _corrected(node, y, sizes, kernel, stride, pads, (begin, end, outside), before, wanted)
    return [cut_out(node, y, before, wanted), *(_indices(node, cut_out(node, m, before, wanted), plain) for m in mask)]


def _dilated(node: Any, x: str, kernel: Ints, stride: Ints, dilation: Ints) -> str:
    """The largest of the columns that an Im2col makes, around which there is the lowest number."""
    if node.op != "MaxPool" or len(kernel) != 2 or node.is_read(1):
        raise ExportError("dilations in an average, a volume or of indices, which no Pooling of Caffe has")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    (n, channels, *sizes), ceil = node.shape(x), node.attributes.get("ceil_mode", 0)
    _, begin, end = paddings(node, x, kernel, stride, dilation)
    sides = list(zip(sizes, reach, stride, begin, end, strict=True))
    wanted = [_count(*side, ceil) for side in sides]
    more = [max(0, (m - 1) * s + r - d - p) for (d, r, s, p, _), m in zip(sides, wanted, strict=True)]
    x = framed(node, x, [0, 0, *begin], [0, 0, *more], -MOST)
    options = spread(("kernel_size", "kernel_h", "kernel_w"), kernel, 0)
    options |= spread(("stride", "stride_h", "stride_w"), stride, 1) | {"dilation": dilation}
    columns = node.layer("Im2col", x, convolution_param=options)
    rows = reshaped(node, columns, (n, channels, math.prod(kernel), math.prod(wanted)))
    y = node.layer("Pooling", rows, pooling_param={"kernel_h": math.prod(kernel), "kernel_w": 1})
    return reshaped(node, y, (n, channels, *wanted))


def _indices(node: Any, mask: str, x: str) -> str:
    """In ONNX the winners' places in all images' planes one after the other, in Caffe in their own."""
    n, channels, *image = node.shape(x)
    plane = math.prod(image)
    first = (np.arange(n * channels, dtype=np.float32) * plane).reshape(n, channels, *[1] * len(image))
    if n * channels * plane > EXACT or node.attributes.get("storage_order"):
        raise ExportError(f"indices to {n * channels * plane:,}, or by columns; a blob counts to {EXACT:,}, by rows")

    def build() -> str:
        return combined(node, mask, node.made_constant(first), multiply=False)

    return str(node.wholly(node.see(node.wholly(mask), build, "in planes", plane)))


def remainder(node: Any) -> str:
    """Mod, where it makes indices of one plane of those of all"""
    plane = node.weight(1)
    mask = node.seen(node.inputs[0], "in planes", int(plane.flat[0])) if plane.size == 1 else None
    if mask is None:
        raise ExportError("a remainder, but of a pooling's indices by the size of their plane; no layer computes it")
    return str(mask)


def _rounded(sizes: Any, kernel: Ints, stride: Ints, begin: Ints, wanted: Ints) -> tuple[Ints, Ints, bool]:
    """(pads, outputs to leave out in front, whether Caffe rounds down): what gives just what is wanted, else more."""
    found, refusal = [], None
    for down in (False, True):

        def gives(axis: int, pad: int, down: bool = down) -> int:
            size, k, s = sizes[axis], kernel[axis], stride[axis]
            room = size + 2 * pad - k
            n = (room // s if down else -(-room // s)) + 1
            return n - (any([*begin, pad]) and (n - 1) * s >= size + pad)

        try:
            pads, before = alike(begin, stride, wanted, gives)
        except ExportError as e:
            refusal = e
            continue
        if any(p >= k for p, k in zip(pads, kernel, strict=True)):
            refusal = ExportError(f"pads of {pads} for a kernel of {kernel}; a Pooling of Caffe pads less")
            continue
        more = sum(gives(axis, p) - n for axis, (p, n) in enumerate(zip(pads, wanted, strict=True)))
        found.append((more, down, pads, before))
    if not found:
        assert refusal
        raise refusal
    _, down, pads, before = min(found, key=lambda one: one[:2])
    return pads, before, down


def _count(size: int, kernel: int, stride: int, begin: int, end: int, ceil: int) -> int:
    room = size + begin + end - kernel
    n = (-(-room // stride) if ceil else room // stride) + 1
    return n - (ceil and (n - 1) * stride >= size + begin)


def _layer(
    node: Any, x: str, pool: int, kernel: Ints, stride: Ints, pads: Ints, down: bool, tops: int
) -> Sequence[str]:
    if len(kernel) > 2 and any(len(set(sides)) > 1 for sides in (kernel, stride, pads)):
        raise ExportError(f"kernel {kernel}, stride {stride}, pads {pads}; a Pooling of Caffe has one for all axes")
    options: dict[str, Any] = {"pool": pool} if pool != MAX else {}
    for name, values, default in (("kernel_size", kernel, 0), ("stride", stride, 1), ("pad", pads, 0)):
        stem = name.removesuffix("_size")
        found = spread((name, f"{stem}_h", f"{stem}_w"), values, default)
        options |= {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in found.items()}
    found = node.layer("Pooling", x, tops=tops, pooling_param=options | ({"round_mode": DOWN} if down else {}))
    return found if tops > 1 else [found]


def _corrected(
    node: Any, y: str, sizes: Any, kernel: Ints, stride: Ints, pads: Ints, given: Any, before: Ints, wanted: Ints
) -> str:
    """Caffe divides by the pixels of the window that lie within the padding; where ONNX has another number, times that.

    Zeros of a Pad before it count as pixels in ONNX, those of the operation itself only if count_include_pad says so.
    """
    begin, end, outside = given
    own = node.attributes.get("count_include_pad", 0)
    factor = np.ones((1,) * 0)
    for axis, (size, k, s, p) in enumerate(zip(sizes, kernel, stride, pads, strict=True)):
        n = node.shape(y)[2 + axis]
        first = np.arange(n) * s - p
        caffe = np.minimum(first + k, size + p) - first
        low, high = (begin[axis], end[axis]) if own else (outside[0][axis], outside[1][axis])
        onnx = np.minimum(first + k, size + high) - np.maximum(first, -low)
        ratio = caffe / np.maximum(onnx, 1)
        inside = slice(before[axis], before[axis] + wanted[axis])
        ratio = np.where(np.isin(np.arange(n), np.arange(n)[inside]), ratio, ratio[inside][0])
        factor = np.multiply.outer(factor, ratio)
    if np.all(factor == 1):
        return y
    return combined(node, y, node.made_constant(factor.astype(np.float32)), multiply=True)


def global_pooling(node: Any) -> str:
    x = node.inputs[0]
    axes = list(range(2, len(node.shape(x))))
    return reduced(node, x, axes, "mean" if node.op == "GlobalAveragePool" else "max")


IMPORTERS = {"MaxPool": pooling, "AveragePool": pooling, "GlobalAveragePool": global_pooling}
IMPORTERS |= {"GlobalMaxPool": global_pooling, "Mod": remainder}
