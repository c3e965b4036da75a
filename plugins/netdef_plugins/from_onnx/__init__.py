"""Layers for operators of ONNX: what `netdef import` makes a prototxt of."""

from typing import Any

from netdef.layer import hookimpl
from netdef_plugins.from_onnx import (
    arithmetic,
    axes,
    choices,
    dense,
    elementwise,
    frames,
    pools,
    products,
    ranks,
    recurrent,
    reductions,
    windows,
)


@hookimpl
def netdef_importers() -> dict[str, Any]:
    found: dict[str, Any] = {}
    linear_algebra = (dense, products, recurrent, windows)
    for family in (arithmetic, axes, choices, elementwise, frames, pools, ranks, reductions, *linear_algebra):
        found |= family.IMPORTERS
    return found
