"""netdef data mnist: the handwritten digits as two databases, or three."""

import argparse
from typing import Any

from netdef.cli import flags
from netdef.cli.data import originals

HELP = """\
SOURCE is the folder with the four files train-images-idx3-ubyte.gz and so on, unpacked or not. OUT is a folder;
mnist_train_lmdb and mnist_test_lmdb are made in it, 1 x 28 x 28 and a label each.

examples:
  netdef data mnist mnist models/lenet
  netdef data mnist mnist models/lenet --download --validation 0.1
"""


def add(subparsers: Any) -> None:
    parser = flags.command(subparsers, "data mnist", run, "SOURCE OUT [flags]", "make databases of MNIST", HELP)
    originals.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from netdef.sources.originals import MNIST, MNIST_FILES, read_mnist

    originals.convert(args, "mnist", MNIST, MNIST_FILES, read_mnist)
