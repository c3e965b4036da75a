"""netdef data: databases made from files, measured, shown and split; one file for each kind of work."""

from typing import Any

from netdef.cli import flags

KINDS = ("mnist", "cifar10", "images", "split", "mean", "show")
HELP = """\
Databases are LMDB folders, as Caffe's own tools make them. `netdef data KIND --help` explains each.

examples:
  netdef data mnist mnist models/lenet
  netdef data images train.txt train_lmdb --root photos/ --resize-height 256 --resize-width 256 --shuffle
  netdef data split all_lmdb parts_lmdb --validation 0.1
  netdef data mean train_lmdb mean.binaryproto
  netdef data show train_lmdb --sheet first.png
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "data", run, "KIND ... [flags]", "make databases from files, and look into them", HELP
    )
    flags.add_kinds(parser, __name__, KINDS)


def run(args: Any) -> None:
    """Never reached: each kind has its own."""
