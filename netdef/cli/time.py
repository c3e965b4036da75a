"""netdef time: how long each layer takes, forward, update and backward."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
Times are milliseconds, the median over the iterations after a warm-up.
A layer runs backward only where training needs it.

examples:
  netdef time models/digits/train_val.prototxt
  netdef time --model deploy.prototxt --phase TEST --iterations 20
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "time", run, "NET [flags]", "time each layer of a net: forward, update, backward", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    parser.add_argument("--iterations", type=flags.count, default=50, metavar="N", help="how often; default 50")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags.add_state(parser, "TRAIN")
    flags.add_gpu(parser)


def run(args: argparse.Namespace) -> None:
    from netdef.cli import nets, settings
    from netdef.report.tables import show_json
    from netdef.report.timing import timing

    path = flags.either(args, "model")
    registry = settings.plugins(args)
    net = nets.build(path, registry, flags.phase(args), args.level, args.stage, seed=1, plan=True)
    found = timing(net, args.iterations)
    if args.json:
        show_json({"file": path, "net": net.name, "phase": args.phase, **found.summary()})
    else:
        _print(found)


def _print(found: Any) -> None:
    from netdef.report.tables import show

    columns = ("layer", "type", "forward ms", "update ms", "backward ms", "sum ms", "share")
    whole = sum(layer.total for layer in found.layers)
    rows = [
        (x.name, x.type, *map(_ms, (x.forward, x.update, x.backward, x.total)), f"{x.total / (whole or 1):.1%}")
        for x in found.layers
    ]
    sums = [sum(getattr(x, what) for x in found.layers) for what in ("forward", "update", "backward")]
    show(columns, rows, right=columns[2:], total=("total", f"{len(rows)} layers", *map(_ms, (*sums, whole)), "100.0%"))
    print(f"Average Forward pass: {found.forward:g} ms.")
    print(f"Average Backward pass: {found.backward:g} ms.")
    print(f"Average Forward-Backward: {found.forward_backward:g} ms.")
    print(f"Total Time: {found.total:g} ms.")


def _ms(value: float) -> str:
    return f"{value:.3f}"
