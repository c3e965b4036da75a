"""netdef weights diff: what is not the same in two files of weights."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
The exit status is 0 where all is the same (within --tolerance), else 1. Formats and ages of the files do not matter.

examples:
  netdef weights diff before.caffemodel after.caffemodel
  netdef weights diff net.caffemodel net.h5 --tolerance 1e-3
"""


def add(subparsers: Any) -> None:
    parser = flags.command(subparsers, "weights diff", run, "A B [flags]", "compare two files of weights", HELP)
    parser.add_argument("a", metavar="A", help="a file of weights")
    parser.add_argument("b", metavar="B", help="another")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="D", help="differences up to D are none")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from netdef.report.tables import show, show_json
    from netdef.weights import edit

    a, b = edit.layers_of([args.a]), edit.layers_of([args.b])
    found = [d for d in edit.differences(a, b) if d.largest is None or not d.largest <= args.tolerance]
    if args.json:
        show_json(found)
    elif found:
        rows = [(d.layer, str(d.blob), d.why, f"{d.largest:.4g}" if d.largest is not None else "") for d in found]
        show(("layer", "blob", "differs in", "by at most"), rows, right=("by at most",))
    else:
        print(f"{len(a)} layers, all the same")
    return int(bool(found))
