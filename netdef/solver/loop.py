"""The training loop: test, forward, update, backward, step, snapshot, in BVLC Caffe's order."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from netdef import read, weights
from netdef import registry as registries
from netdef.errors import SolverError, WeightsError
from netdef.files import check_writable
from netdef.net import Net
from netdef.solver import signals
from netdef.solver.guests import Observer, naming, policy
from netdef.solver.nets import test_nets, train_net
from netdef.solver.snapshot import State, find_weights, read_state, write_state
from netdef.solver.step import Updater

Result = tuple[str, np.ndarray, float]
"""(blob name, mean over the test's batches, loss weight)"""


class Solver:
    """Trains net by the settings in a SolverParameter, testing on test_nets, which share its parameters.

    Observers are objects with any of start(solver), iteration(solver, loss), test(solver, index, results),
    snapshot(solver, paths), end(solver, reason). `iter` counts the updates made.
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

        With `plan`, blobs share memory (see Net); without it all stay readable between iterations.
        """
        self.param, self.path = param, path
        self.registry = registry or registries.default()
        self.seed = param.random_seed if param.random_seed >= 0 else int.from_bytes(os.urandom(6), "little")
        self._settings: dict[str, Any] = {"dtype": dtype, "allow_code": allow_code, "plan": plan}
        self._settings |= {"registry": self.registry, "seed": self.seed}
        self._level, self._stages = level, tuple(stages)
        base = path.parent if path is not None else None
        self.net = train_net(param, base, self.registry, self._build)
        self.test_nets = test_nets(param, base, self.registry, self._build)
        for net in self.test_nets:
            net.share_with(self.net)
        found = self.registry.find("rules", param.type)
        self._naming_the_rule = naming(f"solver type '{param.type}'", found)
        with self._naming_the_rule():
            self.rule = found.thing(param)
        self._policy = policy(param, self.registry)
        self.updater = Updater(param, self.rule, self.net.parameters)
        self.iter = 0
        self.losses: deque[float] = deque(maxlen=max(1, param.average_loss))
        self.observers: list[Any] = [Observer(o, self.registry.settings.strict) for o in self.registry.observers]
        self.callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        """(before each iteration, before each step) pairs."""
        self.wish: Callable[[], str] = lambda: signals.NONE
        self._stopped = False
        if param.snapshot or param.snapshot_after_train:
            check_writable(self.prefix)

    @classmethod
    def read(cls, path: Path | str, registry: registries.Registry | None = None, **settings: Any) -> "Solver":
        """A solver from its prototxt."""
        return cls(read.solver_param(path, registry), path=Path(path), registry=registry, **settings)

    def _build(self, net_param: Any, base: Path | None, phase: int, state: Any) -> Net:
        stages = [*self._stages, *(state.stage if state is not None else ())]
        level = state.level if state is not None and state.HasField("level") else self._level
        return Net(net_param, phase, level, stages, base=base, **self._settings)

    # -- training ---------------------------------------------------------------------------------------------------

    @property
    def rate(self) -> float:
        """The learning rate of the current iteration."""
        return self._policy(self.param, self.iter)

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last average_loss iterations."""
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    def solve(self) -> None:
        """Train up to max_iter, or until a signal asks to stop, and leave a snapshot behind."""
        self._tell("start")
        self.step(max(0, self.param.max_iter - self.iter))
        due = self.param.snapshot and self.iter % self.param.snapshot == 0
        if self.param.snapshot_after_train and not due:
            self.snapshot()
        if not self._stopped:
            self._last_look()
        self._tell("end", "stopped early" if self._stopped else "done")

    def _last_look(self) -> None:
        """Caffe shows the loss and the test results once more when max_iter is reached."""
        if self.param.display and self.iter % self.param.display == 0:
            passes = [layer.passes for layer in self.net.layers]
            self._tell("iteration", self.net.forward())
            for layer, count in zip(self.net.layers, passes, strict=True):
                layer.passes = count
        if self._test_is_due():
            self.test_all()

    def step(self, count: int) -> None:
        """Train for a number of iterations, with the tests and snapshots that fall due."""
        self._stopped = False
        stop = self.iter + count
        while self.iter < stop and not self._stopped:
            if self._test_is_due() and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self._stopped:
                    break
            for on_start, _ in self.callbacks:
                on_start()
            loss = self._gradients()
            self.losses.append(loss)
            for _, on_gradients in self.callbacks:
                on_gradients()
            self._tell("iteration", loss)
            self.apply_update()
            self.iter += 1
            self._obey(self.wish())
            if self.param.snapshot and self.iter % self.param.snapshot == 0:
                self.snapshot()

    def _gradients(self) -> float:
        """The mean loss over iter_size passes; gradients are left summed in the parameters."""
        self.net.clear_param_diffs()
        loss = 0.0
        for _ in range(self.param.iter_size):
            loss += self.net.forward()
            self.net.backward()
        return loss / self.param.iter_size

    def apply_update(self) -> None:
        with self._naming_the_rule():
            self.updater.apply(self.rate, self.iter)

    def _obey(self, wish: str) -> None:
        if wish == signals.SNAPSHOT:
            self.snapshot()
        self._stopped = self._stopped or wish == signals.STOP

    def _tell(self, event: str, *args: Any) -> None:
        for observer in self.observers:
            listen = getattr(observer, event, None)
            if listen is not None:
                listen(self, *args)

    # -- testing ----------------------------------------------------------------------------------------------------

    def _test_is_due(self) -> bool:
        return bool(self.test_nets) and self.iter % self.param.test_interval == 0

    def test_all(self) -> list[list[Result]]:
        """Test every test net; results go to the observers too."""
        return [self.test(k) for k in range(len(self.test_nets)) if not self._stopped]

    def test(self, k: int = 0) -> list[Result]:
        """The mean of each output of test net k over test_iter batches; empty when a signal stopped it."""
        net, sums = self.test_nets[k], dict[str, Any]()
        passes = [layer.passes for layer in net.layers]
        for _ in range(self.param.test_iter[k]):
            self._obey(self.wish())
            if self._stopped:
                for layer, count in zip(net.layers, passes, strict=True):
                    layer.passes = count
                return []
            net.forward()
            for name in net.outputs:
                sums[name] = sums.get(name, 0) + net.blobs[name].data.astype(np.float64)
        mean = {name: np.asarray(total / self.param.test_iter[k]) for name, total in sums.items()}
        results = [(name, value, net.loss_weight(name)) for name, value in mean.items()]
        self._tell("test", k, results)
        return results

    # -- snapshots --------------------------------------------------------------------------------------------------

    @property
    def prefix(self) -> Path:
        """snapshot_prefix; where it is empty or a folder, the solver file's stem is the name, as in Caffe."""
        given = self.param.snapshot_prefix
        if given and not Path(given).is_dir():
            return Path(given)
        stem = self.path.stem if self.path is not None else "solver"
        return Path(given) / stem if given else (self.path.with_suffix("") if self.path is not None else Path(stem))

    def snapshot(self) -> tuple[Path, Path]:
        """Write weights, then state; each is whole under its name or not there. Returns both paths."""
        ending = ".h5" if self.param.snapshot_format == 0 else ""
        model = Path(f"{self.prefix}_iter_{self.iter}.caffemodel{ending}")
        state = Path(f"{self.prefix}_iter_{self.iter}.solverstate{ending}")
        weights.save(model, self.net.name, self.net.layers)
        write_state(state, self._state(str(model)))
        self._tell("snapshot", (model, state))
        return model, state

    def _state(self, learned_net: str) -> State:
        memory = self.updater.memory
        slots = range(self.rule.memory)
        history = [memory[i][m].reshape(p.blob.shape) for m in slots for i, p in enumerate(self.net.parameters)]
        passes = [[layer.passes for layer in net.layers] for net in (self.net, *self.test_nets)]
        return State(self.iter, learned_net, history, 0, self.seed, passes, list(self.losses))

    def restore(self, path: Path | str) -> None:
        """Continue from a .solverstate (or .solverstate.h5) and the weights it belongs to."""
        path = Path(path)
        state = read_state(path)
        self._check_history(state, path)
        weights.load(self.net.layers, find_weights(state.learned_net, path))
        slots = [memory[m] for m in range(self.rule.memory) for memory in self.updater.memory]
        for mine, stored in zip(slots, state.history, strict=True):
            mine[...] = stored.data.reshape(-1)
        self.iter = state.iter
        self.losses.extend(state.losses)
        self._restore_passes(state)

    def _check_history(self, state: State, path: Path) -> None:
        want = [p.blob for _ in range(self.rule.memory) for p in self.net.parameters]
        if len(state.history) != len(want):
            raise WeightsError(
                f"{path} holds {len(state.history)} arrays of history, this {self.param.type} solver has {len(want)}; "
                "it belongs to another net or solver type"
            )
        for i, (blob, stored) in enumerate(zip(want, state.history, strict=True)):
            if not stored.fits(blob.shape):
                raise WeightsError(f"{path}: history {i} has shape {stored.shape}, the net's parameter {blob.shape}")

    def _restore_passes(self, state: State) -> None:
        nets = (self.net, *self.test_nets)
        if state.seed is not None:
            self.seed = state.seed
            for net in nets:
                net.reseed(state.seed)
        written_here = len(state.passes) == len(nets)
        for net, counts in zip(nets, state.passes if written_here else [[]] * len(nets), strict=True):
            if len(counts) != len(net.layers):  # a state of Caffe's own: the best guess is one pass per batch trained
                counts = [self.iter * self.param.iter_size if net is self.net else 0] * len(net.layers)
            for layer, count in zip(net.layers, counts, strict=True):
                layer.passes = count


def solve(path: Path | str, **settings: Any) -> Solver:
    """Read a solver, train to the end, return it."""
    solver = Solver.read(path, **settings)
    if not solver.param.HasField("max_iter"):
        raise SolverError(f"{path}: no max_iter, so there is nothing to train")
    solver.solve()
    return solver
