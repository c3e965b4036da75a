"""Flags: the parser every command uses, Caffe's spellings, and the flags that several commands share."""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from netdef.errors import NetdefError
from netdef.names import nearest

_FLAG = re.compile(r"--?([A-Za-z][\w-]*)(=.*)?", re.DOTALL)


class UsageError(NetdefError):
    """A command line that cannot be followed; exit status 2."""


class Parser(argparse.ArgumentParser):
    """Complains by UsageError, with the nearest right flag; takes flags as gflags does: -solver=x, --solver x."""

    def __init__(self, **settings: Any):
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings)
        self.kinds: dict[str, Parser] = {}
        """The parsers that take over after a word, for a command that is several."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")

    def parse(self, argv: Iterable[str]) -> argparse.Namespace:
        """Flags and files in any order. Raises UsageError."""
        argv = list(argv)
        word = next((word for word in argv if not word.startswith("-")), None)
        if self.kinds and word is not None:
            if word not in self.kinds:
                self.error(f"unknown kind '{word}'{nearest(word, self.kinds) or '; want ' + ', '.join(self.kinds)}")
            argv.remove(word)
            add_common(self.kinds[word])
            return self.kinds[word].parse(argv)
        args, left = self.parse_known_intermixed_args(spelled(argv, self._option_string_actions))
        if left:
            self.unknown(left[0])
        return args

    def unknown(self, word: str) -> NoReturn:
        """Complain about a word that is neither a flag nor asked for."""
        name, kind = word.split("=", 1)[0], "flag" if word.startswith("-") else "argument"
        # the one table that has the flags of argument groups too
        self.error(f"unknown {kind} '{name}'{nearest(name, self._option_string_actions)}")


def spelled(argv: Iterable[str], known: Iterable[str]) -> list[str]:
    """Flags as declared, whether they came with one dash or two, with underscores or hyphens."""
    declared = {_plain(name): name for name in known if name.startswith("--")}
    out: list[str] = []
    for token in argv:
        match = _FLAG.fullmatch(token)
        name = declared.get(_plain(match[1])) if match else None
        if match and name:
            token = name + (match[2] or "")
        elif match and not token.startswith("--") and len(match[1]) > 1:
            token = f"-{token}"  # an unknown word, not a short flag with its value attached
        out.append(token)
    return out


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def command(
    subparsers: Any, name: str, run: Callable[[Any], int | None], usage: str, summary: str, text: str = ""
) -> Parser:
    """The parser of a command. `usage` is what follows its name, `text` what follows the flags in its help."""
    parser: Parser = subparsers.add_parser(name, usage=f"netdef {name} {usage}", help=summary, epilog=text)
    parser.description = f"{summary[0].upper()}{summary[1:]}."
    parser.set_defaults(run=run, usage=f"netdef {name} {usage}")
    return parser


def add_file(parser: Parser, flag: str, metavar: str, help: str) -> None:
    """A file given by its place or by a flag; see either."""
    parser.add_argument("path", nargs="?", metavar=metavar, help=help)
    parser.add_argument(f"--{flag}", metavar=metavar, help="the same, as a flag")


def add_kinds(parser: Parser, package: str, kinds: Sequence[str]) -> None:
    """The word that names a kind of work; each kind has a module of the package, and takes over from there."""
    parser.add_argument("kind", metavar="KIND", help=", ".join(kinds))
    inner = Parser(prog="netdef").add_subparsers()
    for kind in kinds:
        importlib.import_module(f"{package}.{kind}").add(inner)
    parser.kinds = {name.split()[-1]: kind for name, kind in inner.choices.items()}


def add_weights(parser: Parser) -> None:
    """--weights; see netdef.cli.nets.weights_for."""
    parser.add_argument(
        "--weights", type=words, default=(), metavar="W,W2", help="the trained weights; default: the best model"
    )


def add_common(parser: Parser) -> None:
    """The flags that every command has."""
    group = parser.add_argument_group("plugins and errors")
    group.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load a plugin from a file too")
    group.add_argument("--allow-plugins", type=words, default=(), metavar="A,B", help="load no other distributions")
    group.add_argument("--deny-plugins", type=words, default=(), metavar="A,B", help="do not load these")
    group.add_argument("--prefer", type=choices, default={}, metavar="TYPE=PLUGIN", help="whose TYPE to use")
    group.add_argument("--strict-plugins", action="store_true", help="a plugin that fails to load is an error")
    group.add_argument("--allow-code", action="store_true", help="run code that a prototxt names (Python layers)")
    group.add_argument("--traceback", action="store_true", help="show where in the code an error arose")


def add_state(parser: Parser, phase: str | None) -> None:
    """--phase (with its default; None where the command decides it), --level and --stage."""
    group = parser.add_argument_group("which layers")
    if phase is not None:
        group.add_argument(
            "--phase",
            type=str.upper,
            choices=("TRAIN", "TEST"),
            default=phase,
            metavar="PHASE",
            help=f"TRAIN or TEST; default {phase}",
        )
    group.add_argument("--level", type=int, default=0, metavar="N", help="the level that include and exclude rules see")
    group.add_argument("--stage", type=words, default=(), metavar="A,B", help="the stages they see")


def add_gpu(parser: Parser) -> None:
    parser.add_argument("--gpu", metavar="ID", help="accepted from Caffe command lines; the CPU is used")


def phase(args: argparse.Namespace) -> int:
    """0 for TRAIN, 1 for TEST, as in NetState."""
    return ("TRAIN", "TEST").index(args.phase)


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def choices(text: str) -> dict[str, str]:
    """TYPE=PLUGIN, comma-separated."""
    pairs = [word.partition("=") for word in words(text)]
    if not all(name and value for name, _, value in pairs):
        raise argparse.ArgumentTypeError(f"want TYPE=PLUGIN, got '{text}'")
    return {name: value for name, _, value in pairs}


def count(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"want a whole number from 1, got '{text}'")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0."""
    if not re.fullmatch(r"\d{1,18}", text):
        raise argparse.ArgumentTypeError(f"want a whole number from 0, got '{text}'")
    return int(text)


def either(args: argparse.Namespace, flag: str) -> str:
    """The file given by its place (args.path) or by a flag. Raises UsageError for neither, or for two that differ."""
    placed, flagged = args.path, getattr(args, flag)
    if placed and flagged and placed != flagged:
        raise UsageError(f"got '{placed}' and --{flag} '{flagged}'; give one")
    if not (placed or flagged):
        raise UsageError(f"no file given; want: {args.usage}")
    return str(placed or flagged)
