# ruff: noqa: N999 (the command is called so)
"""netdef import: an ONNX model as a prototxt and a caffemodel."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.check import shape

HELP = """\
The net is compared with the model in ONNX Runtime before anything is written. An operation that no layer computes is
named.

examples:
  netdef import net.onnx -o net
  netdef import net.onnx --shape data=1,3,224,224 -o net
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "import", run, "MODEL.onnx -o PREFIX", "write an ONNX model as prototxt and caffemodel", HELP
    )
    parser.add_argument("path", metavar="MODEL.onnx", help="the model")
    parser.add_argument(
        "-o", "--output", required=True, metavar="PREFIX", help="for PREFIX.prototxt, PREFIX.caffemodel"
    )
    parser.add_argument(
        "--shape", action="append", type=shape, default=[], metavar="BLOB=1,3,224,224", help="the shape of an input"
    )


def run(args: argparse.Namespace) -> None:
    from netdef.cli import settings
    from netdef.onnx_import import imported

    done = imported(args.path, settings.plugins(args), dict(args.shape))
    text, model = done.save(Path(args.output))
    print(f"wrote {text} and {model}: {len(done.param.layer)} layers, the same outputs as ONNX Runtime's")
