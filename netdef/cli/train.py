"""netdef train: train a net by a solver file."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netdef.cli import flags

HELP = """\
Ctrl-C stops after the current iteration and leaves a snapshot; --snapshot continues from one, bit for bit.
A second Ctrl-C stops at once. A run that a signal stopped ends with status 128 + its number, as shells do.
The weights of the best test are kept as PREFIX_best.caffemodel, which netdef test and export take by default.
On a terminal a bar shows the progress. Elsewhere, and in the file given with --log, come Caffe's log lines.

examples:
  netdef train models/digits/solver.prototxt
  netdef train --solver solver.prototxt --weights pretrained.caffemodel
  netdef train --solver solver.prototxt --snapshot digits_iter_500.solverstate
"""

NOTE = "netdef: stopping after this iteration with a snapshot; Ctrl-C once more stops at once, without one\n"
EFFECTS = ("snapshot", "stop", "none")


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "train", run, "SOLVER [flags]", "train a net by a solver file, or continue from a snapshot", HELP
    )
    flags.add_file(parser, "solver", "SOLVER", "the solver, a prototxt")
    parser.add_argument("--weights", type=flags.words, default=(), metavar="W,W2", help="start from these weights")
    parser.add_argument("--snapshot", metavar="STATE", help="continue from this .solverstate")
    parser.add_argument("--log", metavar="FILE", help="append Caffe's log lines to this file")
    for name, default in (("sigint", "stop"), ("sighup", "snapshot")):
        parser.add_argument(
            f"--{name}_effect",
            choices=EFFECTS,
            default=default,
            metavar="EFFECT",
            help=f"what {name.upper()} does: snapshot, stop or none; default {default}",
        )
    flags.add_state(parser, "TRAIN")
    flags.add_gpu(parser)


def run(args: argparse.Namespace) -> int:
    from netdef.cli import nets, settings
    from netdef.solver import Solver
    from netdef.solver.signals import Signals

    path = flags.either(args, "solver")
    if args.weights and args.snapshot:
        raise flags.UsageError("--snapshot brings its own weights; give --weights or --snapshot, not both")
    if args.phase != "TRAIN":
        raise flags.UsageError("training is phase TRAIN; to run the phase TEST: netdef test NET --weights W")
    registry = settings.plugins(args)
    with nets.expecting("solver", path):
        solver = Solver.read(path, registry, level=args.level, stages=args.stage, plan=True)
    if args.snapshot:
        solver.restore(args.snapshot)
    elif args.weights:
        nets.load_weights(solver.net, args.weights)
    with watching(solver, args.log), Signals(args.sigint_effect, args.sighup_effect, NOTE) as signals:
        solver.wish = signals.take
        reason = solver.solve()
    return 128 + signals.stopped_by if signals.stopped_by and reason == "stopped early" else 0


@contextlib.contextmanager
def watching(solver: Any, log: str | None) -> Iterator[None]:
    """A bar on a terminal, log lines elsewhere and in the file asked for."""
    from netdef.report.log import Log
    from netdef.report.terminal import is_terminal

    with contextlib.ExitStack() as stack:
        if is_terminal(sys.stderr):
            from netdef.report.progress import Training

            training = Training()
            stack.callback(training.close)
            solver.observers.append(training)
        else:
            solver.observers.append(Log(sys.stderr))
        if log:
            solver.observers.append(Log(stack.enter_context(Path(log).open("a"))))
        yield
