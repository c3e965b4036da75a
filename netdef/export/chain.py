"""What a model gives for its inputs, value by value: computed piece by piece, and given up when nobody asks again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.export.model import Exported
from netdef.export.piece import Piece
from netdef.export.runtime import Run, opened

Arrays = dict[str, np.ndarray]
Disturb = Callable[[str, np.ndarray], np.ndarray]


class Chain:
    """Pieces of a model in ONNX Runtime, one fed with what those before it gave."""

    def __init__(self, exported: Exported, pieces: Sequence[Piece], threads: int):
        self.runs: list[Run] = [opened(p.model, p.constants, p.gives, threads) for p in pieces]
        self.reads = [p.reads for p in pieces]
        self.last = _last_uses(exported, pieces)

    def values(self, feed: Mapping[str, Any], disturb: Disturb = lambda name, x: x) -> "Values":
        """Of one input; `disturb(name, value)` is what pieces are fed in place of a value."""
        return Values(self, feed, disturb)


class Values:
    """By name; asked for in the order of the net, as often as the net has tops of a value."""

    def __init__(self, chain: Chain, feed: Mapping[str, Any], disturb: Disturb):
        self._chain, self._disturb, self._next = chain, disturb, 0
        self._known: Arrays = {name: np.asarray(x) for name, x in feed.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        while name not in self._known:
            self._advance()
        return self._known[name]

    def _advance(self) -> None:
        k, chain = self._next, self._chain
        self._known = {name: x for name, x in self._known.items() if chain.last.get(name, 0) >= k}
        given = {name: self._disturb(name, self._known[name]) for name in chain.reads[k]}
        self._known.update(chain.runs[k](given))
        self._next += 1


def _last_uses(exported: Exported, pieces: Sequence[Piece]) -> dict[str, int]:
    """By value, the last piece that reads it, or that is being compared when a top has it."""
    maker = {name: k for k, piece in enumerate(pieces) for name in piece.gives}
    last = {name: k for k, piece in enumerate(pieces) for name in (*piece.reads, *piece.gives)}
    now = 0
    for name in exported.values.values():
        if name in maker:
            now = max(now, maker[name])
            last[name] = max(last[name], now)
    return last
