"""Caffe's rules and AdamW; compiled loops for large parameters: decay, memory, weights in one pass, on all cores."""

from typing import Any

import numpy as np

from netdef.layer import hookimpl
from netdef.solver import rules

Array = np.ndarray
Decay = tuple[float, float, float]
"""What the gradient is multiplied by, then L2 and L1."""


def loops() -> Any:
    from .kernels import rules

    return rules


class SGD(rules.SGD):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        loops().sgd(w, g, *memory, decay, rate, self.momentum)


class Nesterov(rules.Nesterov):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        loops().nesterov(w, g, *memory, decay, rate, self.momentum)


class AdaGrad(rules.AdaGrad):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        loops().adagrad(w, g, *memory, decay, rate, self.delta)


class RMSProp(rules.RMSProp):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        loops().rmsprop(w, g, *memory, decay, rate, self.decay, self.delta)


class AdaDelta(rules.AdaDelta):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        loops().adadelta(w, g, *memory, decay, rate, self.momentum, self.delta)


class Adam(rules.Adam):
    def apply(self, w: Array, g: Array, memory: list[Array], decay: Decay, rate: float, iteration: int) -> None:
        settings = self.correction(iteration), self.momentum, self.momentum2, self.delta, self.decoupled
        loops().adam(w, g, *memory, decay, rate, *settings)


class AdamW(Adam, rules.AdamW):
    """Adam with decay beside the step."""


@hookimpl
def netdef_rules() -> dict[str, type]:
    return {cls.__name__: cls for cls in (SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam, AdamW)}
