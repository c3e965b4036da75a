"""From a net as written to the net as built: upgraded, filtered, with automatic tops and splits, counts checked."""

from typing import Any

from netdef.errors import GraphError
from netdef.graph.arity import check_arity, complete_loss
from netdef.graph.choose import layer_class
from netdef.graph.filter import filter_net, place
from netdef.graph.split import insert_splits
from netdef.registry import Registry
from netdef.upgrade import upgrade_net


def prepare(net: Any, registry: Registry, phase: int, level: int | None, stages: tuple[str, ...]) -> Any:
    """A new NetParameter, ready to be built; the argument is left alone. Raises GraphError with the layer's place."""
    state = net.state  # the file's own level and stages hold where the caller names none
    level = state.level if level is None else level
    kept = filter_net(upgrade_net(net), phase, level, (*state.stage, *stages))
    if not kept.layer:
        raise GraphError(f"net '{net.name}': no layer is left for phase {'TRAIN' if phase == 0 else 'TEST'}")
    classes = [layer_class(layer, registry) for layer in kept.layer]
    for layer, cls in zip(kept.layer, classes, strict=True):
        complete_loss(layer, cls)
        check_arity(layer, cls)
    refuse_twice_made_tops(kept)
    return insert_splits(kept, lambda: registry.role("split"))


def refuse_twice_made_tops(net: Any) -> None:
    """Only a layer that also reads a blob may make it anew."""
    maker: dict[str, Any] = {}
    for layer in net.layer:
        for top in layer.top:
            if top in maker and top not in layer.bottom:
                raise GraphError(f"{place(layer)}: top '{top}' is already made by {place(maker[top])}")
            maker[top] = layer
