"""Does the model compute what the net computes? Checked by onnx.checker, run in ONNX Runtime, compared blob by blob."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef.export.arbiter import Arbiter, nudged
from netdef.export.model import Exported
from netdef.export.runtime import session
from netdef.export.select import Top
from netdef.export.sizes import at
from netdef.graph.filter import place
from netdef.net import Net

TOLERANCE = 1e-4
TINY = 1e-37  # the smallest scale, as float32 has hardly any digits below it
FAR = 1e18  # numbers whose squares float32 cannot hold: what comes after them says nothing of the layers
Arrays = dict[str, np.ndarray]


@dataclass
class Parity:
    """The largest difference seen, as a part of the largest value of the blob it was seen in."""

    difference: float = 0.0
    blob: str = ""
    runs: int = 0
    constant: tuple[str, ...] = ()
    """Outputs that were the same for all inputs, as they are with weights of zero: of these little is proven."""


def verify(
    net: Net,
    exported: Exported,
    file: Path | None = None,
    *,
    feeds: Iterable[Mapping[str, Any]] | None = None,
    every: bool = False,
    tolerance: float = TOLERANCE,
    threads: int = 2,
) -> Parity:
    """Run net and model on the same inputs and compare the outputs, or `every` blob between as well.

    `file` is the model on disk, which one over 2 GB needs; `feeds` are inputs by name, by default `random_feeds`. The
    net's inputs and pass counts are left as they were. Raises ExportError that names the first layer whose top differs
    by more than `tolerance`. What rounding of the input alone would change as much does not count, nor what comes after
    numbers beyond 1e18; but every value must count for some input. Other differences are looked at in their
    layers: see `Arbiter`.
    """
    feeds = list(random_feeds(net, exported) if feeds is None else feeds)
    made = {name for node in exported.model.graph.node for name in node.output}
    names = made.intersection(exported.values.values()) if every else exported.outputs
    seen = _Seen(tolerance, [name for name in dict.fromkeys(exported.values.values()) if name in names])
    arbiter = Arbiter(net, exported, file, tolerance, threads) if every else None
    with session(exported.model, file, seen.names, threads) as run, _untouched(net, exported):
        for feed in feeds:
            seen.add(_differences(net, exported, run, feed, seen, arbiter))
    wrong = seen.wrong()
    if wrong and not every:
        return verify(net, exported, file, feeds=feeds, every=True, tolerance=tolerance, threads=threads)
    if wrong:
        raise ExportError(_complaint(net, exported, seen, wrong))
    blob = max(seen.names, key=lambda name: seen.largest[name])
    return Parity(seen.largest[blob], blob, len(feeds), seen.constant(exported.outputs))


def random_feeds(net: Net, exported: Exported, seed: int = 1) -> Iterator[Arrays]:
    """Inputs that tell right from wrong: standard normal, zeros, the range of images, small and large numbers.

    At every other size that the model takes, standard normal and the range of images. Layers say what else they want.
    """
    rng = np.random.default_rng(seed)
    own = {top: net.tops[top[0]][top[1]].shape for top in exported.inputs.values()}
    extremes = ((1, 0), (0, 0), (60, 120), (1e-3, 0), (1e3, 0))
    for sizes, kinds in [(own, extremes), *((sizes, extremes[:3:2]) for sizes in exported.sizes)]:
        with at(net, exported.selection, sizes):
            samples = [{n: _sampled(net, exported, t, rng) for n, t in exported.inputs.items()} for _ in kinds]
        for (scale, shift), sampled in zip(kinds, samples, strict=True):
            feed = {n: _draw(rng, exported, n, sizes[top], scale, shift) for n, top in exported.inputs.items()}
            yield feed | {name: x for name, x in sampled.items() if x is not None}


def _sampled(net: Net, exported: Exported, top: Top, rng: np.random.Generator) -> np.ndarray | None:
    """What the first layer that cares wants of a value that it reads, as it is or in another shape."""
    for i in exported.selection.layers:
        for j, read in enumerate(exported.selection.bottoms[i]):
            if read != top:
                continue
            x = net.layers[i].sample(j, [b.shape for b in net.bottoms[i]], rng)
            if x is None and "data" in net.layers[i].shares:
                x = _sampled(net, exported, (i, 0), rng)
            if x is not None:
                return np.asarray(x, np.float32).reshape(net.bottoms[i][j].shape)
    return None


def _draw(
    rng: np.random.Generator, exported: Exported, name: str, shape: tuple[int, ...], scale: float, shift: float
) -> np.ndarray:
    prepare = exported.prepared.get(name)
    x = rng.standard_normal(prepare.shape(shape) if prepare else shape, np.float32)
    x = x * np.float32(scale) + np.float32(shift)
    return np.clip(np.round(x), 0, 255) if prepare and prepare.bytes else x


@dataclass
class _Seen:
    """Differences so far, by name of value, in the net's order."""

    tolerance: float
    names: list[str]
    largest: dict[str, float] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    digests: dict[str, set[int]] = field(default_factory=dict)

    def add(self, differences: dict[str, float]) -> None:
        for name, difference in differences.items():
            self.largest[name] = max(self.largest.get(name, 0.0), difference)

    def wrong(self) -> str:
        """The first value that differs, or that no input could settle."""
        return next((n for n in self.names if not self.largest.get(n, np.inf) <= self.tolerance), "")

    def constant(self, outputs: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in outputs if len(self.digests[name]) == 1)

    def difference(self, name: str, got: np.ndarray, want: np.ndarray) -> float:
        """The largest difference by scale. The scale is this run's, or a thousandth of the largest of any run: what
        should be zero and is rounding noise is then small, as it is."""
        if got.shape != want.shape:
            return np.inf
        self.digests.setdefault(name, set()).add(hash(want.tobytes()))
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        far = (np.minimum(np.abs(got), np.abs(want)) > FAR) & (np.sign(got) == np.sign(want))  # one of them overflowed
        finite = np.isfinite(want) & np.isfinite(got)
        if not np.all(same | far | finite):
            return np.inf
        scale = float(np.max(np.abs(want), where=finite, initial=0.0))
        self.scale[name] = max(self.scale.get(name, 0.0), scale)
        off = np.subtract(got, want, where=finite & ~same, out=np.zeros(want.shape))
        return float(np.max(np.abs(off), initial=0.0)) / max(scale, self.scale[name] / 1000, TINY)


