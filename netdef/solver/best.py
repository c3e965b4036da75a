"""Which test was the best, and whether it is time to stop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.errors import SolverError
from netdef.names import nearest
from netdef.net import Net

Result = tuple[str, np.ndarray, float]
"""(blob name, mean over the test's batches, loss weight)"""


@dataclass
class Best:
    """The best result so far, the iteration it came from, and the tests since."""

    value: float = math.nan
    iter: int = -1
    stale: int = 0


class Judge:
    """Watches one number of the first test net: best_by, else the loss, else the first output.

    A result that is not a number is no improvement, whatever was before.
    """

    def __init__(self, param: Any, net: Net):
        """Raises SolverError for a best_by that is no output."""
        weighed = [name for name in net.outputs if net.loss_weight(name)]
        self.name: str = param.best_by or (weighed[0] if len(weighed) == 1 else "")
        if param.best_by and param.best_by not in net.outputs:
            near = nearest(param.best_by, net.outputs)
            raise SolverError(f"best_by: '{param.best_by}' is no output of the test net{near}")
        self.all_losses = not self.name and bool(weighed)
        self.name = self.name or ("loss" if weighed else (net.outputs or [""])[0])
        small = self.name in weighed or self.all_losses or any(w in self.name.lower() for w in ("loss", "error"))
        self.larger: bool = param.best_is_larger if param.HasField("best_is_larger") else not small
        self.least: float = param.min_improvement
        self.patience: int = param.patience
        self.best = Best()

    def value(self, results: Sequence[Result]) -> float:
        """The number that counts in a test's results; NaN where it is not among them."""
        if self.all_losses:
            return float(sum(np.sum(values) * weight for _, values, weight in results))
        return next((float(np.mean(values)) for name, values, _ in results if name == self.name), math.nan)

    def see(self, results: Sequence[Result], iteration: int) -> bool:
        """Take a test into account; whether it is the best so far."""
        value = self.value(results)
        gain = (value - self.best.value) * (1 if self.larger else -1)
        if math.isfinite(value) and (math.isnan(self.best.value) or gain > self.least):
            self.best = Best(value, iteration, 0)
            return True
        self.best.stale += 1
        return False

    @property
    def has_enough(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self.patience <= self.best.stale

    def __str__(self) -> str:
        """ "loss 0.0512 at iteration 400" """
        return f"{self.name} {self.best.value:.4g} at iteration {self.best.iter}"
