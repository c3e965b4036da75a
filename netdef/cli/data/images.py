"""netdef data images: a database from a list of image files, as Caffe's convert_imageset makes it."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.data import parts

HELP = """\
LIST has a path and a label on each line. Images are stored as bytes in BGR, or with --encoded as image files.
With --validation or --test, OUT_train, OUT_validation and OUT_test are made, each with its share of every label.
With --label-count N, a line ends in N numbers, and OUT_labels holds them as float_data under the same keys: read it by
a second Data layer.

examples:
  netdef data images train.txt train_lmdb --root photos/ --resize-height 256 --resize-width 256 --shuffle
  netdef data images all.txt pets_lmdb --validation 0.1 --test 0.1
  netdef data images train.txt train_lmdb --encoded --encode-type jpg
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "data images", run, "LIST OUT [flags]", "make a database of the images in a list", HELP
    )
    parser.add_argument("list", metavar="LIST", help="a text file: path and label on each line")
    parser.add_argument("out", metavar="OUT", help="the database, a new folder")
    parser.add_argument("--root", default="", metavar="FOLDER/", help="put in front of every path")
    parser.add_argument("--resize-height", type=flags.count, metavar="N", help="resize images to this height")
    parser.add_argument("--resize-width", type=flags.count, metavar="N", help="and this width")
    parser.add_argument("--gray", action="store_true", help="one channel")
    parser.add_argument("--shuffle", action="store_true", help="write them in random order")
    parser.add_argument("--encoded", action="store_true", help="store image files, not pixels")
    parser.add_argument("--encode-type", default="", metavar="jpg|png", help="which kind; default: as the file is")
    parser.add_argument("--label-count", type=flags.count, default=0, metavar="N", help="numbers at the end of a line")
    parser.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read, and say so")
    parts.add_shares(parser)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from netdef.sources import image
    from netdef.sources.lists import Images, read_list
    from netdef.sources.order import permutation
    from netdef.sources.parts import named, stratified

    wanted = parts.shares(args)
    if bool(args.resize_height) != bool(args.resize_width):
        raise flags.UsageError("give --resize-height and --resize-width, or neither")
    if args.encode_type and not args.encoded:
        raise flags.UsageError("--encode-type goes with --encoded")
    if wanted and args.label_count:
        raise flags.UsageError("--label-count and shares do not go together: a vector is no class to share out")
    image.encode(np.zeros((1, 1, 1), np.uint8), args.encode_type or "png")  # says at once what is wrong or missing
    listed, out = Path(args.list), Path(args.out)
    entries = read_list(listed, args.label_count)
    labels = np.array([0 if args.label_count else label for _, label in entries])
    chosen = stratified(labels, wanted, args.seed)
    for part in chosen:
        place = named(out, part) if wanted else out
        parts.refuse_existing([place, *([vectors(place)] if args.label_count else [])])
    size = (args.resize_height, args.resize_width) if args.resize_height else None
    channels = image.GRAY if args.gray else image.COLOUR
    for k, (part, rows) in enumerate(chosen.items()):
        if args.shuffle:
            rows = rows[permutation(len(rows), args.seed, k)]
        images = Images([entries[row] for row in rows], args.root, channels, size, _finder(listed))
        _write(args, images, named(out, part) if wanted else out)


def vectors(out: Path) -> Path:
    """Where the label vectors of a database go."""
    from netdef.sources.parts import named

    return named(out, "labels")


def _finder(listed: Path) -> Any:
    from netdef.files import finder

    return finder(listed.parent)


def _write(args: argparse.Namespace, images: Any, out: Path) -> None:
    kept: list[int] = []
    parts.write(out, _items(args, images, kept), len(images))
    if args.label_count:
        parts.write(vectors(out), _vector_items(images, kept), len(kept))


def _items(args: argparse.Namespace, images: Any, kept: list[int]) -> Iterator[tuple[bytes, bytes]]:
    from netdef.cli.failure import say
    from netdef.errors import SourceError

    for row in range(len(images)):
        try:
            value = _value(args, images, row)
        except SourceError as e:
            if not args.skip_bad:
                raise SourceError(f"{images.name(row)}: {e}; --skip-bad leaves out what cannot be read") from None
            say(f"left out: {images.name(row)}: {e}")
            continue
        yield _key(len(kept), images.entries[row][0]), value
        kept.append(row)
    if len(kept) < len(images):
        say(f"{len(images) - len(kept)} of {len(images)} images were left out")


def _vector_items(images: Any, kept: list[int]) -> Iterator[tuple[bytes, bytes]]:
    from netdef.sources import datum

    for i, row in enumerate(kept):
        path, label = images.entries[row]
        yield _key(i, path), datum.write(label.reshape(-1, 1, 1))


def _key(i: int, path: str) -> bytes:
    """Caffe's key: number and path; the end of a long path, since LMDB takes 511 bytes."""
    return b"%08d_" % i + path.encode(errors="surrogateescape")[-500:]


def _value(args: argparse.Namespace, images: Any, row: int) -> bytes:
    from netdef.sources import datum, image

    path, label = images.entries[row]
    number = 0 if args.label_count else label
    kind = args.encode_type or Path(path).suffix.lstrip(".").lower() or "png"
    own = kind == Path(path).suffix.lstrip(".").lower() and not images.size and not args.gray
    x, _ = images.decode(row, row)
    if not args.encoded:
        return datum.write(x, number)
    return datum.write_encoded(images.bytes(row) if own else image.encode(x, kind), number)
