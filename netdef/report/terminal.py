"""Whether somebody is watching, and a bar for those who do."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any


def is_terminal(stream: IO[Any]) -> bool:
    """A terminal that can move its cursor; pipes, files and TERM=dumb are not."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


@contextlib.contextmanager
def steps(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; call what it yields after each step."""
    if not is_terminal(sys.stderr):
        yield lambda: None
        return
    from netdef.report import progress

    with progress.steps(description, total) as step:
        yield step
