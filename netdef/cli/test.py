"""netdef test: the mean outputs of a net over its test data."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from netdef.cli import flags

HELP = """\
Runs the net in phase TEST. Without --weights it takes the best model that training left beside the net
(*_best.caffemodel), where there is exactly one. The iterations times the batch size should cover the test data once.

examples:
  netdef test models/digits/train_val.prototxt --weights digits.caffemodel --iterations 4
  netdef test --model train_val.prototxt --weights W.caffemodel --iterations 100
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "test", run, "NET --weights W [flags]", "score a trained net on its test data", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    flags.add_weights(parser)
    parser.add_argument("--iterations", type=flags.count, default=50, metavar="N", help="how many batches; default 50")
    flags.add_state(parser, None)
    flags.add_gpu(parser)


def run(args: argparse.Namespace) -> None:
    from netdef.cli import nets, settings
    from netdef.report.log import value_lines
    from netdef.report.outputs import outputs
    from netdef.solver.summary import Summary

    path = flags.either(args, "model")
    weights = nets.weights_for(path, args.weights)
    net = nets.build(path, settings.plugins(args), 1, args.level, args.stage, seed=1, plan=True)
    nets.load_weights(net, weights)
    nets.warn_of_inputs(net)
    summary, loss = Summary(net), 0.0
    with watching(args.iterations) as (log, step):
        log("running", f"Running for {args.iterations} iterations.")
        for i in range(args.iterations):
            loss += net.forward() / args.iterations
            summary.add()
            log("batch", *value_lines(outputs(net), f"Batch {i}, ", weighed=False))
            step()
        log("loss", f"Loss: {loss:g}")
        log("mean", *value_lines(summary.results()))
    print("\n".join([f"Loss: {loss:g}", *value_lines(summary.results())]))


@contextlib.contextmanager
def watching(iterations: int) -> Iterator[tuple[Any, Any]]:
    """(log, step): a bar on a terminal, Caffe's log lines elsewhere."""
    from netdef.report.log import Log
    from netdef.report.terminal import is_terminal, steps

    log = (lambda *lines: None) if is_terminal(sys.stderr) else Log(sys.stderr).write
    with steps("testing", iterations) as step:
        yield log, step
