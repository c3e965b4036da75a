"""netdef upgrade: write an old net or solver in today's format."""

import argparse
import sys
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.cli.failure import say

HELP = """\
Nets and solvers both; without OUT the text goes to standard output. Comments are not kept.

examples:
  netdef upgrade old.prototxt new.prototxt
  netdef upgrade --in-place train_val.prototxt
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "upgrade", run, "IN [OUT] [flags]", "write an old net or solver in today's format", HELP
    )
    parser.add_argument("path", metavar="IN", help="a net or solver of any age, a prototxt")
    parser.add_argument("out", nargs="?", metavar="OUT", help="where to write it; - or nothing for standard output")
    parser.add_argument("--in-place", action="store_true", help="write over IN")


def run(args: argparse.Namespace) -> None:
    from netdef import prototxt
    from netdef.cli import settings
    from netdef.files import replacing
    from netdef.upgrade import upgrade_net, upgrade_solver

    out = _target(args)
    schema = settings.plugins(args).schema
    old = _read(args.path, schema)
    is_net = old.DESCRIPTOR.name == "NetParameter"
    reasons = _reasons(old)
    text = prototxt.write((upgrade_net if is_net else upgrade_solver)(old))
    if out is None:
        sys.stdout.write(text)
    else:
        with replacing(out, "w") as f:
            f.write(text)
    for reason in reasons:
        say(f"upgraded: {reason}")
    if not reasons:
        say(f"{args.path} is in today's format already" + (f"; {out} says the same" if out else ""))


def _target(args: argparse.Namespace) -> Path | None:
    """The file to write. Raises UsageError where that is the input and nobody asked for it."""
    if args.in_place:
        if args.out:
            raise flags.UsageError("--in-place writes over IN; leave OUT away")
        return Path(args.path)
    if args.out in (None, "-"):
        return None
    out = Path(args.out)
    if out.exists() and Path(args.path).exists() and out.samefile(args.path):
        raise flags.UsageError(f"{out} is the input itself; to write over it: netdef upgrade --in-place {args.path}")
    return out


def _read(path: str, schema: Any) -> Any:
    """A net, unless it reads as a solver alone; where it is neither, the complaint of what it looks like."""
    from netdef import prototxt
    from netdef.cli.nets import looks_like
    from netdef.errors import PrototxtError

    kinds = ["NetParameter", "SolverParameter"]
    if looks_like(path) == "solver":
        kinds.reverse()
    try:
        return prototxt.read(path, schema.message(kinds[0]))
    except PrototxtError as first:
        try:
            return prototxt.read(path, schema.message(kinds[1]), ignored=[])
        except PrototxtError:
            raise first from None


def _reasons(old: Any) -> list[str]:
    from netdef.upgrade import needs_upgrade

    if old.DESCRIPTOR.name == "NetParameter":
        return needs_upgrade(old)
    inside = [old.net_param, old.train_net_param, *old.test_net_param]
    reasons = [reason for net in inside for reason in needs_upgrade(net)]
    return ["solver_type, an enum, is now type, a name"] * old.HasField("solver_type") + reasons
