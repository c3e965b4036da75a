"""netdef weights convert: the same weights in another format or precision."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.failure import say

HELP = """\
The format is told by OUT's name: HDF5 for .h5, else .caffemodel. --half stores float16: BVLC Caffe reads that from
HDF5, and not from a .caffemodel, where it is stored as NVCaffe does.

examples:
  netdef weights convert net.caffemodel net.h5
  netdef weights convert net.caffemodel half.h5 --half
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights convert", run, "IN OUT [--half]", "write weights in another format or precision", HELP
    )
    parser.add_argument("path", metavar="IN", help="the weights")
    parser.add_argument("out", metavar="OUT", help="where to write them")
    parser.add_argument("--half", action="store_true", help="store float16")


def run(args: argparse.Namespace) -> None:
    from netdef.limits import readable
    from netdef.weights import edit

    edit.write(args.out, "", edit.layers_of([args.path]), half=args.half)
    if args.half and Path(args.out).suffix not in (".h5", ".hdf5"):
        say("note: BVLC Caffe reads no float16 from a .caffemodel, and says nothing; it does from HDF5: name OUT .h5")
    sizes = (readable(Path(p).stat().st_size) for p in (args.path, args.out))
    print(f"wrote {args.out}: {' -> '.join(sizes)}")
