"""Learning-rate policies: the rate as a function of the settings and the iteration."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from netdef.errors import SolverError
from netdef.hookspecs import hookimpl


def fixed(p: Any, i: int) -> float:
    """base_lr"""
    return p.base_lr


def step(p: Any, i: int) -> float:
    """base_lr * gamma ^ floor(i / stepsize)"""
    need(p, "step", "gamma", "stepsize")
    if p.stepsize <= 0:
        raise SolverError(f"lr_policy 'step' needs a stepsize above 0, got {p.stepsize}")
    return p.base_lr * p.gamma ** (i // p.stepsize)


def exp(p: Any, i: int) -> float:
    """base_lr * gamma ^ i"""
    need(p, "exp", "gamma")
    return p.base_lr * p.gamma**i


def inv(p: Any, i: int) -> float:
    """base_lr * (1 + gamma * i) ^ -power"""
    need(p, "inv", "gamma", "power")
    return p.base_lr * (1 + p.gamma * i) ** -p.power


def multistep(p: Any, i: int) -> float:
    """base_lr * gamma ^ (how many stepvalues are reached)"""
    need(p, "multistep", "gamma")
    return p.base_lr * p.gamma ** steps(p.stepvalue, i)


def steps(values: Sequence[int], i: int) -> int:
    """How many stepvalues are reached at iteration i: in the order given and one an iteration at most, as Caffe's."""
    at = -1
    for taken, value in enumerate(values):
        at = max(value, at + 1)
        if i < at:
            return taken
    return len(values)


def poly(p: Any, i: int) -> float:
    """base_lr * (1 - i / max_iter) ^ power"""
    need(p, "poly", "max_iter", "power")
    return p.base_lr * max(0.0, 1 - i / p.max_iter) ** p.power


def sigmoid(p: Any, i: int) -> float:
    """base_lr / (1 + e ^ (-gamma * (i - stepsize)))"""
    need(p, "sigmoid", "gamma", "stepsize")
    z = p.gamma * (i - p.stepsize)
    return p.base_lr / (1 + math.exp(-z)) if z > -700 else 0.0


def cosine(p: Any, i: int) -> float:
    """min_lr + (base_lr - min_lr) * (1 + cos(pi * i / max_iter)) / 2"""
    need(p, "cosine", "max_iter")
    return p.min_lr + (p.base_lr - p.min_lr) * (1 + math.cos(math.pi * min(1.0, i / p.max_iter))) / 2


class Plateau:
    """base_lr * gamma ^ (drops so far), not below min_lr.

    A drop comes when the smoothed loss has found no new minimum for plateau_winsize iterations; each drop has its own
    plateau_winsize, so that there are as many drops as values.
    """

    def __init__(self) -> None:
        self.memory = [math.inf, 0.0, 0.0]
        """Least loss, iteration of that or of the last drop, drops; kept in snapshots."""

    def __call__(self, p: Any, i: int) -> float:
        need(p, "plateau", "gamma")
        if not len(p.plateau_winsize):
            raise SolverError("lr_policy 'plateau' needs plateau_winsize in the solver, one for each drop")
        return max(p.min_lr, p.base_lr * p.gamma ** self.memory[2])

    def see(self, p: Any, i: int, loss: float) -> None:
        """The smoothed loss of iteration i, before its step is taken."""
        least, since, drops = self.memory
        if loss < least:
            self.memory = [loss, i, drops]
        elif drops < len(p.plateau_winsize) and i - since >= p.plateau_winsize[int(drops)]:
            self.memory = [least, i, drops + 1]


class Schedule:
    """A policy as the solver follows it: preceded by warm-up, told of every loss.

    A policy is a function (solver_param, iteration) -> rate. One with a memory is a class without arguments whose
    instances are called so; see(solver_param, iteration, loss) tells them, and `memory`, numbers, is kept in snapshots.
    """

    def __init__(self, param: Any, policy: Any, guard: Callable[[], AbstractContextManager[None]] = nullcontext):
        """Within `guard()` the policy's code runs. Raises what the policy raises for settings it cannot follow."""
        self.param, self._guard = param, guard
        with guard():
            self._policy = policy() if isinstance(policy, type) else policy
        self.rate(param.warmup_iter)

    def rate(self, i: int) -> float:
        p = self.param
        if i < p.warmup_iter:
            return (i * p.base_lr + (p.warmup_iter - i) * p.warmup_start_lr) / p.warmup_iter
        with self._guard():
            return float(self._policy(p, i))

    def see(self, i: int, loss: float) -> None:
        if hasattr(self._policy, "see"):
            with self._guard():
                self._policy.see(self.param, i, loss)

    @property
    def memory(self) -> list[float]:
        return [float(x) for x in getattr(self._policy, "memory", ())]

    @memory.setter
    def memory(self, values: Sequence[float]) -> None:
        if hasattr(self._policy, "memory") and len(values) == len(self._policy.memory):
            self._policy.memory = list(values)


def need(p: Any, policy: str, *fields: str) -> None:
    """Raises SolverError for a setting that a policy cannot do without and that the solver leaves unset."""
    missing = [f for f in fields if not p.HasField(f)]
    if missing:
        raise SolverError(f"lr_policy '{policy}' needs {' and '.join(missing)} in the solver")


@hookimpl
def netdef_policies() -> dict[str, Any]:
    return {f.__name__: f for f in (fixed, step, exp, inv, multistep, poly, sigmoid, cosine)} | {"plateau": Plateau}
