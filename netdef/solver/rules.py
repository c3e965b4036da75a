"""Solver rules: each turns a gradient g, and what it remembers, into a step taken off the weights."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from netdef.errors import SolverError

Array = np.ndarray


class Rule(ABC):
    """One rule for the whole net; `memory` arrays per parameter, of its shape, zero at first, kept in snapshots.

    `step` is elementwise: it is called on flat slices, so that its passes stay in the cache. A rule may also have
    apply(w, g, memory, (scale, l2, l1), rate, iteration) for large parameters, flat as well: with scale * g + l2 * w +
    l1 * sign(w) for a gradient (where `decoupled`, scale * g) it leaves the step in g and takes it off w.
    """

    memory: ClassVar[int] = 1
    decoupled: ClassVar[bool] = False
    """Whether weight decay stays out of the gradient and is taken off the weights beside the step, times the rate."""
    has_momentum: ClassVar[bool] = True
    """Whether the setting `momentum` means anything to the rule."""

    def __init__(self, param: Any):
        """`param` is the SolverParameter. Raises SolverError for what the rule cannot use, as Caffe does."""
        if param.momentum and not self.has_momentum:
            raise SolverError(f"takes no momentum, got {param.momentum:g}; leave it out")
        self.momentum: float = param.momentum
        self.delta: float = param.delta

    @abstractmethod
    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        """Replace the gradient in g by the step to take off the weights, at iteration 0, 1, ..."""


class SGD(Rule):
    """v = momentum * v + rate * g; step v"""

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        (v,) = memory
        v *= self.momentum
        g *= rate
        v += g
        g[...] = v


class Nesterov(Rule):
    """v' = momentum * v + rate * g; step (1 + momentum) * v' - momentum * v"""

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        (v,) = memory
        old = v * self.momentum
        g *= rate
        np.add(old, g, out=v)
        np.multiply(v, 1 + self.momentum, out=g)
        g -= old


class AdaGrad(Rule):
    """h = h + g^2; step rate * g / (sqrt(h) + delta)"""

    has_momentum = False

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        (h,) = memory
        h += g * g
        g *= rate
        g /= np.sqrt(h) + self.delta


class RMSProp(Rule):
    """h = rms_decay * h + (1 - rms_decay) * g^2; step rate * g / (sqrt(h) + delta)"""

    has_momentum = False

    def __init__(self, param: Any):
        super().__init__(param)
        self.decay: float = param.rms_decay
        if not 0 <= self.decay < 1:
            raise SolverError(f"rms_decay is {self.decay:g}; want 0 or more, below 1")

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        (h,) = memory
        h *= self.decay
        h += (1 - self.decay) * g * g
        g *= rate
        g /= np.sqrt(h) + self.delta


class AdaDelta(Rule):
    """h = m * h + (1 - m) * g^2; s = g * sqrt((u + delta) / (h + delta)); u = m * u + (1 - m) * s^2; step rate * s"""

    memory = 2

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        h, u = memory
        m = self.momentum
        h *= m
        h += (1 - m) * g * g
        g *= np.sqrt((u + self.delta) / (h + self.delta))
        u *= m
        u += (1 - m) * g * g
        g *= rate


class Adam(Rule):
    """m = b1 * m + (1 - b1) * g; v = b2 * v + (1 - b2) * g^2; step rate * c * m / (sqrt(v) + delta)

    with b1 = momentum, b2 = momentum2 and c = sqrt(1 - b2^t) / (1 - b1^t) at the t-th iteration, counted from 1.
    """

    memory = 2

    def __init__(self, param: Any):
        super().__init__(param)
        self.momentum2: float = param.momentum2

    def correction(self, iteration: int) -> float:
        """c."""
        t = iteration + 1
        return (1 - self.momentum2**t) ** 0.5 / (1 - self.momentum**t)

    def step(self, g: Array, memory: list[Array], rate: float, iteration: int) -> None:
        m, v = memory
        m *= self.momentum
        m += (1 - self.momentum) * g
        v *= self.momentum2
        v += (1 - self.momentum2) * g * g
        np.divide(m, np.sqrt(v) + self.delta, out=g)
        g *= rate * self.correction(iteration)


class AdamW(Adam):
    """Adam's step + rate * weight_decay * decay_mult * w: decay that the squared gradients do not scale.

    Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; not in Caffe.
    """

    decoupled = True
