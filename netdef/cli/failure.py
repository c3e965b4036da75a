"""What a failure becomes: one line on stderr that says what to do, and an exit status."""

import contextlib
import os
import sys

from netdef.cli.flags import UsageError
from netdef.errors import NetdefError

FAILED, USAGE, INTERRUPTED, PIPE = 1, 2, 130, 141


def report(error: BaseException, traceback: bool = False) -> int:
    """Print the error, with its traceback when that was asked for; the exit status."""
    if isinstance(error, BrokenPipeError):
        _silence()
        return PIPE
    if traceback or os.environ.get("NETDEF_TRACEBACK", "") not in ("", "0"):
        import traceback as tracebacks

        tracebacks.print_exception(error)
    say(f"error: {message(error)}")
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return USAGE if isinstance(error, UsageError) else FAILED


def message(error: BaseException) -> str:
    """What happened and what to do, in one line where the error itself has one."""
    if isinstance(error, NetdefError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        what = f"out of memory: {error}".removesuffix(": ")
        return f"{what}; use a smaller batch, or see what the net needs with: netdef check NET"
    if isinstance(error, OSError) and error.strerror:
        names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        return f"{names}: {error.strerror}" if names else error.strerror
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{what}; netdef did not expect this: run it again with --traceback to see where it arose"


def say(text: str) -> None:
    """A line on stderr with the program's name; nothing where stderr is gone."""
    with contextlib.suppress(OSError, ValueError):
        print(f"netdef: {text}", file=sys.stderr, flush=True)


def _silence() -> None:
    """Nobody reads stdout any more: let the interpreter's last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
