"""Short runs of the digits net, whose data is in the repository, and of a net whose data a test makes."""

from pathlib import Path

import numpy as np

from netdef import prototxt, read, registry
from netdef.solver import Solver

DIGITS = Path(__file__).resolve().parents[2] / "models/digits"

MEMORY = """
name: "made"
layer {{
  name: "data" type: "MemoryData" top: "x" top: "label"
  memory_data_param {{ batch_size: {batch} channels: {channels} height: 1 width: 1 }}
}}
{layers}
"""


def digits(folder, **settings):
    """A solver of the digits net that writes into a folder; settings override its own, None takes one away."""
    param = read.solver_param(DIGITS / "solver.prototxt")
    param.net, param.snapshot_prefix = str(DIGITS / "train_val.prototxt"), str(folder / "run")
    return Solver(changed(param, {"display": 0, "snapshot": 0, **settings}), plan=True)


def made(folder, layers, x, label, batch=32, plan=False, **settings):
    """A solver of layers (from "x" and "label") over arrays x (N, channels) and label (N)."""
    schema = registry.default().schema
    param = schema.message("SolverParameter")()
    text = MEMORY.format(batch=batch, channels=x.shape[1], layers=layers)
    param.net_param.CopyFrom(prototxt.parse(text, schema.message("NetParameter"), "made.prototxt"))
    basis = {"base_lr": 0.1, "lr_policy": "fixed", "max_iter": 100, "random_seed": 3}
    param.snapshot_prefix = str(folder / "run")
    solver = Solver(changed(param, {**basis, **settings}), plan=plan)
    for net in (solver.net, *solver.test_nets):
        net.layers[0].set_input_arrays(x.reshape(*x.shape, 1, 1).astype(np.float32), label.astype(np.float32))
    return solver


def changed(param, settings):
    for name, value in settings.items():
        if value is None:
            param.ClearField(name)
        elif isinstance(value, list):
            getattr(param, name)[:] = value
        else:
            setattr(param, name, value)
    return param


def weights(solver):
    return np.concatenate([p.blob.data.ravel() for p in solver.net.parameters])


class Told:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        if name in ("recovered", "failed", "end", "snapshot", "best", "statistics"):
            return lambda solver, *args: self.events.append((name, solver.iter, *args))
        raise AttributeError(name)

    def named(self, name):
        return [event[1:] for event in self.events if event[0] == name]
