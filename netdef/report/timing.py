"""How long a net takes, layer by layer."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from netdef.net import Net

WARM_UP = 2  # the first pass allocates and compiles, the second meets cold caches
SIDE, PRODUCTS = 1536, 8  # of the matrices whose product tells the machine's rate, and how often before and after


@dataclass
class LayerTime:
    """Medians in milliseconds; floating-point operations of its multiply-adds, forward, and as often in each other."""

    name: str
    type: str
    forward: float
    update: float
    backward: float
    flop: int = 0

    @property
    def total(self) -> float:
        return self.forward + self.update + self.backward

    def gflops(self, step: str) -> float | None:
        """Milliards of operations a second in "forward", "update" or "backward"; None where there are none."""
        spent = getattr(self, step)
        return self.flop / spent / 1e6 if self.flop and spent else None


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
    net.forward()  # lets a planned net take its memory
    for _ in range(WARM_UP):
        one_pass(net)
    passes = [one_pass(net) for _ in range(iterations)]
    rows = []
    for i, layer in enumerate(net.layers):
        forward, update, backward = (statistics.median(p[i][k] for p in passes) for k in range(3))
        rows.append(LayerTime(layer.name, layer.layer_param.type, forward, update, backward, _flop(net, i)))
    forward, update, backward = (sum(x[k] for p in passes for x in p) / iterations for k in range(3))
    backward += update
    return Timing(iterations, forward, backward, (forward + backward) * iterations, rows)


def one_pass(net: Net) -> list[tuple[float, float, float]]:
    """Milliseconds of each layer in one pass: forward, update, backward."""
    net.clear_param_diffs()  # not timed: a solver does it once an iteration
    layers = range(len(net.layers))
    forward = [_clock(net.forward_layer, i) for i in layers]
    update, backward = [0.0] * len(net.layers), [0.0] * len(net.layers)
    for i in reversed(layers):
        if net.runs_backward[i]:
            update[i] = _clock(net.update_layer, i)
            backward[i] = _clock(net.backward_layer, i) if any(net.propagate_down[i]) else 0.0
    return list(zip(forward, update, backward, strict=True))


def _clock(call: Callable[[int], Any], i: int) -> float:
    start = time.perf_counter()
    call(i)
    return (time.perf_counter() - start) * 1e3


def _flop(net: Net, i: int) -> int:
    """Of a layer's multiply-adds; 0 where each number is met once, and memory, not arithmetic, takes the time."""
    macs = net.macs(i)
    return 2 * macs if macs > sum(top.count for top in net.tops[i]) else 0


def sgemm_gflops() -> float:
    """The best of some products of square float32 matrices by NumPy's BLAS, on as many threads as nets use.

    Milliards of operations a second, which a layer's own rate can be held against.
    """
    a, b = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), np.float32)
    wanted = os.environ.get("NETDEF_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with threadpool_limits(int(wanted) if wanted.isdigit() and int(wanted) else cores, user_api="blas"):
        best = min(_clock(lambda _: a @ b, 0) for _ in range(PRODUCTS))
    return 2 * SIDE**3 / best / 1e6
