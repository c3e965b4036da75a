"""Is backward the derivative of forward, and update? Measured in float64, along random directions, away from kinks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from netdef.testing.bench import Arrays, Bench, random

STEP = 1e-5
TOLERANCE = 1e-5
DIRECTIONS = 3
POINTS = 12
PROBES = 64


@dataclass
class _Moved:
    """An input or a parameter whose gradient is checked."""

    name: str
    who: str
    """How messages name it: the layer, then the bottom or the parameter."""
    is_input: bool
    settled: int = 0


def gradient_faults(bench: Bench) -> Iterator[str]:
    """What is wrong with the gradients of a float64 bench: a line for each input and parameter that is.

    Each is moved along three random directions. Where two step sizes disagree about the slope a kink is near, and
    another point is tried.
    """
    moved = _moved(bench)
    for point in range(POINTS):
        todo = [m for m in moved if m.settled < DIRECTIONS]
        if not todo:
            return
        inputs = bench.draw(point)
        if not all(np.isfinite(y).all() for y in bench.forward(inputs)):
            yield f"forward gave numbers that are not finite at point {point}; does the case need other ranges?"
            return
        dx, dw = bench.backward()
        for m in todo:
            analytic = dx[m.name] if m.is_input else dw[m.name]
            fault = _fault(_objective(bench, inputs, m), m, analytic, point)
            if fault:
                yield fault
                m.settled = DIRECTIONS
    for m in moved:
        if not m.settled:
            yield f"{m.who}: two step sizes never agreed about the slope at {POINTS} points; is forward smooth?"


def _moved(bench: Bench) -> list[_Moved]:
    found = []
    for name in bench.differentiable():
        found.append(_Moved(name, f"{bench.reader(name)}: backward to bottom '{name}'", True))
    for p in bench.net.parameters:
        if f"{p.layer}/{p.index}" in bench.parameters():
            who = bench.place(bench.net.index(p.layer))
            found.append(_Moved(f"{p.layer}/{p.index}", f"{who}: update of parameter {p.index}", False))
    return found


Objective = Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]


def _objective(bench: Bench, inputs: Arrays, m: _Moved) -> Objective:
    """A function from a displacement to pairs (weight, value) whose products sum to the objective."""

    def at(d: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if m.is_input:
            bench.forward(inputs | {m.name: inputs[m.name] + d})
            return bench.objective()
        blob = bench.parameters()[m.name]
        kept = blob.data.copy()
        blob.data[...] += d
        bench.forward(inputs)
        blob.data[...] = kept
        return bench.objective()

    return at


def _fault(objective: Objective, m: _Moved, analytic: np.ndarray, point: int) -> str:
    """Compare along one direction; empty when right or when a kink is near."""
    v = random(m.name, point).standard_normal(analytic.shape)
    slope, noise = _slope(objective, v, STEP)
    again, _ = _slope(objective, v, STEP / 2)
    allowed = TOLERANCE * max(float(np.linalg.norm(analytic)), abs(slope)) + noise
    if not abs(slope - again) <= allowed:
        return ""
    m.settled += 1
    said = float(np.sum(analytic * v))
    if abs(said - slope) <= 3 * allowed:
        return ""
    return (
        f"{m.who}: along a random direction the gradient is {said:.9g}, forward moves by {slope:.9g}"
        f"{_worst(objective, analytic, point)}"
    )


def _slope(objective: Objective, v: np.ndarray, step: float) -> tuple[float, float]:
    """The central difference along v, and what rounding may have added to it."""
    pairs = list(zip(objective(step * v), objective(-step * v), strict=True))
    slope = sum(float(np.sum(w * (ahead - behind))) for (w, ahead), (_, behind) in pairs) / (2 * step)
    size = sum(float(np.sum(np.abs(w * ahead))) for (w, ahead), _ in pairs)
    return slope, 16 * np.finfo(np.float64).eps * size / step


def _worst(objective: Objective, analytic: np.ndarray, point: int) -> str:
    """The element, of some probed one by one, where gradient and forward are farthest apart."""
    order = random("probe", point).permutation(analytic.size)[:PROBES]
    worst, text = 0.0, ""
    for flat in order:
        v = np.zeros(analytic.shape)
        v.flat[flat] = 1.0
        slope, noise = _slope(objective, v, STEP)
        off = abs(slope - float(analytic.flat[flat])) - noise
        if off > worst:
            at = tuple(int(k) for k in np.unravel_index(flat, analytic.shape))
            worst, text = off, f"; at {at} it is {analytic.flat[flat]:.9g}, forward moves by {slope:.9g}"
    return text
