"""netdef data split: a database cut into parts for training, validation and testing."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.data import parts

HELP = """\
Each part gets its share of every label; which records these are depends on --seed alone. Records stay as they are.

examples:
  netdef data split all_lmdb pets_lmdb --validation 0.1              # pets_train_lmdb, pets_validation_lmdb
  netdef data split all_lmdb pets_lmdb --validation 0.1 --test 0.2   # and pets_test_lmdb
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "data split", run, "DB OUT --validation SHARE [flags]", "cut a database into parts", HELP
    )
    parser.add_argument("db", metavar="DB", help="the database")
    parser.add_argument("out", metavar="OUT", help="what the parts are named after")
    parts.add_shares(parser)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from netdef.report.terminal import steps
    from netdef.sources import datum
    from netdef.sources.backends import open_records
    from netdef.sources.parts import named, stratified

    wanted = parts.shares(args)
    if not wanted:
        raise flags.UsageError("no part to split off; give --validation SHARE, --test SHARE or both")
    parts.refuse_existing(named(Path(args.out), part) for part in ("train", *wanted))
    records, read = open_records(Path(args.db)), datum.Reader()
    labels = np.zeros(len(records), np.int64)
    with steps("reading labels", len(records)) as step:
        for row in range(len(records)):
            labels[row] = read(records.read([row])[0][1]).label
            step()
    for part, rows in stratified(labels, wanted, args.seed).items():
        items = ((bytes(key), bytes(value)) for row in rows for key, value in records.read([row]))
        parts.write(named(Path(args.out), part), items, len(rows))
