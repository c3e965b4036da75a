"""Learning-rate policies: the rate as a function of the settings and the iteration."""

import math
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
    return p.base_lr * p.gamma ** sum(i >= value for value in p.stepvalue)


def poly(p: Any, i: int) -> float:
    """base_lr * (1 - i / max_iter) ^ power"""
    need(p, "poly", "max_iter", "power")
    return p.base_lr * max(0.0, 1 - i / p.max_iter) ** p.power


def sigmoid(p: Any, i: int) -> float:
    """base_lr / (1 + e ^ (-gamma * (i - stepsize)))"""
    need(p, "sigmoid", "gamma", "stepsize")
    z = p.gamma * (i - p.stepsize)
    return p.base_lr / (1 + math.exp(-z)) if z > -700 else 0.0


def need(p: Any, policy: str, *fields: str) -> None:
    """Raises SolverError for a setting that a policy cannot do without and that the solver leaves unset."""
    missing = [f for f in fields if not p.HasField(f)]
    if missing:
        raise SolverError(f"lr_policy '{policy}' needs {' and '.join(missing)} in the solver")


@hookimpl
def netdef_policies() -> dict[str, Any]:
    return {f.__name__: f for f in (fixed, step, exp, inv, multistep, poly, sigmoid)}
