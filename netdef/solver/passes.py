"""Forward and backward passes that may be looked into layer by layer, and taken back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.net import Net


def forward(net: Net, looks: Sequence[Any] = ()) -> float:
    """The loss; each look's forward(net, i) is called while the tops of layer i still hold what it made.

    Where every look `spares_runs`, layers that the one before does along stay so: it is called for the last of them.
    """
    if not looks:
        return net.forward()
    runs = _runs(net.runs, looks)
    loss, i = 0.0, 0
    while i < len(net.layers):
        last = runs.get(i, i)
        loss += net.forward(i, last)
        for look in looks:
            look.forward(net, last)
        i = last + 1
    return loss


def backward(net: Net, looks: Sequence[Any] = ()) -> None:
    """Each look's backward(net, i) is called while the gradients that layer i made are still there.

    Where every look `spares_runs`, it is called for the first alone of layers whose gradients the first makes along.
    """
    if not looks:
        net.backward()
        return
    runs = _runs(net.backward_runs, looks)
    i = len(net.layers) - 1
    while i >= 0:
        first = runs.get(i, i)
        if net.runs_backward[first]:
            net.backward(i, first)
            for look in looks:
                look.backward(net, first)
        i = first - 1


def _runs(runs: dict[int, int], looks: Sequence[Any]) -> dict[int, int]:
    return runs if all(getattr(look, "spares_runs", False) for look in looks) else {}


def count(net: Net) -> list[int]:
    """How often each layer has run: where data and randomness stand."""
    return [layer.passes for layer in net.layers]


def rewind(net: Net, counts: Sequence[int]) -> None:
    """Let the next pass be the one after these counts again."""
    for layer, passes in zip(net.layers, counts, strict=True):
        layer.passes = passes


def is_finite(x: np.ndarray) -> bool:
    """One pass over the memory, as the sum of squares is; more only where that overflows."""
    flat = x.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat))) or bool(np.isfinite(flat).all())
