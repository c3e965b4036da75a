"""The command line: one file for each command; nothing heavy is imported before a command runs."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from netdef import __version__
from netdef.cli import failure
from netdef.cli.flags import Parser, UsageError, add_common, spelled
from netdef.names import nearest

COMMANDS = (
    "train",
    "test",
    "time",
    "check",
    "export",
    "import",
    "predict",
    "weights",
    "tune",
    "gradcheck",
    "upgrade",
    "data",
    "layers",
    "plugins",
)

EXAMPLES = """\
examples:
  netdef train models/digits/solver.prototxt
  netdef check models/digits/train_val.prototxt --phase TRAIN
  netdef COMMAND --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, by default the process's; the exit status (0, 1 failed, 2 usage, 130 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _main(words)
        sys.stdout.flush()
        return status
    except SystemExit as e:  # argparse after printing help
        return e.code if isinstance(e.code, int) else failure.FAILED
    except (Exception, KeyboardInterrupt) as e:
        return failure.report(e, traceback=bool({"--traceback", "-traceback"} & set(words)))


def _main(words: list[str]) -> int:
    at = next((i for i, word in enumerate(words) if word in COMMANDS), None)
    if at is None:
        return _no_command(words)
    name = words.pop(at)  # flags may stand before the command, as gflags allows
    parser = _parsers([name])[name]
    add_common(parser)
    return _run(parser.parse(words))


def _run(args: Any) -> int:
    from netdef.cli.settings import applied, heard

    with applied(args), heard():
        if getattr(args, "gpu", None) is not None:
            failure.say("note: --gpu is ignored: netdef runs on the CPU")
        return args.run(args) or 0


def _no_command(words: list[str]) -> int:
    parsers = _parsers(COMMANDS)
    root = parsers[""]
    if not words:
        root.print_help(sys.stderr)
        return failure.USAGE
    wrong = next((word for word in words if not word.startswith("-")), None)
    if wrong is not None:
        raise UsageError(f"unknown command '{wrong}'{nearest(wrong, COMMANDS)} (see: netdef --help)")
    _, left = root.parse_known_args(spelled(words, root._option_string_actions))
    root.unknown(left[0])


def _parsers(commands: Sequence[str]) -> dict[str, Parser]:
    """The parsers of some commands by name, and the program's own under ""."""
    root = Parser(prog="netdef", epilog=EXAMPLES, description="Run, train and export Caffe nets; layers are plugins.")
    root.add_argument("--version", action="version", version=f"netdef {__version__}")
    subparsers = root.add_subparsers(metavar="COMMAND", title="commands")
    for name in commands:
        importlib.import_module(f"netdef.cli.{name}").add(subparsers)
    return {"": root, **subparsers.choices}
