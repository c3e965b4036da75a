"""What `netdef data mnist` and `netdef data cifar10` have in common."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.data import parts


def add_arguments(parser: flags.Parser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="where the original files are")
    parser.add_argument("out", metavar="OUT", help="the folder for the databases")
    parser.add_argument("--download", action="store_true", help="fetch what SOURCE lacks, and check it")
    parts.add_shares(parser, test=False)


def convert(args: argparse.Namespace, name: str, base: str, files: dict[str, str], read: Callable[[Path], Any]) -> None:
    """One database for training and one for testing; one for validation, out of the training images, if wanted."""
    from netdef.sources.parts import stratified

    out, source, wanted = Path(args.out), Path(args.source), parts.shares(args)
    places = {part: out / f"{name}_{part}_lmdb" for part in ("train", *wanted, "test")}
    parts.refuse_existing(places.values())
    if args.download:
        _download(base, files, source)
    found = read(source)
    images, labels = found["train"]
    chosen = {part: (images[rows], labels[rows]) for part, rows in stratified(labels, wanted, args.seed).items()}
    for part, place in places.items():
        images, labels = chosen.get(part, found.get(part))
        parts.write(place, _items(images, labels), len(images))


def _items(images: Any, labels: Any) -> Iterator[tuple[bytes, bytes]]:
    from netdef.sources import datum

    for i, (x, label) in enumerate(zip(images, labels, strict=True)):
        yield b"%08d" % i, datum.write(x, int(label))


def _download(base: str, files: dict[str, str], folder: Path) -> None:
    from netdef.report.terminal import is_terminal
    from netdef.sources.originals import download

    if not is_terminal(sys.stderr):
        download(base, files, folder)
        return
    from netdef.report.progress import bar

    with bar() as progress:
        task = progress.add_task("fetching")
        download(base, files, folder, lambda n, all: progress.update(task, completed=n, total=all or n, refresh=True))
