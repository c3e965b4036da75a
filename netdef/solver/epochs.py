"""Settings in epochs, turned into iterations by the size of the training data."""

import math
from typing import Any

from netdef.errors import SolverError
from netdef.layer import Source
from netdef.net import Net

SINGLE = {
    "max_epoch": "max_iter",
    "test_interval_epoch": "test_interval",
    "snapshot_epoch": "snapshot",
    "stepsize_epoch": "stepsize",
    "warmup_epoch": "warmup_iter",
}


def batches(net: Net) -> float:
    """Passes of a net over all its data, by the first source that knows its `size`; 0 where none does."""
    for layer, tops in zip(net.layers, net.tops, strict=True):
        size = getattr(layer, "size", 0)
        if isinstance(layer, Source) and isinstance(size, int) and size > 0 and tops and tops[0].shape:
            return size / max(1, tops[0].shape[0])
    return 0.0


def in_iterations(param: Any, length: float) -> Any:
    """A copy of the settings with iterations for epochs of `length` iterations, each at least 1.

    Raises SolverError where the length is unknown (0), and for a setting that is given both ways.
    """
    given = [name for name in SINGLE if param.HasField(name)]
    lists = ["stepvalue_epoch"] if len(param.stepvalue_epoch) else []
    new = type(param)()
    new.CopyFrom(param)
    if given + lists and not length:
        raise SolverError(
            f"{(given + lists)[0]} needs training data of a known size, and no source here has one; give iterations"
        )
    for name in given:
        if param.HasField(SINGLE[name]):
            raise SolverError(f"{name} and {SINGLE[name]} are both given; keep one")
        setattr(new, SINGLE[name], _iterations(name, getattr(param, name), length))
    if lists:
        if len(param.stepvalue):
            raise SolverError("stepvalue_epoch and stepvalue are both given; keep one")
        new.stepvalue.extend(_iterations("stepvalue_epoch", value, length) for value in param.stepvalue_epoch)
    return new


def _iterations(name: str, epochs: float, length: float) -> int:
    if not 0 <= epochs * length < 2**31:
        raise SolverError(f"{name} is {epochs:g}; want a number of epochs from 0")
    return max(1, round(epochs * length)) if epochs else 0


def test_batches(test_iter: int, net: Net) -> int:
    """test_iter; where it is 0, as many batches as cover the test data once."""
    if test_iter > 0:
        return test_iter
    found = math.ceil(batches(net))
    if test_iter < 0 or not found:
        raise SolverError(f"test_iter is {test_iter}; want 1 or more, or 0 with test data that knows its size")
    return found
