"""What a model gives for its inputs, value by value: computed piece by piece, and given up when nobody asks again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from netdef.export.model import Exported
from netdef.export.piece import Piece
from netdef.export.runtime import Run, opened

Arrays = dict[str, np.ndarray]
Disturb = Callable[[str, np.ndarray], np.ndarray]


class Chain:
    """Pieces of a model in ONNX Runtime, one fed with what those before it gave; the pieces themselves are let go."""

    def __init__(self, exported: Exported, pieces: Iterable[Piece], threads: int):
        self.reads: list[list[str]] = []
        self.gives: list[list[str]] = []
        self._runs: list[Run] = []
        for piece in pieces:
            self._runs.append(opened(piece.model, piece.constants, piece.gives, threads))
            self.reads.append(piece.reads)
            self.gives.append(piece.gives)
        self.last = self._last_uses(exported)

    def run(self, k: int, values: Arrays) -> Arrays:
        """What a piece gives for what it reads."""
        return self._runs[k](values)

    def values(self, feed: Mapping[str, Any], disturb: Disturb = lambda name, x: x) -> "Values":
        """Of one input; `disturb(name, value)` is what pieces are fed in place of a value."""
        return Values(self, feed, disturb)

    def _last_uses(self, exported: Exported) -> dict[str, int]:
        """By value, the last piece that reads it, or that is being compared when a top has it."""
        maker = {name: k for k, names in enumerate(self.gives) for name in names}
        last = maker | {name: k for k, names in enumerate(self.reads) for name in names}
        now = 0
        for name in exported.values.values():
            if name in maker:
                now = max(now, maker[name])
                last[name] = max(last[name], now)
        return last


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
        self._known.update(chain.run(k, given))
        self._next += 1
