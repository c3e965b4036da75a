"""netdef weights merge: several files as one."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
Where two files have a layer of one name, the later one's is taken.

examples:
  netdef weights merge trunk.caffemodel head.caffemodel -o whole.caffemodel
"""


def add(subparsers: Any) -> None:
    parser = flags.command(subparsers, "weights merge", run, "IN... -o OUT", "join files of weights", HELP)
    parser.add_argument("paths", nargs="+", metavar="IN", help="weights, later over earlier")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="where to write them")


def run(args: argparse.Namespace) -> None:
    from netdef.weights import edit

    layers = edit.layers_of(args.paths)
    edit.write(args.output, "", layers)
    print(f"wrote {args.output}: {len(layers)} layers of {len(args.paths)} files")
