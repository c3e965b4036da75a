"""python -m netdef.pycaffe SCRIPT [ARGUMENTS]: run a script written for pycaffe, unmodified."""

import argparse
import importlib
import os
import runpy
import sys
from pathlib import Path

from netdef.errors import NetdefError

MODULES = (".classifier", ".coord_map", ".detector", ".draw", ".io", ".net_spec", ".proto", ".proto.caffe_pb2")


def stand_in_for_caffe() -> None:
    """Let `import caffe`, `import caffe.proto.caffe_pb2` and so on find netdef.pycaffe."""
    for name in ("", *MODULES):
        sys.modules[f"caffe{name}"] = importlib.import_module(f"netdef.pycaffe{name}")
    sys.modules["caffe.pycaffe"] = sys.modules["caffe"]


def main(argv: list[str] | None = None) -> int:
    """The script's own exit status; 1 with a message for an error of netdef's."""
    parser = argparse.ArgumentParser(
        prog="python -m netdef.pycaffe",
        description="Run a script written for pycaffe: its `import caffe` finds netdef.",
        epilog="example: python -m netdef.pycaffe classify.py deploy.prototxt weights.caffemodel",
    )
    parser.add_argument("--allow-code", action="store_true", help="let Python layers named by a prototxt run")
    parser.add_argument("script", type=Path, help="the script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv[1:]")
    args = parser.parse_args(argv)
    if not args.script.is_file():
        print(f"netdef: error: no script {args.script}", file=sys.stderr)
        return 1
    if args.allow_code:
        os.environ["NETDEF_ALLOW_CODE"] = "1"
    stand_in_for_caffe()
    sys.argv = [str(args.script), *args.arguments]
    sys.path.insert(0, str(args.script.resolve().parent))
    try:
        runpy.run_path(str(args.script), run_name="__main__")
    except NetdefError as e:
        print(f"netdef: error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
