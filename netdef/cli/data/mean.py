"""netdef data mean: the mean image of a database."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags

HELP = """\
For transform_param { mean_file: "OUT" }; the means of the channels, which are printed, are for mean_value.

examples:
  netdef data mean train_lmdb mean.binaryproto
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "data mean", run, "DB OUT.binaryproto [flags]", "compute the mean image of a database", HELP
    )
    parser.add_argument("db", metavar="DB", help="the database")
    parser.add_argument("out", metavar="OUT.binaryproto", help="where to write the mean image")


def run(args: argparse.Namespace) -> None:
    from netdef.report.terminal import steps
    from netdef.sources.backends import open_records
    from netdef.sources.databases import Datums
    from netdef.sources.mean import write_mean
    from netdef.sources.summary import mean

    datums = Datums(open_records(Path(args.db)))
    with steps("adding up", len(datums)) as step:
        found = mean(datums, step)
    write_mean(args.out, found)
    size = "x".join(map(str, found.shape))
    print(f"{args.out}: mean of {len(datums)} images, {size}")
    print("".join(f"mean_value: {value:.6g} " for value in found.mean((1, 2))).rstrip())
