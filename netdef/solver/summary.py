"""What a test says of each output of a net: the mean over its batches, or what its metric makes of them."""

from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.layer import Metric
from netdef.net import Net
from netdef.solver.best import Result


class Summary:
    """Outputs, pass after pass."""

    def __init__(self, net: Net, solver: Any = None):
        """`solver` is the SolverParameter, whose settings may say how a metric is to be taken."""
        self.net, self.solver, self.passes = net, solver, 0
        self._sums: dict[str, np.ndarray] = {}
        self._batches: dict[str, list[np.ndarray]] = {name: [] for name in net.outputs if self._metric(name)}

    def _metric(self, name: str) -> Metric | None:
        """The metric that made an output and has a word for all batches; the others' need not be kept."""
        for layer, tops in zip(self.net.layers, self.net.tops, strict=True):
            if isinstance(layer, Metric) and tops and tops[0] is self.net.blobs[name]:
                return layer if type(layer).overall is not Metric.overall else None
        return None

    def add(self) -> None:
        """Take what the last pass left. Raises NetdefError where a size is not what it was: that has no mean."""
        self.passes += 1
        for name in self.net.outputs:
            x = self.net.blobs[name].data.astype(np.float64)
            if name in self._batches:
                self._batches[name].append(x)
                continue
            total = self._sums.get(name, np.zeros_like(x))
            if total.shape != x.shape:
                raise NetdefError(f"output '{name}' has {x.size} values in one batch and {total.size} in another")
            self._sums[name] = total + x

    def results(self) -> list[Result]:
        """(name, value, loss_weight) of every output."""
        return [(name, self._value(name), self.net.loss_weight(name)) for name in self.net.outputs]

    def _value(self, name: str) -> np.ndarray:
        metric = self._metric(name)
        if metric is None:
            return np.asarray(self._sums[name] / self.passes)
        return np.asarray(metric.overall(self._batches[name], self.solver))
