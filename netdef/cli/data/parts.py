"""Flags for parts of a collection, and databases written with a bar."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from netdef.cli import flags


def share(text: str) -> float:
    """A part of the whole from 0.05 to 0.3, also as a percentage."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0.05 <= value <= 0.3:
        raise argparse.ArgumentTypeError(f"want a share from 0.05 to 0.3, got '{text}'")
    return value


def add_shares(parser: flags.Parser, test: bool = True) -> None:
    """--validation, --test if wanted, and --seed."""
    names = ["validation", *(["test"] if test else [])]
    for name in names:
        parser.add_argument(
            f"--{name}", type=share, metavar="SHARE", help=f"keep this share of every label for {name}: 0.05 to 0.3"
        )
    parser.add_argument("--seed", type=flags.whole, default=0, metavar="N", help="which rows these are; default 0")


def shares(args: argparse.Namespace) -> dict[str, float]:
    """The shares that were given, by part."""
    found = {name: getattr(args, name, None) for name in ("validation", "test")}
    return {name: value for name, value in found.items() if value}


def write(path: Path, items: Iterable[tuple[bytes, bytes]], total: int) -> None:
    """A database, with a bar, and a line about it."""
    from netdef.report.terminal import steps
    from netdef.sources.lmdb import write_records

    path.parent.mkdir(parents=True, exist_ok=True)
    with steps(f"writing {path.name}", total) as step:
        count = write_records(path, _counted(items, step))
    print(f"{path}: {count} records")


def _counted(items: Iterable[Any], step: Callable[[], None]) -> Iterator[Any]:
    for item in items:
        yield item
        step()


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises NetdefError before any work is done, when one of the results is there already."""
    from netdef.errors import NetdefError

    for path in paths:
        if path.exists():
            raise NetdefError(f"{path} exists already; remove it first, or choose another name")
