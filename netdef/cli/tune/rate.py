"""netdef tune lr: the largest rate, of 0.1, 0.1 / 3, 0.1 / 9 ..., at which the net learns."""

import argparse
import math
from statistics import fmean

from netdef.cli.failure import say
from netdef.cli.tune.trial import Template
from netdef.report.record import labels
from netdef.report.tables import show
from netdef.solver import Solver
from netdef.solver.divergence import DivergenceError


def find(args: argparse.Namespace, path: str) -> int:
    template, rows = Template(path, args), []
    rate, found = args.start, math.nan
    for _ in range(args.tries):
        first, last, verdict = attempt(template, rate, args.iterations or 100)
        rows.append((f"{rate:.3g}", f"{first:.4g}", f"{last:.4g}", verdict))
        say(f"base_lr {rate:.3g}: {verdict}")
        if verdict == "learns":
            found = rate
            break
        rate /= 3
    show(("base_lr", "first loss", "last loss", "verdict"), rows, right=("base_lr", "first loss", "last loss"))
    if math.isnan(found):
        print("no rate learns; look at the data and its labels, the fillers, and the net (netdef gradcheck)")
        return 1
    print(f"take base_lr: {found:.2g}")
    return 0


def attempt(template: Template, rate: float, iterations: int) -> tuple[float, float, str]:
    """(first loss, last loss, "learns" | "diverges" | "does not learn") of a short run at a constant rate."""
    solver = template.solver(iterations, base_lr=rate, lr_policy="fixed", warmup_iter=0, average_loss=iterations)
    solver.test_nets, solver.judge = [], None
    try:
        solver.step(iterations)
    except DivergenceError:
        losses = list(solver.losses)
        return losses[0], losses[-1], "diverges"
    losses = list(solver.losses)
    first, last = losses[0], fmean(losses[-max(1, len(losses) // 10) :])
    if last > 1.2 * first:
        return first, last, "diverges"
    return first, last, "learns" if last < 0.95 * min(first, _level(solver, first)) else "does not learn"


def _level(solver: Solver, first: float) -> float:
    """The loss of guessing, which a wild start may be far above."""
    classes, _ = labels(solver.net)
    return math.log(classes) if classes > 1 else first
