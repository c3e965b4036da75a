"""A net beside the same net in another program: first what both give, then how long both take, in turns."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from netdef.distance import relative
from netdef.errors import PluginError
from netdef.layer import Source
from netdef.net import Net
from netdef.report.timing import one_pass

Place = tuple[int, int]
"""A layer's position and the number of its top."""
Arrays = list[np.ndarray]
T = TypeVar("T")
TOLERANCE = 1e-3  # of the largest number: other orders of summing, no other operation
ROUNDS, MOST, WARM_UP = 5, 10, 2  # turns at least, passes in a turn at most, passes before the first
PAUSE = 0.02  # seconds after which threads that wait for more work of one side have gone to sleep


class Run(Protocol):
    """The whole net in one memory layout, with weights and inputs of its own; every method is one pass."""

    def clear(self) -> None: ...
    def outputs(self) -> Mapping[Place, np.ndarray]: ...
    def step(self) -> None: ...
    def layers(self) -> Mapping[int, tuple[float, float]]: ...


class Peer(Protocol):
    """A net's twin in another program, from (net, sources): where each bottom of each layer comes from.

    lacking: by position, why a layer has no form there. one: a layer's tops, and given the tops' gradients those of
    bottoms and parameters (None for none). run: see Run; `given` holds data and diff of what its layers do not make.
    """

    title: str
    threads: int
    layouts: tuple[str, ...]
    lacking: dict[int, str]

    def is_random(self, i: int) -> bool: ...
    def one(self, i: int, xs: Arrays, dys: Arrays | None, down: Sequence[bool]) -> tuple[Arrays, Sequence[Any]]: ...
    def run(self, layout: str, given: Mapping[Place, tuple[np.ndarray, np.ndarray]]) -> Run: ...


@dataclass
class LayerPair:
    """Medians in milliseconds; backward contains update. `peer` has them by layout."""

    name: str
    type: str
    forward: float
    backward: float
    peer: dict[str, tuple[float, float]]


@dataclass
class Comparison:
    """What was found. `steps` are the median milliseconds of each turn, ours under ""; empty for no whole net."""

    peer: str
    threads: int
    difference: float
    """The largest between what layers give, outputs and gradients, relative to the largest number of each array."""
    left_out: dict[str, str]
    """Layers that are on neither side, and why."""
    layers: list[LayerPair]
    steps: dict[str, list[float]] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """The peer's better one: of the whole step where there is one, else of the layers' sum."""
        if self.steps:
            return min((name for name in self.steps if name), key=lambda name: statistics.median(self.steps[name]))
        layouts = self.layers[0].peer if self.layers else {"": (0.0, 0.0)}
        return min(layouts, key=lambda name: sum(sum(x.peer[name]) for x in self.layers))

    @property
    def ratios(self) -> list[float]:
        """Ours to the peer's better layout, turn by turn."""
        return [ours / theirs for ours, theirs in zip(self.steps.get("", ()), self.steps.get(self.layout, ()))]


def sources(net: Net) -> list[list[Place]]:
    """Where each bottom of each layer comes from: the last layer before it that has a top of the name."""
    latest: dict[str, Place] = {}
    found = []
    for i, layer in enumerate(net.layers):
        found.append([latest[name] for name in layer.layer_param.bottom])
        latest.update((name, (i, t)) for t, name in enumerate(layer.layer_param.top))
    return found


def compare(build: Callable[[bool], Net], make: Callable[..., Peer], iterations: int) -> Comparison:
    """`build(plan)` makes the net, the same each time; `make` is what a plugin registered as the peer."""
    net, checked = build(True), build(False)
    checked.runs_backward = net.runs_backward  # in TEST a planned net runs none, so nobody does
    peer = make(checked, sources(checked))
    check = Check(checked, peer)
    net.forward()
    runs = {layout: peer.run(layout, check.given()) for layout in peer.layouts}
    if not peer.lacking:
        check.whole(next(iter(runs.values())))
    kept = [i for i, layer in enumerate(net.layers) if not isinstance(layer, Source) and i not in peer.lacking]
    found = alternate({"": lambda: _pass(net)} | {name: run.layers for name, run in runs.items()}, iterations)
    passes = {name: [p for turn in turns for p in turn] for name, turns in found.items()}
    layers = [_pair(net, i, passes) for i in kept]
    left_out = {net.layers[i].name: why for i, why in sorted(peer.lacking.items())}
    comparison = Comparison(peer.title, peer.threads, check.difference, left_out, layers)
    if not left_out:
        steps = {"": _step(net)} | {name: _timed(run.clear, run.step) for name, run in runs.items()}
        turns = alternate(steps, iterations)
        comparison.steps = {name: [statistics.median(turn) for turn in t] for name, t in turns.items()}
    return comparison


def _pass(net: Net) -> dict[int, tuple[float, float]]:
    """Milliseconds of each layer: forward, and backward with update."""
    return {i: (forward, update + backward) for i, (forward, update, backward) in enumerate(one_pass(net))}


