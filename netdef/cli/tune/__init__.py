"""netdef tune: find a learning rate, or search over any settings."""

import argparse
from typing import Any

from netdef.cli import flags
from netdef.names import nearest

HELP = """\
lr      tries base_lr 0.1 and divides by 3 while training diverges or learns nothing; says which rate to take.
search  runs trials with settings drawn from ranges that --set names, stops hopeless ones early, keeps all results in
        a file (or a database that several machines share), and shows a table and a picture at the end.

--set names a setting of the solver, or LAYER.OPTION of the net, and its range: 1e-4..1e-1 (on a log scale where the
ends are a factor of 20 or more apart), or a list of values.

examples:
  netdef tune lr solver.prototxt
  netdef tune search solver.prototxt --trials 20 --set base_lr=1e-3..1 --set drop1.dropout_ratio=0.1..0.6
  netdef tune search solver.prototxt --trials 9 --set ip1.num_output=32,64,128 --set ip1.weight_filler.type=xavier,msra
  netdef tune search solver.prototxt --trials 50 --storage postgresql://host/study
"""
ACTIONS = ("lr", "search")


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "tune", run, "lr|search SOLVER [flags]", "find a learning rate, or search over settings", HELP
    )
    parser.add_argument("action", nargs="?", metavar="lr|search", help="what to do")
    flags.add_file(parser, "solver", "SOLVER", "the solver, a prototxt")
    parser.add_argument("--iterations", type=flags.count, metavar="N", help="of each try; default: lr 100, search all")
    group = parser.add_argument_group("lr")
    group.add_argument("--start", type=float, default=0.1, metavar="RATE", help="the first rate; default 0.1")
    group.add_argument("--tries", type=flags.count, default=12, metavar="N", help="at most; default 12")
    group = parser.add_argument_group("search (needs optuna)")
    group.add_argument("--trials", type=flags.count, default=20, metavar="N", help="how many; default 20")
    group.add_argument("--set", action="append", default=[], metavar="NAME=RANGE", help="what to search over")
    group.add_argument("--storage", metavar="URL", help="where results are kept; default sqlite:///PREFIX_search.db")
    group.add_argument("--study", metavar="NAME", help="under which name; default PREFIX")
    group.add_argument("--sampler", choices=("tpe", "random"), default="tpe", metavar="KIND", help="tpe or random")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the sampler; default 0")
    group.add_argument("--plot", metavar="FILE.png", help="the picture; default PREFIX_search.png")


def run(args: argparse.Namespace) -> int:
    if args.action not in ACTIONS:
        given = f"'{args.action}' is no action{nearest(args.action, ACTIONS)}" if args.action else "want lr or search"
        raise flags.UsageError(f"{given} (see: netdef tune --help)")
    if args.action == "lr":
        from netdef.cli.tune.rate import find
    else:
        from netdef.cli.tune.search import find
    return find(args, flags.either(args, "solver"))
