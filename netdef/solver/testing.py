"""The tests that interrupt training: when they fall due, what they find, and what follows from it."""

from typing import TYPE_CHECKING

from netdef.solver import checkpoint, mishaps, passes, signals
from netdef.solver.best import Result
from netdef.solver.summary import Summary

if TYPE_CHECKING:
    from netdef.solver.loop import Solver


def is_due(solver: "Solver") -> bool:
    """Whether this iteration is a multiple of test_interval, and there is anything to test."""
    return bool(solver.test_nets) and solver.iter % solver.param.test_interval == 0


def test_all(solver: "Solver") -> list[list[Result]]:
    """Test every net; the first one's results may make this model the best, or end the training."""
    counts = [passes.count(net) for net in solver.test_nets]
    results = [test(solver, k) for k in range(len(solver.test_nets)) if not solver.reason]
    judge = solver.judge
    if solver.reason:  # a resumed run begins these tests anew, those that were finished too
        for net, count in zip(solver.test_nets, counts, strict=True):
            passes.rewind(net, count)
    elif judge is not None and results[0]:
        if judge.see(results[0], solver.iter) and solver.keeps:
            mishaps.attempt(solver, lambda: solver.tell("best", checkpoint.write_best(solver)))
        if judge.has_enough:
            solver.reason = "no improvement"
    return results


def test(solver: "Solver", k: int) -> list[Result]:
    """The results of test net k over its batches; empty when a signal stopped it."""
    net = solver.test_nets[k]
    summary = Summary(net, solver.param)
    counts, looks = passes.count(net), solver.looks(net)
    for _ in range(solver.test_iter[k]):
        wish = solver.wish()
        if wish == signals.SNAPSHOT:  # taken in the middle of a test, it would resume in the middle of its data
            solver.snapshot_later = True
        elif wish == signals.STOP:
            solver.obey(wish)
            passes.rewind(net, counts)
            return []
        passes.forward(net, looks)
        summary.add()
    results = summary.results() if summary.passes else []
    solver.tell("test", k, results)
    return results