def _pair(net: Net, i: int, passes: Mapping[str, Sequence[Mapping[int, tuple[float, float]]]]) -> LayerPair:
    def medians(found: Sequence[Mapping[int, tuple[float, float]]]) -> tuple[float, float]:
        return statistics.median(p[i][0] for p in found), statistics.median(p[i][1] for p in found)

    both = {name: medians(found) for name, found in passes.items()}
    forward, backward = both.pop("")
    return LayerPair(net.layers[i].name, net.layers[i].layer_param.type, forward, backward, both)


def alternate(work: Mapping[str, Callable[[], T]], iterations: int) -> dict[str, list[list[T]]]:
    """What each call gives, by turns. The first pass of a turn meets the other's caches and does not count."""
    size = max(1, min(MOST, iterations // ROUNDS))
    for call in work.values():
        for _ in range(WARM_UP):
            call()
    found: dict[str, list[list[T]]] = {name: [] for name in work}
    for turn in range(-(-iterations // size)):
        for name in list(work)[:: -1 if turn % 2 else 1]:
            time.sleep(PAUSE)
            work[name]()
            found[name].append([work[name]() for _ in range(size)])
    return found


def _timed(before: Callable[[], None], work: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        before()
        start = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - start)

    return run


def _step(net: Net) -> Callable[[], float]:
    """Forward and backward of all but the sources, whose data stays from the pass before; gradients cleared before."""
    parts: list[tuple[int, int]] = []
    for i, layer in enumerate(net.layers):
        if not isinstance(layer, Source):
            first = parts.pop()[0] if parts and parts[-1][1] == i - 1 else i
            parts.append((first, i))

    def work() -> None:
        for part in parts:
            net.forward(*part)
        net.backward()

    return _timed(net.clear_param_diffs, work)


class Check:
    """One pass of a net, layer by layer, beside its peer; a layer that differs joins those that the peer lacks."""

    def __init__(self, net: Net, peer: Peer):
        self.net, self.peer, self.sources, self.difference = net, peer, sources(net), 0.0
        self.data: dict[Place, np.ndarray] = {}
        self.diffs: dict[Place, np.ndarray] = {}
        for i in range(len(net.layers)):
            net.forward_layer(i)
            self.data.update(((i, t), top.data.copy()) for t, top in enumerate(net.tops[i]))
        for i in reversed(range(len(net.layers))):
            self._backward(i)

    def _backward(self, i: int) -> None:
        net, layer = self.net, self.net.layers[i]
        down = list(net.propagate_down[i]) if net.runs_backward[i] else [False] * len(net.bottoms[i])
        dys = [top.diff.copy() for top in net.tops[i]] if net.runs_backward[i] else None
        for blob in layer.blobs:
            blob.diff[...] = 0
        if dys is not None:
            self.diffs.update(((i, t), dy) for t, dy in enumerate(dys))
            net.update_layer(i)
            net.backward_layer(i)
        if i in self.peer.lacking or isinstance(layer, Source):
            return
        gradients = [b.diff if d else None for b, d in zip(net.bottoms[i], down, strict=True)]
        gradients += [blob.diff if learns else None for blob, learns in zip(layer.blobs, layer.learns, strict=True)]
        self._compare(i, [self.data[place] for place in self.sources[i]], dys, down, gradients)

    def _compare(self, i: int, xs: Arrays, dys: Arrays | None, down: list[bool], gradients: Sequence[Any]) -> None:
        try:
            ys, found = self.peer.one(i, [x.copy() for x in xs], dys, down)
        except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError) as e:
            self.peer.lacking[i] = (
                f"{self.peer.title} refuses it: {str(e).splitlines()[0] if str(e) else type(e).__name__}"
            )
            return
        pairs = [(self.data[i, t], y) for t, y in enumerate(ys)]
        if self.peer.is_random(i):
            pairs = [(ours * (theirs != 0), theirs * (ours != 0)) for ours, theirs in pairs]
        else:
            pairs += [(a, b) for a, b in zip(gradients, found, strict=False) if a is not None and b is not None]
        worst = max((relative(theirs.ravel(), ours.ravel()) for ours, theirs in pairs), default=0.0)
        if worst > TOLERANCE:
            self.peer.lacking[i] = f"{self.peer.title} gives something else: they differ by {worst:.2g} of the largest"
        else:
            self.difference = max(self.difference, worst)

    def whole(self, run: Run) -> None:
        """Compare the outputs of the whole net. Raises PluginError, as layers that agree one by one must."""
        made = run.outputs()
        for place, ours in self.data.items():
            if self.net.layers[place[0]].layer_param.top[place[1]] in self.net.outputs and place in made:
                worst = relative(made[place].ravel(), ours.ravel())
                if worst > TOLERANCE * 10:
                    name = self.net.layers[place[0]].name
                    raise PluginError(
                        f"{self.peer.title}: layer '{name}' differs by {worst:.2g} in the whole net alone"
                    )

    def given(self) -> dict[Place, tuple[np.ndarray, np.ndarray]]:
        """Data and diff of the tops of sources, of what is drawn by chance, and of all that touches a missing layer."""
        places = {
            place
            for place in self.data
            if isinstance(self.net.layers[place[0]], Source)
            or self.peer.is_random(place[0])
            or place[0] in self.peer.lacking
        }
        places.update(place for i in self.peer.lacking for place in self.sources[i])
        return {p: (self.data[p], self.diffs.get(p, np.zeros_like(self.data[p]))) for p in places}
