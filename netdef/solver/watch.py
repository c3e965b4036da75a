"""Statistics of every blob and parameter, taken at an interval while a pass runs."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netdef.layer import Source
from netdef.net import Net

SAMPLE = 1 << 16
"""Values of an array that statistics look at, evenly spaced: more would only cost time."""
BINS = 40


@dataclass
class BlobStatistics:
    """A top as its layer made it; `dead` is the share of its channels that are 0 for the whole batch."""

    layer: str
    type: str
    blob: str
    is_data: bool
    mean: float
    mean_abs: float
    low: float
    high: float
    zeros: float
    dead: float
    gradient: float = 0.0
    """Mean absolute value of its gradient; 0 where none is computed."""


@dataclass
class ParameterStatistics:
    """`gradient` and `norm` are L2 norms; `ratio` is the norm of the step over that of the weights."""

    layer: str
    index: int
    mean_abs: float
    norm: float
    gradient: float
    gradient_mean_abs: float
    zeros: float
    ratio: float = 0.0
    weights_bins: list[int] = field(default_factory=list)
    weights_range: tuple[float, float] = (0.0, 0.0)
    gradient_bins: list[int] = field(default_factory=list)
    gradient_range: tuple[float, float] = (0.0, 0.0)


@dataclass
class Statistics:
    """One look, at iteration `iter`."""

    iter: int
    blobs: list[BlobStatistics] = field(default_factory=list)
    parameters: list[ParameterStatistics] = field(default_factory=list)


class Watch:
    """Looks at one iteration in `interval`; of iter_size passes, at the last."""

    def __init__(self, interval: int):
        self.interval = interval
        self.running = False
        self._found = Statistics(0)
        self._gradients: dict[int, float] = {}
        """Of each blob's storage, in the pass that is looked at."""

    def begins(self, iteration: int) -> bool:
        """Whether to look at this iteration; what was seen before is forgotten."""
        self.running = self.interval > 0 and iteration % self.interval == 0
        self._found = Statistics(iteration)
        return self.running

    def forward(self, net: Net, i: int) -> None:
        if i == 0:
            self._found.blobs.clear()
        layer = net.layers[i]
        if layer.role == "split":  # nothing new, and a name that nobody wrote
            return
        for name, top in zip(layer.layer_param.top, net.tops[i], strict=True):
            if top.count:
                self._found.blobs.append(_blob(layer, name, top.data))

    def backward(self, net: Net, i: int) -> None:
        for bottom, down in zip(net.bottoms[i], net.propagate_down[i], strict=True):
            if down and bottom.count:
                self._gradients[id(bottom)] = _mean_abs(sample(bottom.diff))

    def before_step(self, net: Net) -> None:
        """The gradients are still in the parameters' diffs."""
        for p in net.parameters:
            w, g = p.blob.data, p.blob.diff
            found = ParameterStatistics(p.layer, p.index, _mean_abs(w), _norm(w), 0.0, 0.0, 0.0)
            if p.lr_mult:
                found.gradient, found.gradient_mean_abs = _norm(g), _mean_abs(g)
            part = sample(w)
            found.zeros = 1 - np.count_nonzero(part) / max(1, part.size)
            found.weights_bins, found.weights_range = histogram(part)
            found.gradient_bins, found.gradient_range = histogram(sample(g))
            self._found.parameters.append(found)

    def after_step(self, net: Net) -> Statistics:
        """The steps are in the diffs now."""
        for p, found in zip(net.parameters, self._found.parameters, strict=True):
            if p.lr_mult and found.norm:
                found.ratio = _norm(p.blob.diff) / found.norm
        named = {name: id(t) for i in range(len(net.layers)) for name, t in _tops(net, i)}
        for blob in self._found.blobs:
            blob.gradient = self._gradients.get(named.get(blob.blob, 0), 0.0)
        self._gradients.clear()
        self.running = False
        return self._found


def _tops(net: Net, i: int) -> list[tuple[str, Any]]:
    """The tops of a layer by name; a split hands its bottom's gradient on under the bottom's name."""
    return list(zip(net.layers[i].layer_param.top, net.tops[i], strict=True))


def _blob(layer: Any, name: str, x: np.ndarray) -> BlobStatistics:
    part = sample(x)
    zeros = 1 - np.count_nonzero(part) / part.size
    kind = layer.layer_param.type
    dead = _dead(x) if zeros > 0.1 else 0.0
    low, high, mean = float(part.min()), float(part.max()), float(part.mean(dtype=np.float64))
    return BlobStatistics(
        layer.name, kind, name, isinstance(layer, Source), mean, _mean_abs(part), low, high, zeros, dead
    )


def _dead(x: np.ndarray) -> float:
    """The share of channels (axis 1) without a value other than 0."""
    if x.ndim < 2 or len(x) < 2:
        return 0.0
    alive = (x.reshape(*x.shape[:2], -1) != 0).any(axis=(0, 2))
    return float(1 - alive.mean())


def sample(x: np.ndarray) -> np.ndarray:
    """At most about SAMPLE values, evenly spaced over the array."""
    flat = x.reshape(-1)
    step = max(1, flat.size // SAMPLE)
    return flat[:: step | 1 if step > 1 else 1]


def _mean_abs(x: np.ndarray) -> float:
    flat = sample(x)
    return float(np.abs(flat).mean(dtype=np.float64)) if flat.size else 0.0


def _norm(x: np.ndarray) -> float:
    flat = x.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return math.sqrt(float(np.dot(flat, flat)))


def histogram(values: np.ndarray, bins: int = BINS) -> tuple[list[int], tuple[float, float]]:
    """Counts in equal bins, and the range; nothing for values that are not finite."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        return [], (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, bins, (low, high))
    return counts.tolist(), (low, high)


def data_statistics(net: Net) -> list[BlobStatistics]:
    """Of the batch that the sources hold now."""
    return [
        _blob(layer, name, top.data)
        for layer, tops in zip(net.layers, net.tops, strict=True)
        if isinstance(layer, Source)
        for name, top in zip(layer.layer_param.top, tops, strict=True)
        if top.count
    ]
