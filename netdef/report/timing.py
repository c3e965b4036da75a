"""How long a net takes, layer by layer."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from netdef.net import Net

WARM_UP = 2  # the first pass allocates and compiles, the second meets cold caches


@dataclass
class LayerTime:
    """Medians in milliseconds."""

    name: str
    type: str
    forward: float
    update: float
    backward: float

    @property
    def total(self) -> float:
        return self.forward + self.update + self.backward


@dataclass
class Timing:
    """Means over whole iterations in milliseconds, as Caffe prints them; backward contains update."""

    iterations: int
    forward: float
    backward: float
    total: float
    layers: list[LayerTime] = field(default_factory=list)

    @property
    def forward_backward(self) -> float:
        return self.forward + self.backward

    def summary(self) -> dict[str, Any]:
        return {**asdict(self), "forward_backward": self.forward_backward}


def timing(net: Net, iterations: int) -> Timing:
    """Run a net `iterations` times after a warm-up."""
    layers = range(len(net.layers))
    times: dict[str, list[list[float]]] = {step: [[] for _ in layers] for step in ("forward", "update", "backward")}
    for n in range(-WARM_UP, iterations):
        if n == 0:
            times = {step: [[] for _ in layers] for step in times}
        _pass(net, times)
    rows = [
        LayerTime(layer.name, layer.layer_param.type, *(statistics.median(times[step][i]) for step in times))
        for i, layer in enumerate(net.layers)
    ]
    means = {step: sum(map(sum, times[step])) / iterations for step in times}
    backward = means["update"] + means["backward"]
    return Timing(iterations, means["forward"], backward, (means["forward"] + backward) * iterations, rows)


def _pass(net: Net, times: dict[str, list[list[float]]]) -> None:
    net.clear_param_diffs()  # not timed: a solver does it once an iteration
    for i in range(len(net.layers)):
        times["forward"][i].append(_clock(net.forward_layer, i))
    for i in reversed(range(len(net.layers))):
        runs = net.runs_backward[i]
        times["update"][i].append(_clock(net.update_layer, i) if runs else 0.0)
        times["backward"][i].append(_clock(net.backward_layer, i) if runs else 0.0)


def _clock(call: Callable[[int], Any], i: int) -> float:
    start = time.perf_counter()
    call(i)
    return (time.perf_counter() - start) * 1e3
