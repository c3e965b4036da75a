"""BatchNorm with three `param { }` blocks, once needed to keep its statistics from being trained."""

from typing import Any


def needed(net: Any) -> str:
    """Why the net's BatchNorm layers are old, or ""."""
    old = sum(map(_is_old, net.layer))
    return f"{old} BatchNorm with param {{ }} for its statistics" if old else ""


def upgrade(net: Any) -> Any:
    """The net whose statistics have lr_mult and decay_mult 0 whatever was written; names that share them stay."""
    new = type(net)()
    new.CopyFrom(net)
    for layer in filter(_is_old, new.layer):
        for param in layer.param:
            param.lr_mult = param.decay_mult = 0
    return new


def _is_old(layer: Any) -> bool:
    """Three blocks of which one would train."""
    return (
        layer.type == "BatchNorm"
        and len(layer.param) == 3
        and any(param.lr_mult != 0 or param.decay_mult != 0 for param in layer.param)
    )
