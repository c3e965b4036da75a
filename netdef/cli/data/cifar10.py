"""netdef data cifar10: the small colour photographs as two databases, or three."""

import argparse
from typing import Any

from netdef.cli import flags
from netdef.cli.data import originals

HELP = """\
SOURCE is CIFAR-10's binary version: the archive cifar-10-binary.tar.gz, or the folder it is in or was unpacked to.
OUT is a folder; cifar10_train_lmdb and cifar10_test_lmdb are made in it, 3 x 32 x 32 and a label each. Colours stay in
the files' order, red first, as with Caffe's own tool; netdef data show takes blue for first: its sheet swaps the two.

examples:
  netdef data cifar10 cifar10 models/cifar10_quick
  netdef data cifar10 cifar10 models/cifar10_quick --download --validation 0.1
"""


def add(subparsers: Any) -> None:
    parser = flags.command(subparsers, "data cifar10", run, "SOURCE OUT [flags]", "make databases of CIFAR-10", HELP)
    originals.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from netdef.sources.originals import CIFAR10, CIFAR10_FILES, read_cifar10

    originals.convert(args, "cifar10", CIFAR10, CIFAR10_FILES, read_cifar10)
