"""netdef data show: what a database holds."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags

HELP = """\
Reads every record once. A record that cannot be read is counted and named, and the exit status is then 1.

examples:
  netdef data show train_lmdb
  netdef data show train_lmdb --sheet first.png --count 64
  netdef data show train_lmdb --json
"""
COLUMNS = 10


def add(subparsers: Any) -> None:
    parser = flags.command(subparsers, "data show", run, "DB [flags]", "count the records of a database", HELP)
    parser.add_argument("db", metavar="DB", help="the database")
    parser.add_argument("--sheet", metavar="OUT.png", help="write the first images side by side")
    parser.add_argument("--count", type=flags.count, default=100, metavar="N", help="how many; default 100")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from netdef.report.tables import show_json
    from netdef.report.terminal import steps
    from netdef.sources.backends import open_records
    from netdef.sources.databases import Datums
    from netdef.sources.summary import summary

    datums = Datums(open_records(Path(args.db)))
    with steps("reading", len(datums)) as step:
        found = summary(datums, step)
    if args.sheet:
        _sheet(datums, args.sheet, args.count)
    if args.json:
        shapes = [{"shape": shape, "records": count} for shape, count in found.shapes.most_common()]
        show_json({**vars(found), "shapes": shapes, "labels": dict(sorted(found.labels.items()))})
    else:
        _print(args.db, found)
    return int(bool(found.bad))


def _print(name: str, found: Any) -> None:
    from netdef.report.tables import show

    kind = "encoded images" if found.encoded == found.records else f"{found.encoded} of them encoded images"
    print(f"{name}: {found.records} records" + (f", {kind}" if found.encoded else ""))
    if found.shapes:
        print(f"values {found.low:g} to {found.high:g}{', float_data' if found.floats else ''}")
    for shape, count in found.shapes.most_common(COLUMNS):
        print(f"shape {'x'.join(map(str, shape))}: {count}")
    if len(found.shapes) > COLUMNS:
        print(f"and {len(found.shapes) - COLUMNS} other shapes")
    total, most = sum(found.labels.values()), max(found.labels.values(), default=1)
    rows = [
        (str(label), str(count), f"{100 * count / total:.1f}%", "#" * -(-30 * count // most))
        for label, count in sorted(found.labels.items())
    ]
    if rows:
        show(("label", "records", "share", ""), rows, right=("label", "records", "share"))
    for message in found.bad[:COLUMNS]:
        print(message)
    if found.bad:
        print(f"{len(found.bad)} of {found.records} records cannot be read")


def _sheet(datums: Any, path: str, count: int) -> None:
    from netdef.errors import SourceError
    from netdef.report.sheet import sheet, write_png

    images = []
    for row in range(min(count, len(datums))):
        try:
            images.append(datums.decode(row, datums.fetch([row])[0])[0])
        except SourceError:
            continue
    if not images:
        raise SourceError(f"{path}: none of the first {count} records can be read")
    write_png(path, sheet(images, COLUMNS))
