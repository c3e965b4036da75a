"""The training loop: test, forward, update, backward, step, snapshot, in BVLC Caffe's order."""

import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from netdef import read, weights
from netdef import registry as registries
from netdef.errors import NetdefError, SolverError
from netdef.files import check_writable, finder
from netdef.net import Net
from netdef.solver import checkpoint, epochs, mishaps, passes, signals, testing
from netdef.solver.best import Judge, Result
from netdef.solver.divergence import DivergenceError
from netdef.solver.guard import Guard
from netdef.solver.guests import Observer, naming, schedule
from netdef.solver.nets import test_nets, train_net
from netdef.solver.step import Updater
from netdef.solver.watch import Watch

_log = logging.getLogger(__name__)


class Solver:
    """Trains net by the settings in a SolverParameter, testing on test_nets, which share its parameters.

    Observers are objects with any of start(solver), iteration(solver, loss), updated(solver), test(solver, index,
    results), best(solver, path), snapshot(solver, paths), statistics(solver, found), recovered(solver, why),
    end(solver, reason), and failed(solver, error), which takes the place of end. One with due(solver, net) that is
    true sees that pass layer by layer: forward(net, i), backward(net, i). `iter` counts the updates made.
    """

    def __init__(
        self,
        param: Any,
        *,
        path: Path | None = None,
        registry: registries.Registry | None = None,
        dtype: Any = np.float32,
        allow_code: bool | None = None,
        level: int | None = None,
        stages: Iterable[str] = (),
        plan: bool = False,
    ):
        """`path` is the solver's file: its folder is searched for the net, its stem names snapshots without a prefix.

        With `plan`, blobs share memory (see Net); without it all stay readable between iterations. `param` of the
        solver is a copy, with iterations where epochs were given.
        """
        self.path = path
        self.registry = registry or registries.default()
        self.seed = param.random_seed if param.random_seed >= 0 else int.from_bytes(os.urandom(6), "little")
        self._settings: dict[str, Any] = {"dtype": dtype, "allow_code": allow_code, "plan": plan}
        self._settings |= {"registry": self.registry, "seed": self.seed}
        self._level, self._stages = level, tuple(stages)
        self._make_nets(param, path.parent if path is not None else None)
        self._make_step()
        param = self.param
        self.iter = self.recoveries = 0
        self.losses: deque[float] = deque(maxlen=max(1, param.average_loss))
        self.observers: list[Any] = [Observer(o, self.registry.settings.strict) for o in self.registry.observers]
        self.watch = Watch(param.statistics_interval)
        self.guard = Guard(self.net) if param.stop_on_nan else None
        self.callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        """(before each iteration, before each step) pairs."""
        self.wish: Callable[[], str] = lambda: signals.NONE
        self.last_good: Path | None = None
        """The state of the last snapshot of this run, or the one it began from."""
        self.keeps = False
        """Whether this run writes the best model, and a last snapshot where an error ends it."""
        self.reason = ""
        """Why training is to end; empty while it is not."""
        self.snapshot_later = False
        """Whether a signal asked for a snapshot while none could be taken."""
        if param.snapshot or param.snapshot_after_train:
            check_writable(self.prefix)
        if len(param.weights):
            self.load_weights([name for given in param.weights for name in given.split(",") if name.strip()])

    def _make_nets(self, param: Any, base: Path | None) -> None:
        """The net to train and those to test on, and the settings with iterations where epochs were given."""
        self.net = train_net(param, base, self.registry, self._build)
        self.epoch_length = epochs.batches(self.net) / max(1, param.iter_size)
        """Iterations in an epoch; 0 where no source knows its size."""
        self.param = epochs.in_iterations(param, self.epoch_length)
        self.test_nets = test_nets(self.param, base, self.registry, self._build)
        for net in self.test_nets:
            net.share_with(self.net)
        given = zip(self.param.test_iter, self.test_nets, strict=True)
        self.test_iter = [epochs.test_batches(n, net) for n, net in given]

    def _make_step(self) -> None:
        """What becomes of the gradients: rate and rule, found by their names."""
        found = self.registry.find("rules", self.param.type)
        self._naming_the_rule = naming(f"solver type '{self.param.type}'", found)
        with self._naming_the_rule():
            self.rule = found.thing(self.param)
        self.schedule = schedule(self.param, self.registry)
        self.updater = Updater(self.param, self.rule, self.net.parameters)
        self.judge = Judge(self.param, self.test_nets[0]) if self.test_nets else None

    @classmethod
    def read(cls, path: Path | str, registry: registries.Registry | None = None, **settings: Any) -> "Solver":
        """A solver from its prototxt."""
        return cls(read.solver_param(path, registry), path=Path(path), registry=registry, **settings)

    def _build(self, net_param: Any, base: Path | None, phase: int, state: Any) -> Net:
        stages = [*self._stages, *(state.stage if state is not None else ())]
        level = state.level if state is not None and state.HasField("level") else self._level
        return Net(net_param, phase, level, stages, base=base, **self._settings)

    def load_weights(self, names: Iterable[str]) -> None:
        """Begin from weights in files, looked for in the working directory, then beside the solver."""
        find = finder(self.path.parent if self.path is not None else None)
        found = weights.load(self.net.layers, *(find(name.strip()) for name in names))
        if found.at_filler:
            _log.warning("weights: nothing for %s; left as their fillers made them", ", ".join(found.at_filler))

    # -- training ---------------------------------------------------------------------------------------------------

    @property
    def rate(self) -> float:
        """The learning rate of the current iteration."""
        return self.schedule.rate(self.iter) / 3**self.recoveries

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last average_loss iterations."""
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    @property
    def epoch(self) -> float:
        """Passes made over the training data; NaN where no source knows its size."""
        return self.iter / self.epoch_length if self.epoch_length else math.nan

    def solve(self) -> str:
        """Train up to max_iter, or until a signal or early stopping ends it, and leave a snapshot behind.

        Returns why it ended: "done", "stopped early" by a signal, "no improvement". Raises SolverError without a
        max_iter, DivergenceError where values ceased to be finite.
        """
        if not self.param.HasField("max_iter"):
            where = f"{self.path}: " if self.path is not None else ""
            raise SolverError(f"{where}no max_iter, so there is no end to train to; add max_iter: 10000")
        self.tell("start")
        self.keeps = self.param.keep_best and (self.param.snapshot > 0 or self.param.snapshot_after_train)
        try:
            self._to_the_end()
        except BaseException as e:
            self.tell("failed", e)
            raise
        self.tell("end", self.reason or "done")
        return self.reason or "done"

    def _to_the_end(self) -> None:
        if self.param.recoveries and self.last_good is None:
            self.snapshot()
        self.step(max(0, self.param.max_iter - self.iter))
        due = self.param.snapshot and self.iter % self.param.snapshot == 0
        if self.param.snapshot_after_train and not (due and self.last_good is not None):
            self.snapshot()
        if not self.reason:
            self._last_look()

    def _last_look(self) -> None:
        """Caffe shows the loss and the test results once more when max_iter is reached."""
        if self.param.display and self.iter % self.param.display == 0:
            counts = passes.count(self.net)
            losses = [*self.losses, self.net.forward()][-max(1, self.param.average_loss) :]
            passes.rewind(self.net, counts)
            self.tell("iteration", sum(losses) / len(losses))
        if testing.is_due(self):
            self.test_all()

    def step(self, count: int) -> None:
        """Train for a number of iterations, with the tests and snapshots that fall due."""
        self.reason = ""
        stop = self.iter + count
        while self.iter < stop and not self.reason:
            if testing.is_due(self) and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self.reason:
                    break
            try:
                self._iterate()
            except DivergenceError as e:
                mishaps.recover(self, e)
                continue
            self.obey(self.wish())
            if self.param.snapshot and self.iter % self.param.snapshot == 0:
                mishaps.attempt(self, self.snapshot)

    def _iterate(self) -> None:
        for on_start, _ in self.callbacks:
            on_start()
        counts = passes.count(self.net)
        try:
            with np.errstate(all="ignore"):  # check says it once, and says where
                loss = self._gradients()
        except NetdefError as e:
            passes.rewind(self.net, counts)
            raise mishaps.rescued(self, e) from e.__cause__
        self.losses.append(float(np.float32(loss)))  # as a snapshot keeps it, so that a resumed run decides alike
        for _, on_gradients in self.callbacks:
            on_gradients()
        if self.guard is not None:
            mishaps.check(self, self.guard, loss, counts)
        self.schedule.see(self.iter, self.smoothed_loss)
        self.tell("iteration", loss)
        self.apply_update()
        self.tell("updated")
        self.iter += 1

    def _gradients(self) -> float:
        """The mean loss over iter_size passes; gradients are left summed in the parameters."""
        self.net.clear_param_diffs()
        looks = [*self.looks(self.net), *([self.guard] if self.guard is not None else [])]
        loss = 0.0
        for _ in range(self.param.iter_size):
            loss += passes.forward(self.net, looks)
            passes.backward(self.net, looks)
        return loss / self.param.iter_size

    def apply_update(self) -> None:
        watched = self.watch.running  # apply_update may be called alone, from pycaffe
        if watched:
            self.watch.before_step(self.net)
        with self._naming_the_rule():
            self.updater.apply(self.rate, self.iter)
        if watched:
            self.tell("statistics", self.watch.after_step(self.net))

    def looks(self, net: Net) -> list[Any]:
        """Who wants to see this pass layer by layer."""
        wanted = net is self.net and any(hasattr(o, "statistics") for o in self.observers)
        looks = [self.watch] if wanted and self.watch.begins(self.iter) else []
        return looks + [o for o in self.observers if hasattr(o, "due") and o.due(self, net)]

    def obey(self, wish: str) -> None:
        """Do what a signal asked for."""
        if wish == signals.SNAPSHOT or self.snapshot_later:
            self.snapshot_later = False
            mishaps.attempt(self, self.snapshot)
        if wish == signals.STOP:
            self.reason = self.reason or "stopped early"

    def tell(self, event: str, *args: Any) -> None:
        for observer in self.observers:
            listen = getattr(observer, event, None)
            if listen is not None:
                listen(self, *args)

    # -- testing ----------------------------------------------------------------------------------------------------

    def test_all(self) -> list[list[Result]]:
        """Test every test net; results go to the observers too, and the first net's decide which model is best."""
        return testing.test_all(self)

    def test(self, k: int = 0) -> list[Result]:
        """What each output of test net k was over its batches, see Summary; empty when a signal stopped it."""
        return testing.test(self, k)

    # -- snapshots --------------------------------------------------------------------------------------------------

    @property
    def prefix(self) -> Path:
        """What the names of snapshots begin with."""
        return checkpoint.prefix(self)

    @property
    def best_path(self) -> Path:
        """Where the weights of the best test are kept."""
        return checkpoint.best_path(self)

    def snapshot(self) -> tuple[Path, Path]:
        """Write weights, then state; each is whole under its name or not there. Returns both paths."""
        model, state = checkpoint.write(self)
        self.last_good = state
        self.tell("snapshot", (model, state))
        return model, state

    def restore(self, path: Path | str) -> None:
        """Continue from a .solverstate (or .solverstate.h5) and the weights it belongs to."""
        checkpoint.restore(self, Path(path))
        self.last_good = Path(path)
