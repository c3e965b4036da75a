"""Whether somebody is watching, and a bar for those who do."""

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any


def is_terminal(stream: IO[Any]) -> bool:
    """A terminal that can move its cursor; pipes, files and TERM=dumb are not."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


@contextlib.contextmanager
def watched(description: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal, nothing elsewhere; call what it yields with (steps done, steps in all, what comes next)."""
    if not is_terminal(sys.stderr):
        yield lambda done, total, what: None
        return
    from netdef.report import progress

    with progress.watched(description) as watch:
        yield watch


@contextlib.contextmanager
def steps(description: str, total: int) -> Iterator[Callable[[], None]]:
    """The same for a known number of steps; call what it yields after each."""
    done = itertools.count(1)
    with watched(description) as watch:
        yield lambda: watch(next(done), total, "")
