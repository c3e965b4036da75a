"""netdef weights show: what a file of weights holds."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
examples:
  netdef weights show net.caffemodel
  netdef weights show net.caffemodel --json
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "weights show", run, "FILE... [flags]", "show the layers, shapes and numbers of weights", HELP
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="weights; of several, later layers replace earlier")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    from netdef.report.tables import show, show_json
    from netdef.weights import edit

    layers = edit.layers_of(args.files)
    found = [
        (layer, i, stored, edit.numbers(stored))
        for layer in layers
        for i, stored in enumerate(layer.blobs)
        if stored is not None
    ]
    if args.json:
        show_json(
            [
                {"layer": layer.name, "type": layer.type, "blob": i, "shape": s.shape, "dtype": s.data.dtype.name}
                | vars(numbers)
                for layer, i, s, numbers in found
            ]
        )
        return
    columns = ("layer", "type", "blob", "shape", "dtype", "numbers", "least", "most", "mean", "deviation", "not finite")
    rows = [
        (
            layer.name,
            layer.type,
            str(i),
            "x".join(map(str, s.shape)) or "scalar",
            s.data.dtype.name,
            f"{n.count:,}",
            *(f"{v:.4g}" if v is not None else "" for v in (n.least, n.most, n.mean, n.deviation)),
            str(n.not_finite or ""),
        )
        for layer, i, s, n in found
    ]
    total = ("total", f"{len(layers)} layers", "", "", "", f"{sum(n.count for *_, n in found):,}", *[""] * 5)
    show(columns, rows, right=columns[5:], total=total)
