"""netdef train: train a net by a solver file."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.failure import say

HELP = """\
Ctrl-C stops after the current iteration and leaves a snapshot; --snapshot continues from one, bit for bit.
A second Ctrl-C stops at once. A run that a signal stopped ends with status 128 + its number, as shells do.
The weights of the best test are kept as PREFIX_best.caffemodel, which netdef test and export take by default.
Afterwards a report (curves, settings, layers, histograms, diagnosis) opens in any browser, without a network.
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
    group = parser.add_argument_group("what is written about the run")
    group.add_argument("--report", metavar="FILE.html", help="the report; default PREFIX_report.html")
    group.add_argument("--curves", metavar="FILE.jsonl", help="all figures as JSON lines; default PREFIX_curves.jsonl")
    group.add_argument("--no-report", action="store_true", help="write neither unless named")
    group.add_argument("--csv", metavar="FILE.csv", help="the curves as a table")
    group.add_argument("--plot", metavar="FILE.png", help="the curves as a picture (needs matplotlib)")
    group.add_argument("--tensorboard", metavar="DIR", help="event files (needs tensorboard)")
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
    nets.warn_of_inputs(solver.net)
    if solver.param.HasField("solver_mode") and solver.param.solver_mode == solver.param.GPU:
        say("note: solver_mode: GPU is ignored: netdef runs on the CPU")
    with watching(solver, args), Signals(args.sigint_effect, args.sighup_effect, NOTE) as signals:
        solver.wish = signals.take
        reason = solver.solve()
    return 128 + signals.stopped_by if signals.stopped_by and reason == "stopped early" else 0


@contextlib.contextmanager
def watching(solver: Any, args: argparse.Namespace) -> Iterator[None]:
    """A bar on a terminal, log lines elsewhere and in the file asked for; at the end the files that show the run."""
    from netdef.report.debug import DebugInfo
    from netdef.report.log import Log
    from netdef.report.terminal import is_terminal

    with contextlib.ExitStack() as stack:
        logs = []
        if is_terminal(sys.stderr):
            from netdef.report.progress import Training

            training = Training()
            stack.callback(training.close)
            solver.observers.append(training)
        else:
            logs.append(Log(sys.stderr))
        if args.log:
            logs.append(Log(stack.enter_context(Path(args.log).open("a"))))
        for log in logs:
            solver.observers += [log, DebugInfo(log)]
        stack.enter_context(recording(solver, args))
        yield


@contextlib.contextmanager
def recording(solver: Any, args: argparse.Namespace) -> Iterator[None]:
    """Keeps the run's curves; afterwards, however it ended, writes what was asked for and says what is seen."""
    from netdef.report.record import Record

    writes = solver.param.snapshot or solver.param.snapshot_after_train
    default = f"{solver.prefix}_curves.jsonl" if writes and not args.no_report else None
    curves = args.curves or default
    record = Record(Path(curves) if curves else None)
    solver.observers.append(record)
    if args.tensorboard:
        from netdef.report.tensorboard import TensorBoard

        solver.observers.append(TensorBoard(args.tensorboard))
    try:
        yield
    finally:
        record.close()
        if record.run.reason:
            report = args.report or (f"{solver.prefix}_report.html" if default else None)
            show(solver, record.run, args, report)


def show(solver: Any, run: Any, args: argparse.Namespace, report: str | None) -> None:
    """Files, then a few lines; a file that cannot be written is a warning, as the training itself is done."""
    from netdef.errors import NetdefError
    from netdef.report import journal
    from netdef.report.diagnosis import diagnose

    def html(run: Any, path: str) -> None:
        from netdef.report.page import write_page

        write_page(solver, run, path)

    def png(run: Any, path: str) -> None:
        from netdef.report.plots import write_png

        write_png(run, path)

    for path, write in ((args.csv, journal.write_csv), (args.plot, png), (report, html)):
        try:
            if path:
                write(run, path)
        except NetdefError as e:
            say(f"warning: {e}")
            report = None if path == report else report
    if solver.judge is not None and solver.judge.best.iter >= 0:
        kept = f", kept in {solver.best_path}" if solver.keeps else ""
        say(f"best {solver.judge}{kept}")
    for finding in diagnose(run):
        if not (run.diverged and finding.name == "divergence"):  # the error says it
            say(f"diagnosis: {finding}")
    if report:
        say(f"report: {report}")
