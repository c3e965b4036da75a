"""netdef weights rename: layers under other names."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
examples:
  netdef weights rename net.caffemodel out.caffemodel fc8=fc8_flowers conv1=stem/conv1
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights rename", run, "IN OUT OLD=NEW...", "give layers of a weights file other names", HELP
    )
    parser.add_argument("path", metavar="IN", help="the weights")
    parser.add_argument("out", metavar="OUT", help="where to write them")
    parser.add_argument("names", nargs="+", type=flags.choices, metavar="OLD=NEW", help="a layer and its new name")


def run(args: argparse.Namespace) -> None:
    from netdef.weights import edit

    names = {old: new for pairs in args.names for old, new in pairs.items()}
    layers = edit.rename(edit.layers_of([args.path]), names)
    edit.write(args.out, "", layers)
    print(f"wrote {args.out}: {len(layers)} layers, {len(names)} renamed")
