"""Whether somebody is watching."""

import os
from typing import IO, Any


def is_terminal(stream: IO[Any]) -> bool:
    """A terminal that can move its cursor; pipes, files and TERM=dumb are not."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"
