"""Keep the layers that belong to a phase, a level and stages (NetState rules)."""

from typing import Any

from netdef.errors import GraphError


def filter_net(net: Any, phase: int, level: int = 0, stages: tuple[str, ...] = ()) -> Any:
    """A copy of the net with the layers whose include and exclude rules the state meets."""
    kept = type(net)()
    kept.CopyFrom(net)
    del kept.layer[:]
    kept.layer.extend(layer for layer in net.layer if included(layer, phase, level, set(stages)))
    kept.state.phase, kept.state.level = phase, level
    kept.state.stage[:] = stages
    return kept


def included(layer: Any, phase: int, level: int, stages: set[str]) -> bool:
    """Any include rule met, or no exclude rule met; a layer may have one kind only."""
    if len(layer.include) and len(layer.exclude):
        raise GraphError(f"{place(layer)}: has both include and exclude rules; use one kind")
    if len(layer.include):
        return any(meets(rule, phase, level, stages) for rule in layer.include)
    return not any(meets(rule, phase, level, stages) for rule in layer.exclude)


def meets(rule: Any, phase: int, level: int, stages: set[str]) -> bool:
    """Whether a state meets every condition that a NetStateRule sets."""
    return (
        (not rule.HasField("phase") or rule.phase == phase)
        and (not rule.HasField("min_level") or level >= rule.min_level)
        and (not rule.HasField("max_level") or level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def place(layer: Any) -> str:
    """How messages name a layer: where it was written, if known, its name and type."""
    origin = f"{layer.netdef_origin}: " if layer.netdef_origin else ""
    return f"{origin}layer '{layer.name}' ({layer.type or 'no type'})"
