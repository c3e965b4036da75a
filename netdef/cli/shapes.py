"""Blobs fed by hand in place of the layers that would bring them in."""

from pathlib import Path
from typing import Any

from netdef.cli.flags import UsageError
from netdef.errors import AbsentError, NetdefError
from netdef.files import finder
from netdef.graph.choose import layer_class
from netdef.graph.filter import included, place
from netdef.layer import Context, Source
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


def declared(net: Any, registry: Any, base: Path, phase: int, level: int, stages: tuple[str, ...]) -> Shapes:
    """The shapes that a net's prototxt declares for the tops of data layers whose files are absent."""
    found: Shapes = {}
    context = Context(phase, find=finder(base), provided=registry.get)
    for layer_param in net.layer:
        if layer_param.bottom or not included(layer_param, phase, level, set(stages)):
            continue
        cls = layer_class(layer_param, registry)
        shapes = cls(layer_param, context).declared_shapes() if issubclass(cls, Source) else None
        if shapes is not None and _is_absent(cls(layer_param, context)):
            found.update(zip(layer_param.top, shapes, strict=False))
    return found


def _is_absent(layer: Source) -> bool:
    """Whether a file that the layer needs is nowhere; other faults show when the net is built."""
    try:
        layer.setup([])
    except AbsentError:
        return True
    except NetdefError:
        return False
    return False


def _replace(layer: Any, shapes: Shapes, input_type: str) -> None:
    missing = [top for top in layer.top if top not in shapes]
    if missing:
        raise UsageError(f"{place(layer)} also makes '{missing[0]}'; give --shape {missing[0]}=... too")
    new = type(layer)(name=layer.name, type=input_type, top=layer.top, include=layer.include, exclude=layer.exclude)
    new.netdef_origin = layer.netdef_origin
    for top in layer.top:
        new.input_param.shape.add(dim=shapes[top])
    layer.CopyFrom(new)
