"""netdef weights convolve: fully connected layers as convolutions."""

import argparse
from typing import Any

from netdef.cli import flags
from netdef.cli.weights.fold import add_flags, operate

HELP = """\
InnerProduct layers on images become Convolutions with the same weights, so that the net takes larger images and gives a
map of outputs. OUT.prototxt and OUT.caffemodel are written after both nets were run on the same inputs.

examples:
  netdef weights convolve deploy.prototxt --weights net.caffemodel -o fully_convolutional
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights convolve", run, "NET --weights W -o OUT", "make InnerProduct layers Convolutions", HELP
    )
    add_flags(parser)


def run(args: argparse.Namespace) -> None:
    from netdef import surgery

    operate(args, surgery.convolve, "no layer has an equal convolution")
