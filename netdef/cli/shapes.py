"""Blobs fed by hand in place of the layers that would bring them in."""

from typing import Any

from netdef.cli.flags import UsageError
from netdef.graph.filter import included, place
from netdef.names import nearest

Shapes = dict[str, tuple[int, ...]]


def feed(net: Any, shapes: Shapes, input_type: str, phase: int, level: int, stages: tuple[str, ...]) -> Any:
    """A copy of the net in which layers without bottoms that make a blob in `shapes` are inputs of that shape.

    Raises UsageError for a blob that no such layer makes, and for a layer with a top whose shape is not given.
    """
    fed = type(net)()
    fed.CopyFrom(net)
    sources = [x for x in fed.layer if not x.bottom and included(x, phase, level, set(stages))]
    tops = [top for layer in sources for top in layer.top]
    for name in shapes:
        if name not in tops:
            raise UsageError(f"--shape {name}=...: no layer without bottoms makes '{name}'{nearest(name, tops)}")
    for layer in sources:
        if any(top in shapes for top in layer.top):
            _replace(layer, shapes, input_type)
    return fed


def _replace(layer: Any, shapes: Shapes, input_type: str) -> None:
    missing = [top for top in layer.top if top not in shapes]
    if missing:
        raise UsageError(f"{place(layer)} also makes '{missing[0]}'; give --shape {missing[0]}=... too")
    new = type(layer)(name=layer.name, type=input_type, top=layer.top, include=layer.include, exclude=layer.exclude)
    new.netdef_origin = layer.netdef_origin
    for top in layer.top:
        new.input_param.shape.add(dim=shapes[top])
    layer.CopyFrom(new)
