"""netdef weights: files of weights looked into and edited, and nets changed together with theirs."""

from typing import Any

from netdef.cli import flags

KINDS = ("show", "diff", "rename", "merge", "convert", "fold", "convolve")
HELP = """\
Files are .caffemodel of any age or HDF5; OUT is HDF5 where its name ends in .h5. `netdef weights KIND --help` explains
each.

examples:
  netdef weights show net.caffemodel
  netdef weights diff before.caffemodel after.caffemodel.h5
  netdef weights rename net.caffemodel out.caffemodel fc8=fc8_flowers
  netdef weights convert net.caffemodel net.h5 --half
  netdef weights fold deploy.prototxt --weights net.caffemodel -o folded
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights", run, "KIND ... [flags]", "look into files of weights, and edit them", HELP
    )
    flags.add_kinds(parser, __name__, KINDS)


def run(args: Any) -> None:
    """Never reached: each kind has its own."""
