"""A net and its model on one input after the other: how far apart their values are, as far as rounding is not why."""

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.distance import Distances, relative
from netdef.errors import ExportError
from netdef.export.arbiter import COARSE, Arbiter
from netdef.export.chain import Chain
from netdef.export.model import Exported
from netdef.export.select import Top
from netdef.net import Net

TINY = 1e-37  # the smallest scale, as float32 has hardly any digits below it
FAR = 1e18  # numbers whose squares float32 cannot hold: what comes after them says nothing of the layers
Arrays = Mapping[str, np.ndarray]
Differences = dict[str, float]
Run = Callable[[], Iterator[tuple[Top, str]]]
"""Runs the net on one input: see `tops`."""


class Comparison:
    """Differences so far of the values called `names`, in the net's order."""

    def __init__(self, net: Net, exported: Exported, names: Sequence[str], tolerance: float):
        self.net, self.exported, self.names, self.tolerance = net, exported, names, tolerance
        self.largest: Differences = {}
        self.distances = Distances(TINY, FAR)
        self._given: dict[str, set[int]] = {name: set() for name in exported.outputs}
        """What the net gave for each output, told apart by a checksum."""

    def wrong(self) -> str:
        """The first value that differs, or that no input could settle."""
        return next((n for n in self.names if not self.largest.get(n, np.inf) <= self.tolerance), "")

    def constant(self) -> tuple[str, ...]:
        """Outputs that were the same for all inputs."""
        return tuple(name for name, given in self._given.items() if len(given) == 1)

    def add(self, differences: Differences) -> None:
        for name, difference in differences.items():
            self.largest[name] = max(self.largest.get(name, 0.0), difference)

    def differences(
        self, run: Iterator[tuple[Top, str]], values: Any, whole: Arrays
    ) -> tuple[Differences, Differences]:
        """By name, up to where numbers leave float32's range: of `values` and the net, and of `whole` and `values`.

        `run` runs the net, see `tops`; `values[name]` are asked for in its order.
        """
        found: Differences = {}
        strays: Differences = {}
        for (i, t), name in run:
            x = self.net.tops[i][t].data
            if name in self.names:
                off = self.distances.relative(name, values[name], x)
                if off < np.inf or not np.any(np.isnan(x)):  # else something within the layer left the range
                    found[name] = max(found.get(name, 0.0), off)
            if name in whole:
                strays[name] = self.distances.relative(name, whole[name], values[name])
            if name in self._given:
                self._given[name].add(zlib.crc32(np.ascontiguousarray(x).data))
            if x.size and not (np.min(x) > -FAR and np.max(x) < FAR):
                break
        return found, strays


class Pieces:
    """The comparison of every value, the model run in pieces; what the whole model gives is compared with theirs."""

    def __init__(self, comparison: Comparison, chain: Chain, arbiter: Arbiter):
        self.comparison, self.chain, self.arbiter = comparison, chain, arbiter
        exported = comparison.exported
        self._roots = {exported.values.get(top, "") for top in exported.selection.inputs}

    def add(self, run: Run, feed: Mapping[str, Any], whole: Arrays) -> None:
        """Compare for one input. What rounding of it alone would change as much does not count, nor what the layers do
        not do when given the net's own blobs: see `Arbiter`. The whole model, for which a runtime has layouts of its
        own, may round as coarsely as any layer may."""
        found, strays = self.comparison.differences(run(), self.chain.values(feed), whole)
        strays = {name: d for name, d in strays.items() if not d <= COARSE}
        noise = self._noise(feed, strays.keys() | {name for name, d in found.items() if self._large(d)})
        found = {name: d for name, d in found.items() if not (self._large(d) and d <= 10 * noise[name])}
        self.comparison.add(self._judged(run, feed, found))
        strays = {name: d for name, d in strays.items() if not d <= 10 * noise[name]}
        self.comparison.add({name: d for name, d in strays.items() if not self._rounded(name, feed)})

    def _rounded(self, name: str, feed: Mapping[str, Any]) -> bool:
        """Whether the whole model's last layer gives for what it reads what it must, and reads what pieces give: then
        rounding decides, as it does where boxes that overlap by half are thrown out."""
        piece, values = self.arbiter.cutter.cut([name]), self.chain.values(feed)
        reads = [read for read in self.comparison.names if read in piece.reads]
        try:
            given = {**feed, **self.arbiter.whole([*reads, name], feed)}
            alone = self.arbiter.run(piece, {read: given[read] for read in piece.reads})
        except ExportError:
            return False
        apart = [relative(given[read], values[read], TINY) for read in reads]
        return max([*apart, relative(given[name], alone[name], TINY)]) <= COARSE

    def _large(self, difference: float) -> bool:
        return not difference <= self.comparison.tolerance

    def _noise(self, feed: Mapping[str, Any], names: Collection[str]) -> Differences:
        """What rounding of the inputs does to some values."""
        nudge = self.arbiter.nudge
        plain = self.chain.values(feed)
        other = self.chain.values(feed, lambda name, x: nudge(name, x) if name in self._roots else x)
        asked = [name for name in self.comparison.names if name in names]
        return {name: self.comparison.distances.relative(name, other[name], plain[name]) for name in asked}

    def _judged(self, run: Run, feed: Mapping[str, Any], found: Differences) -> Differences:
        """With the differences of the layers alone in place of large ones; without those that rounding decides."""
        disputed = [name for name, d in found.items() if self._large(d)]
        alone: dict[str, list[float]] = {}
        for name, off in self.arbiter.differences(run(), disputed, feed) if disputed else ():
            alone.setdefault(name, []).append(off)
        settled = {name: float(np.max(offs)) for name, offs in alone.items() if not any(map(self._beyond, offs))}
        return {name: d for name, d in (found | settled).items() if not np.isnan(d)}

    def _beyond(self, difference: float) -> bool:
        return difference > self.comparison.tolerance
