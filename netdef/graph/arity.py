"""Check the counts of bottoms, tops and their weights; name the tops a loss may leave out."""

from typing import Any

from netdef.errors import GraphError, LayerError
from netdef.graph.filter import place


def check_arity(layer: Any, cls: Any) -> None:
    """Raises GraphError with the counts declared, those found and the names."""
    wrong = arity_fault(layer, cls)
    if wrong:
        raise GraphError(f"{place(layer)}: {cls.type} {wrong}")
    downs, bottoms = len(layer.propagate_down), len(layer.bottom)
    if downs not in (0, bottoms):
        raise GraphError(f"{place(layer)}: {downs} propagate_down for {bottoms} bottoms; want one for each or none")


def arity_fault(layer: Any, cls: Any) -> str:
    """What is wrong with a layer's counts of bottoms and tops; a loss may still lack tops that complete_loss adds."""
    for what, names, declared in (("bottom", layer.bottom, cls.bottoms), ("top", layer.top, cls.tops)):
        low, high = bounds(declared)
        low = 0 if cls.is_loss and what == "top" else low
        if len(names) < low or (high is not None and len(names) > high):
            shown = ", ".join(f"'{n}'" for n in names) or "none"
            want = f"{spelled(declared)} {what}" + ("" if declared == 1 else "s")
            return f"takes {want}, got {len(names)} ({shown})"
    return ""


def complete_loss(layer: Any, cls: Any) -> None:
    """A loss written without a top gets one of its own name, and without a weight 1 on the first, as in Caffe."""
    low, _ = bounds(cls.tops)
    if cls.is_loss:
        layer.top.extend(f"(automatic)_{layer.name}_{t}" for t in range(len(layer.top), low))
        if not layer.loss_weight:
            layer.loss_weight.append(1.0)


def loss_weights(layer: Any) -> list[float]:
    """One for each top, 0 where none is given. Raises LayerError for more weights than tops."""
    given, tops = list(layer.loss_weight), len(layer.top)
    if len(given) > tops:
        raise LayerError(f"has {len(given)} loss_weight for {tops} tops")
    return given + [0.0] * (tops - len(given))


def bounds(declared: int | tuple[int, int | None]) -> tuple[int, int | None]:
    return (declared, declared) if isinstance(declared, int) else declared


def spelled(declared: int | tuple[int, int | None]) -> str:
    """ "1", "1 or more", "2 to 3"."""
    low, high = bounds(declared)
    if high is None:
        return f"{low} or more"
    return str(low) if low == high else f"{low} or {high}" if high == low + 1 else f"{low} to {high}"
