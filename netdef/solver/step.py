"""One update of every parameter: clip, divide by iter_size, decay, rule, step; in cache-sized slices or at once."""

import math
from typing import Any

import numpy as np

from netdef.errors import SolverError
from netdef.parameters import Parameter
from netdef.solver.rules import Rule

SLICE = 1 << 15  # elements: gradient, weight and memory of a slice stay in a core's second-level cache
LARGE = 1 << 14  # elements from which on a rule that can do more at once than `step` is asked to


class Updater:
    """Applies a rule to the parameters of a net; `memory[i]` belongs to parameter i."""

    def __init__(self, param: Any, rule: Rule, parameters: list[Parameter]):
        self.param, self.rule, self.parameters = param, rule, parameters
        self.memory = [[np.zeros(p.blob.count, p.blob.dtype) for _ in range(rule.memory)] for p in parameters]
        kind = param.regularization_type
        if kind not in ("L1", "L2"):
            raise SolverError(f"unknown regularization_type '{kind}'; want L1 or L2")

    def apply(self, rate: float, iteration: int) -> None:
        """Step every parameter whose lr_mult is not 0."""
        scale = self._clip() / self.param.iter_size
        for p, memory in zip(self.parameters, self.memory, strict=True):
            if p.lr_mult:
                self._step(p, memory, scale, rate * p.lr_mult, iteration)

    def _clip(self) -> float:
        """What scales the gradients down to clip_gradients, by their L2 norm over all that learns; 1 without it."""
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        norm = math.sqrt(sum(_square(p.blob.diff) for p in self.parameters if p.lr_mult))
        return limit / norm if norm > limit else 1.0

    def _step(self, p: Parameter, memory: list[np.ndarray], scale: float, rate: float, iteration: int) -> None:
        w, g = p.blob.data.reshape(-1), p.blob.diff.reshape(-1)
        decay = self.param.weight_decay * p.decay_mult
        if w.size >= LARGE and hasattr(self.rule, "apply"):
            l1 = self.param.regularization_type == "L1"
            self.rule.apply(w, g, memory, (scale, 0.0 if l1 else decay, decay if l1 else 0.0), rate, iteration)
            return
        for at in range(0, w.size, SLICE):
            part = slice(at, at + SLICE)
            dw = g[part]
            if scale != 1.0:
                dw *= scale
            if decay and not self.rule.decoupled:
                dw += decay * self._pull(w[part])
            self.rule.step(dw, [m[part] for m in memory], rate, iteration)
            if decay and self.rule.decoupled:
                dw += rate * decay * self._pull(w[part])
            w[part] -= dw

    def _pull(self, w: np.ndarray) -> np.ndarray:
        """What weight decay is times of."""
        return np.sign(w) if self.param.regularization_type == "L1" else w


def _square(x: np.ndarray) -> float:
    flat = x.reshape(-1)
    return float(np.dot(flat, flat))