def _differences(
    net: Net, exported: Exported, run: Any, feed: Mapping[str, Any], seen: _Seen, arbiter: Arbiter | None
) -> dict[str, float]:
    """By name, without those that rounding explains, and up to where numbers leave float32's range."""
    got = run(feed)
    found: dict[str, float] = {}
    for (i, t), name in _tops(net, exported, feed):
        x = net.tops[i][t].data
        if name in got:
            off = seen.difference(name, got[name], x)
            if off < np.inf or not np.any(np.isnan(x)):  # else something within the layer left the range
                found[name] = max(found.get(name, 0.0), off)
        if not np.max(np.abs(x), initial=0.0) < FAR:
            break
    if max(found.values(), default=0.0) <= seen.tolerance:
        return found
    others = run({name: nudged(np.asarray(x)) for name, x in feed.items()})
    noise = {name: seen.difference(name, others[name], got[name]) for name in found}
    found = {name: d for name, d in found.items() if d <= seen.tolerance or not d <= 10 * noise[name]}
    disputed = [name for name, d in found.items() if not d <= seen.tolerance]
    if arbiter is None:  # it judges layers, and that tells nothing of an output unless all before it were compared
        return found
    for name, off in arbiter.differences(_tops(net, exported, feed), disputed):
        if not off > seen.tolerance:
            found[name] = off
    return {name: d for name, d in found.items() if not np.isnan(d)}


def _tops(net: Net, exported: Exported, feed: Mapping[str, Any]) -> Iterator[tuple[tuple[int, int], str]]:
    """Run the exported layers of the net; each top and its value's name while the top still holds what was computed.

    As in a first pass: a model keeps no state from run to run, as some layers do from pass to pass.
    """
    for name, (i, t) in exported.inputs.items():
        prepare = exported.prepared.get(name)
        x = prepare.apply(feed[name]) if prepare else np.asarray(feed[name])
        net.tops[i][t].reshape(*x.shape)
        net.tops[i][t].data[...] = x
        if (i, t) in exported.values:
            yield (i, t), exported.values[i, t]
    chosen = exported.selection
    for i in sorted([*chosen.layers, *chosen.splits]):
        net.layers[i].passes = 0
        net.forward_layer(i)
        for t in range(len(net.tops[i])):
            if (i, t) in exported.values:
                yield (i, t), exported.values[i, t]


@contextmanager
def _untouched(net: Net, exported: Exported) -> Iterator[None]:
    """Put the inputs' data and the layers' pass counts back."""
    data = {top: net.tops[top[0]][top[1]].data.copy() for top in exported.selection.inputs}
    passes = [layer.passes for layer in net.layers]
    try:
        yield
    finally:
        for (i, t), x in data.items():
            net.tops[i][t].reshape(*x.shape)
            net.tops[i][t].data[...] = x
        for layer, n in zip(net.layers, passes, strict=True):
            layer.passes = n


def _complaint(net: Net, exported: Exported, seen: _Seen, name: str) -> str:
    i, t = next(top for top, value in exported.values.items() if value == name)
    where = f"{place(net.layers[i].layer_param)}: top '{net.layers[i].layer_param.top[t]}'"
    if name not in seen.largest:
        return f"{where} could not be compared for any input: rounding decides it, or numbers beyond {FAR:g} do"
    return (
        f"{where} is the first where ONNX Runtime and the net differ: by {seen.largest[name]:.2g} of its scale, "
        f"want at most {seen.tolerance:g}"
    )
