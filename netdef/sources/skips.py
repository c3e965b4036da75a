"""What takes the place of a record that cannot be read, and how often that was so."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from netdef.errors import SourceError

log = logging.getLogger("netdef")
Read = TypeVar("Read")


class Skips:
    """`first(i, read)` is read(i), or where that raises SourceError and `allowed`, of the next after i that does not.

    So what comes is a function of i and the data alone. Each one left out is counted, and each reason reported once.
    """

    def __init__(self, count: int, allowed: bool):
        """There are `count` to read, and the first comes after the last."""
        self.count, self.allowed = count, allowed
        self.bad: dict[int, str] = {}
        """Those left out, and why."""
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def first(self, i: int, read: Callable[[int], Read]) -> Read:
        """Raises SourceError, which says how to go on, or where none can be read."""
        for k in range(self.count):
            here = (i + k) % self.count
            try:
                return read(here)
            except SourceError as e:
                self.note(here, e)
        raise SourceError(f"not one of {self.count} can be read; the last: {self.bad[here]}")

    def note(self, i: int, error: SourceError) -> None:
        """Leave i out. Raises SourceError where that is not allowed."""
        if not self.allowed:
            raise SourceError(f"{error}; skip_bad: true leaves out what cannot be read") from None
        with self._lock:
            new = i not in self.bad and str(error) not in self._said
            self.bad.setdefault(i, str(error))
            self._said.add(self.bad[i])
            if new:
                log.warning("left out: %s (%d of %d so far)", error, len(self.bad), self.count)
