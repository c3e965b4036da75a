"""netdef weights fold: normalization and scaling folded into the layers before them."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
BatchNorm, Scale and Bias layers that follow a Convolution, Deconvolution or InnerProduct go into its weights; a
BatchNorm and a Scale that follow none of them become one Scale.
OUT.prototxt and OUT.caffemodel are written after both nets were run on the same inputs.

examples:
  netdef weights fold deploy.prototxt --weights net.caffemodel -o folded
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights fold", run, "NET --weights W -o OUT", "fold BatchNorm and Scale into layers", HELP
    )
    add_flags(parser)


def add_flags(parser: flags.Parser) -> None:
    """A net, its weights, and where the new ones go."""
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    parser.add_argument("--weights", type=flags.words, required=True, metavar="W,W2", help="the trained weights")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="prefix of the files to write")
    flags.add_state(parser, None)
    parser.set_defaults(shape=[])


def run(args: argparse.Namespace) -> None:
    from netdef import surgery

    operate(args, surgery.fold, "nothing to fold")


def operate(args: argparse.Namespace, operation: Any, nothing: str) -> None:
    """Do it, compare, write, and say what was done. Raises NetdefError where the outputs differ."""
    from netdef import surgery
    from netdef.cli.export import build
    from netdef.errors import WeightsError

    net = build(flags.either(args, "model"), args)
    done = operation(net)
    if not done.changes:
        raise WeightsError(f"net '{net.name}': {nothing}")
    off = surgery.difference(net, done)
    if not off < 1e-3:
        raise WeightsError(f"the outputs would differ by {off:.2g} of their scale; nothing was written")
    for change in done.changes:
        print(change)
    written = " and ".join(map(str, done.save(args.output)))
    print(f"wrote {written}; on random inputs the outputs differ by at most {off:.2g} of their scale")
