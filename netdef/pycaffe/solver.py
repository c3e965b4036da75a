"""pycaffe's solvers: SGDSolver(file) and its kin, and get_solver for whatever the file names."""

from pathlib import Path
from typing import Any

from netdef import read
from netdef.pycaffe import settings
from netdef.pycaffe.net import Net
from netdef.solver import Solver as Engine


class Solver:
    """A solver from its prototxt; `net` and `test_nets` are pycaffe Nets."""

    type: str | None = None

    def __init__(self, solver_file: Any):
        param = read.solver_param(solver_file)
        if self.type is not None:
            param.type = self.type
        if not param.HasField("random_seed") and settings.random_seed() is not None:
            param.random_seed = settings.random_seed()
        self.engine = Engine(param, path=Path(solver_file))
        self.net = Net.wrap(self.engine.net)
        self.test_nets = [Net.wrap(net) for net in self.engine.test_nets]

    @property
    def param(self) -> Any:
        return self.engine.param

    @property
    def iter(self) -> int:
        return self.engine.iter

    def step(self, count: int) -> None:
        """Train for a number of iterations."""
        self.engine.step(count)

    def solve(self, resume_file: str | None = None) -> None:
        """Train to max_iter, from a .solverstate where one is given."""
        if resume_file:
            self.restore(resume_file)
        self.engine.solve()

    def restore(self, path: str) -> None:
        self.engine.restore(path)

    def share_weights(self, net: Net) -> None:
        """Train the parameters of another net from now on."""
        self.net.share_with(net)

    def snapshot(self) -> None:
        self.engine.snapshot()

    def apply_update(self) -> None:
        """Take one step by the gradients that are in the parameters now."""
        self.engine.apply_update()

    def add_callback(self, on_start: Any, on_gradients: Any) -> None:
        """Call on_start() before each pass and on_gradients() before each step."""
        self.engine.callbacks.append((on_start, on_gradients))


class SGDSolver(Solver):
    type = "SGD"


class NesterovSolver(Solver):
    type = "Nesterov"


class AdaGradSolver(Solver):
    type = "AdaGrad"


class RMSPropSolver(Solver):
    type = "RMSProp"


class AdaDeltaSolver(Solver):
    type = "AdaDelta"


class AdamSolver(Solver):
    type = "Adam"


def get_solver(solver_file: Any) -> Solver:
    """The solver of the type that the file names."""
    return Solver(solver_file)
