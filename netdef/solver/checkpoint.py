"""A solver's snapshots: what it writes, what it takes up again."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from netdef import weights
from netdef.errors import WeightsError
from netdef.solver import passes
from netdef.solver.best import Best
from netdef.solver.divergence import DivergenceError, bad_parameter
from netdef.solver.policy import steps
from netdef.solver.snapshot import State, find_weights, prune, read_state, write_state

if TYPE_CHECKING:
    from netdef.solver.loop import Solver

_log = logging.getLogger(__name__)


def prefix(solver: "Solver") -> Path:
    """snapshot_prefix; where it is empty or a folder, the solver file's stem is the name, as in Caffe."""
    given, path = solver.param.snapshot_prefix, solver.path
    if given and not Path(given).is_dir():
        return Path(given)
    stem = path.stem if path is not None else "solver"
    return Path(given) / stem if given else (path.with_suffix("") if path is not None else Path(stem))


def _ending(solver: "Solver") -> str:
    return ".h5" if solver.param.snapshot_format == 0 else ""


def best_path(solver: "Solver") -> Path:
    """Where the weights of the best test are kept."""
    return Path(f"{prefix(solver)}_best.caffemodel{_ending(solver)}")


def write(solver: "Solver") -> tuple[Path, Path]:
    """Write weights, then state; each is whole under its name or not there. Raises DivergenceError for bad weights."""
    bad = bad_parameter(solver.net.parameters, "data")
    if bad:
        raise DivergenceError(f"no snapshot of iteration {solver.iter}: {bad}; a smaller base_lr may help")
    model = Path(f"{prefix(solver)}_iter_{solver.iter}.caffemodel{_ending(solver)}")
    state = model.with_name(model.name.replace(".caffemodel", ".solverstate"))
    weights.save(model, solver.net.name, solver.net.layers, diffs=solver.param.snapshot_diff)
    write_state(state, collect(solver, str(model)))
    if solver.param.snapshot_keep > 0:
        prune(prefix(solver), solver.param.snapshot_keep, solver.iter)
    return model, state


def write_best(solver: "Solver") -> Path:
    """Write the weights alone under the best model's name."""
    path = best_path(solver)
    weights.save(path, solver.net.name, solver.net.layers)
    return path


def collect(solver: "Solver", learned_net: str) -> State:
    """Everything that the run's future depends on beside the weights."""
    memory = solver.updater.memory
    slots = range(solver.rule.memory)
    history = [memory[i][m].reshape(p.blob.shape) for m in slots for i, p in enumerate(solver.net.parameters)]
    counts = [passes.count(net) for net in (solver.net, *solver.test_nets)]
    taken = steps(solver.param.stepvalue, solver.iter - 1)
    state = State(solver.iter, learned_net, history, taken, solver.seed, counts, list(solver.losses))
    state.type = solver.param.type
    state.policy, state.recoveries = solver.schedule.memory, solver.recoveries
    if solver.judge is not None:
        best = solver.judge.best
        state.best, state.best_iter, state.stale = best.value, best.iter, best.stale
    return state


def restore(solver: "Solver", path: Path) -> None:
    """Take up a state and the weights it belongs to. Raises WeightsError where it does not fit, changing nothing."""
    state = read_state(path)
    _check_history(solver, state, path)
    weights.load(solver.net.layers, find_weights(state.learned_net, path), whole=True)
    slots = [memory[m] for m in range(solver.rule.memory) for memory in solver.updater.memory]
    for mine, stored in zip(slots, state.history, strict=True):
        mine[...] = stored.data.reshape(-1)
    solver.iter, solver.recoveries = state.iter, state.recoveries
    solver.losses.clear()
    solver.losses.extend(state.losses)
    solver.schedule.memory = state.policy
    if solver.judge is not None:
        solver.judge.best = Best(state.best, state.best_iter, state.stale)
    _restore_passes(solver, state)


def _check_history(solver: "Solver", state: State, path: Path) -> None:
    if state.type and state.type != solver.param.type:
        raise WeightsError(f"{path} is of a solver of type {state.type}, this one is of type {solver.param.type}")
    want = [p.blob for _ in range(solver.rule.memory) for p in solver.net.parameters]
    if len(state.history) != len(want):
        raise WeightsError(
            f"{path} holds {len(state.history)} arrays of history, this {solver.param.type} solver has {len(want)}; "
            "it belongs to another net or solver type"
        )
    for i, (blob, stored) in enumerate(zip(want, state.history, strict=True)):
        if not stored.fits(blob.shape):
            raise WeightsError(f"{path}: history {i} has shape {stored.shape}, the net's parameter {blob.shape}")


def _restore_passes(solver: "Solver", state: State) -> None:
    nets = (solver.net, *solver.test_nets)
    if state.seed is not None:
        solver.seed = state.seed
        for net in nets:
            net.reseed(state.seed)
    written_here = len(state.passes) == len(nets)
    for net, counts in zip(nets, state.passes if written_here else [[]] * len(nets), strict=True):
        if len(counts) != len(net.layers):  # a state of Caffe's own: the best guess is one pass per batch trained
            counts = [solver.iter * solver.param.iter_size if net is solver.net else 0] * len(net.layers)
        passes.rewind(net, counts)
