"""What a solver does about values that are not finite, and about errors in the midst of training."""

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from netdef.errors import NetdefError
from netdef.solver import checkpoint, divergence, passes
from netdef.solver.divergence import DivergenceError
from netdef.solver.guard import Guard

if TYPE_CHECKING:
    from netdef.solver.loop import Solver

_log = logging.getLogger(__name__)


def check(solver: "Solver", guard: Guard, loss: float, before: list[int]) -> None:
    """Raises DivergenceError where the loss, a gradient or what the guard saw is not finite, naming the first blob.

    `before` are the passes at the iteration's begin: it is run again to look for the place.
    """
    seen, bad = guard.found(), "" if math.isfinite(loss) else f"the loss is {loss:g}"
    bad = bad or divergence.bad_parameter(solver.net.parameters, "diff") or seen
    if not bad:
        return
    after = passes.count(solver.net)
    passes.rewind(solver.net, before)
    with np.errstate(all="ignore"):
        found = divergence.origin(solver.net, solver.param.iter_size)
    passes.rewind(solver.net, after)
    raise DivergenceError(divergence.message(solver, bad, found))


def attempt(solver: "Solver", save: Callable[[], object]) -> None:
    """Save something; in the midst of training, a full disk costs a snapshot and not the run."""
    try:
        save()
    except DivergenceError:
        raise
    except NetdefError as e:
        _log.warning("iteration %d: %s; training goes on", solver.iter, e)


def recover(solver: "Solver", error: DivergenceError) -> None:
    """Back to the last snapshot with a third of the rate, as often as the settings allow; else raises the error."""
    recoveries, path = solver.recoveries + 1, solver.last_good
    if path is None or recoveries > solver.param.recoveries:
        raise error
    best = solver.judge.best if solver.judge is not None else None
    checkpoint.restore(solver, path)
    solver.recoveries = recoveries
    if solver.judge is not None and best is not None:
        solver.judge.best = best
    where = f"back to iteration {solver.iter} with rate {solver.rate:g}"
    _log.warning("%s; recovery %d of %d: %s", error, recoveries, solver.param.recoveries, where)
    solver.tell("recovered", str(error))


def rescued(solver: "Solver", error: NetdefError) -> NetdefError:
    """The error, after a snapshot of the iterations before it where this run keeps any."""
    saved = ""
    if solver.iter and solver.keeps:
        try:
            saved = f"; what was learnt is saved, go on with --snapshot {solver.snapshot()[1]}"
        except NetdefError as e:
            saved = f"; and there is no snapshot: {e}"
    error.args = (f"iteration {solver.iter}: {error}{saved}",)
    return error
