"""Looks into every pass for values that are not finite, for a hundredth of a step's time."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from netdef.blob import Blob
from netdef.layer import Layer
from netdef.net import Net

LEAST = 1 << 14
"""Values of a blob that every pass reads at least: what a call costs anyhow."""
WORK = 600
"""Multiply-adds of a forward pass that take a hundred times as long, with its backward pass, as reading a value."""
ROUND = 4
"""Passes in which each blob's gradient is read once."""


class Guard:
    """A look (see passes) that finds what neither the loss nor a parameter's gradient would show.

    Blobs that no loss depends on are read whole in every pass. A NaN elsewhere reaches the loss or a gradient, unless a
    layer hides it, as ReLU hides -inf. So of the others, too, each pass reads what is small, and of what is large as
    much as the time allows, another part each time. A gradient that reaches no parameter does no harm: those of blobs
    take turns. What a layer hands to one that it does along is never in memory; there the weights are read instead.
    """

    spares_runs = True

    def __init__(self, net: Net):
        idle = _idle(net)
        self._tops = [[(top, id(top) in idle) for top in tops] for tops in _made(net)]
        self._bottoms = [
            [b for b, down in zip(bottoms, downs, strict=True) if down]
            for bottoms, downs in zip(net.bottoms, net.propagate_down, strict=True)
        ]
        self._weights = {net.runs[k]: _blobs(net.layers[k : net.runs[k] + 1]) for k in net.runs}
        size = sum(top.count for tops in self._tops for top, whole in tops if not whole)
        self._parts, self._pass = max(1, WORK * size // max(1, sum(map(net.macs, range(len(net.layers)))))), 0
        self._bad = ""

    def found(self) -> str:
        """What was seen since it was last asked for, in words; empty where all was finite."""
        bad, self._bad = self._bad, ""
        return bad

    def forward(self, net: Net, i: int) -> None:
        self._pass += i == 0
        for k, (top, whole) in enumerate(self._tops[i]):
            self._see(top.data if whole else self._part(top.data), f"top {k} of", net, i)
        for blob in self._weights.get(i, ()):
            self._see(self._part(blob.data), "a parameter that is used up to", net, i)

    def backward(self, net: Net, i: int) -> None:
        for blob in self._bottoms[i] if (i + self._pass) % ROUND == 0 else ():
            self._see(self._part(blob.diff), "a gradient made by", net, i)

    def _see(self, x: np.ndarray, what: str, net: Net, i: int) -> None:
        flat = x.reshape(-1)
        if not math.isfinite(np.dot(flat, flat)) and not np.isfinite(flat).all():
            self._bad = self._bad or f"{what} layer '{net.layers[i].name}' is not finite"

    def _part(self, x: np.ndarray) -> np.ndarray:
        """What this pass reads of x."""
        if x.size <= LEAST or self._parts == 1:
            return x
        size = max(LEAST, -(-x.size // self._parts))
        start = self._pass % -(-x.size // size) * size
        return x.reshape(-1)[start : start + size]


def _blobs(layers: Sequence[Layer]) -> list[Blob]:
    return [blob for layer in layers for blob in layer.blobs]


def _made(net: Net) -> Iterator[list[Blob]]:
    """The tops that hold anything new, layer by layer."""
    for layer, tops in zip(net.layers, net.tops, strict=True):
        yield [] if layer.role == "split" or "data" in layer.shares else list(tops)


def _idle(net: Net) -> set[int]:
    """The ids of blobs that no loss depends on."""
    blobs, needed = {id(t) for tops in net.tops for t in tops}, set()
    for bottoms, tops, weights in reversed(list(zip(net.bottoms, net.tops, net.loss_weights, strict=True))):
        losses = {id(t) for t, w in zip(tops, weights, strict=True) if w}
        if losses or any(id(t) in needed for t in tops):
            needed |= losses | {id(b) for b in bottoms}
    return blobs - needed
