"""A net as it is exported: without losses and metrics, with inputs where files would be read, before it is built."""

from collections.abc import Mapping
from typing import Any

from netdef.errors import ExportError
from netdef.graph.choose import layer_class
from netdef.graph.filter import filter_net, place
from netdef.layer import TEST, Context, Loss, Metric, Source
from netdef.names import nearest
from netdef.registry import Registry
from netdef.upgrade import upgrade_net

Shapes = Mapping[str, tuple[int, ...]]


def strip(
    net: Any, registry: Registry, shapes: Shapes | None = None, level: int | None = None, stages: tuple[str, ...] = ()
) -> Any:
    """A copy of a NetParameter for phase TEST whose data sources are inputs, so that no file of theirs is opened.

    Shapes come from `shapes`, by blob, else from what the prototxt says; a source of which neither tells the shape is
    left as it is. Losses, metrics and what reads them are left out, and so are tops that then nobody reads (labels).
    Inputs of the net get another shape too where one is given, and any layer without bottoms then becomes one. Raises
    ExportError for a blob that no source makes.
    """
    net = upgrade_net(net)
    level = net.state.level if level is None else level
    kept = filter_net(net, TEST, level, (*net.state.stage, *stages))
    classes = [layer_class(layer, registry) for layer in kept.layer]
    _without_judges(kept, classes)
    given = dict(shapes or {})
    for layer, cls in zip(kept.layer, classes, strict=True):
        asked = not layer.bottom and any(top in given for top in layer.top)
        if asked or issubclass(cls, Source) or cls.role == "input":
            _feed(kept, layer, cls, given, registry)
    made = {top for layer in kept.layer for top in layer.top}
    read = {bottom for layer in kept.layer for bottom in layer.bottom}
    for name in [name for name in given if name in read - made]:  # a data layer of the other phase would make it
        _add_input(kept, name, given.pop(name), registry)
    if given:
        tops = [top for layer in kept.layer if not layer.bottom for top in layer.top]
        wrong = next(iter(given))
        raise ExportError(f"no layer without bottoms makes '{wrong}', whose shape is given{nearest(wrong, tops)}")
    return kept


def judges(layer: Any, cls: type) -> bool:
    """Whether a layer is a loss or a metric: by its class, or because the prototxt counts a top of it in the loss."""
    return issubclass(cls, Loss | Metric) or any(layer.loss_weight)


def _without_judges(net: Any, classes: list[Any]) -> None:
    """Losses, metrics and their readers out, unless nothing else is there to build."""
    gone: set[str] = set()
    keep = []
    for i, (layer, cls) in enumerate(zip(net.layer, classes, strict=True)):
        if judges(layer, cls) or gone.intersection(layer.bottom):
            gone.update(layer.top)
        else:
            keep.append(i)
    if any(net.layer[i].bottom for i in keep):
        classes[:] = [classes[i] for i in keep]
        for i in sorted(set(range(len(net.layer))) - set(keep), reverse=True):
            del net.layer[i]


def _feed(net: Any, layer: Any, cls: Any, given: dict[str, tuple[int, ...]], registry: Registry) -> None:
    """Make the layer an input of the tops that are read, where their shapes are known."""
    known = _declared(layer, cls, registry)
    asked = {top: given.pop(top) for top in layer.top if top in given}
    if cls.role == "input" and not asked:
        return
    read = {name for other in net.layer for name in other.bottom}
    tops = [top for top in layer.top if top in read or top in asked] or list(layer.top)
    found = {**{top: known[top] for top in tops if top in known}, **asked}
    missing = [top for top in tops if top not in found]
    if missing and asked:
        raise ExportError(f"{place(layer)} also makes '{missing[0]}'; give its shape too")
    if not missing:
        _replace(layer, tops, found, registry.role("input"))


def _declared(layer: Any, cls: Any, registry: Registry) -> dict[str, tuple[int, ...]]:
    """The shapes that the layer's text tells, by top; empty where it does not."""
    context = Context(TEST)
    context.declared = registry.schema.declared
    if cls.role != "input" and not issubclass(cls, Source):
        return {}
    made = cls(layer, context)
    shapes = made.infer() if cls.role == "input" else made.declared_shapes()
    return dict(zip(layer.top, shapes or [], strict=False))


def _add_input(net: Any, name: str, shape: tuple[int, ...], registry: Registry) -> None:
    new = type(net.layer[0])(name=name, type=registry.role("input"), top=[name])
    new.input_param.shape.add(dim=shape)
    net.layer.insert(0, new)


def _replace(layer: Any, tops: list[str], shapes: Shapes, input_type: str) -> None:
    new = type(layer)(name=layer.name, type=input_type, top=tops)
    new.netdef_origin = layer.netdef_origin
    for top in tops:
        new.input_param.shape.add(dim=shapes[top])
    layer.CopyFrom(new)
