"""caffe.coord_map: where a pixel of one top lies in another, and the crop that lays one over the other."""

from typing import Any

import numpy as np

from netdef import registry
from netdef.layer import Layer
from netdef.pycaffe.net_spec import Function, Top, layers

Map = tuple[int, np.ndarray, np.ndarray]  # (channel axis, a, b): y = a x + b along the axes behind it


class UndefinedMapException(Exception):  # noqa: N818 - pycaffe's name
    """A layer between two tops says nothing about where pixels lie."""


class AxisMismatchException(Exception):  # noqa: N818 - pycaffe's name
    """Layers count their spatial axes from different channel axes."""


def coord_map(fn: Function) -> Map:
    """Where a layer's top pixel x lies in its bottom: at a x + b, the centre of what it sees.

    Raises UndefinedMapException for a layer without such a place.
    """
    if fn.type_name in ("Convolution", "Im2col", "Pooling"):
        return _window(fn)
    if fn.type_name == "Deconvolution":
        axis, a, b = _window(fn)
        return axis, 1 / a, -b / a
    if fn.type_name == "Crop":
        settings = fn.params.get("crop_param", fn.params)
        offset = np.atleast_1d(np.asarray(settings.get("offset", 0), float))
        return settings.get("axis", 2) - 1, np.ones_like(offset), offset
    cls = registry.default().find("layers", fn.type_name).thing
    if cls.in_place or cls.infer is Layer.infer:  # tops look like bottoms
        return 1, np.ones(1), np.zeros(1)
    raise UndefinedMapException(f"{fn.type_name}: where its pixels lie in its bottom is not known")


def _window(fn: Function) -> Map:
    settings = fn.params.get("pooling_param" if fn.type_name == "Pooling" else "convolution_param", fn.params)
    kernel, stride, pad = (
        _sides(settings, long, short, default)
        for long, short, default in (("kernel_size", "kernel", 1), ("stride", "stride", 1), ("pad", "pad", 0))
    )
    dilation = np.atleast_1d(np.asarray(settings.get("dilation", 1), float))
    return settings.get("axis", 1), stride, (dilation * (kernel - 1)) / 2 - pad


def _sides(settings: dict[str, Any], long: str, short: str, default: int) -> np.ndarray:
    if f"{short}_h" in settings:
        return np.array([settings[f"{short}_h"], settings[f"{short}_w"]], float)
    return np.atleast_1d(np.asarray(settings.get(long, default), float))


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """(axis, a, b) with which pixel x of top_from lies over pixel a x + b of top_to, by an ancestor of both.

    Raises UndefinedMapException where there is none, AxisMismatchException where their channel axes differ.
    """
    ours, theirs = _ancestors(top_from), _ancestors(top_to)
    for top, (axis, a, b) in ours.items():
        if top in theirs:
            other, c, d = theirs[top]
            return _agreed(axis, other), a / c, (b - d) / c
    raise UndefinedMapException("the two tops have no ancestor in common")


def _ancestors(top: Top) -> dict[Top, Map]:
    """Each top that this one depends on, nearest first, and where a pixel lies in it."""
    found: dict[Top, Map] = {top: (0, np.ones(1), np.zeros(1))}
    waiting = [top]
    for one in waiting:
        axis, a, b = found[one]
        try:
            its, c, d = coord_map(one.fn)
        except UndefinedMapException:
            continue
        for bottom in one.fn.inputs[: 1 if one.fn.type_name == "Crop" else None]:
            if bottom not in found:
                found[bottom] = _agreed(axis, its), a * c, c * b + d
                waiting.append(bottom)
    return found


def _agreed(axis: int, other: int) -> int:
    if axis and other and axis != other:
        raise AxisMismatchException(f"channel axes {axis} and {other}")
    return axis or other


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts from top_from what lies over top_to. Raises ValueError where scales or offsets forbid."""
    axis, a, b = coord_map_from_to(top_from, top_to)
    if not np.allclose(a, 1):
        raise ValueError(f"a crop cannot scale: one pixel lies over {a.tolist()}")
    if (b > 0).any() or not np.allclose(b, np.round(b)):
        raise ValueError(f"a crop needs whole offsets of 0 or more, got {(-b).tolist()}")
    offset = [int(o) for o in np.round(-b)]
    return layers.Crop(top_from, top_to, crop_param={"axis": (axis or 1) + 1, "offset": offset})
