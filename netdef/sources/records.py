"""Keyed records in key order, read by number: the part that LMDB and LevelDB have in common."""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import SourceError

STRIDE = 64
"""A key is remembered for each so many records, so that a jump walks no further than that."""

Item = tuple[bytes, Any]
"""A key and a value, both bytes or memoryview."""


class Records:
    """`records.read(rows)` gives the (key, value) of each row, 0 to len - 1; several threads may ask.

    Reading on from the last row is fast, as is any jump within what was walked before. Values are good as long as
    `records` is.
    """

    def __init__(self, path: Path, count: int, items: Callable[[bytes | None], Iterator[Item]]):
        """`items(key)` begins at a key, with None at the first."""
        if not count:
            raise SourceError(f"{path} holds no records")
        self.path, self._count, self._items = path, count, items
        self._marks: list[bytes] = []
        self._at = 0
        self._walk: Iterator[Item] = iter(())
        self._started = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def read(self, rows: Sequence[int] | np.ndarray) -> list[Item]:
        """Raises SourceError naming the database where it cannot be read on."""
        with self._lock:
            return [self._get(int(row)) for row in rows]

    def _get(self, row: int) -> Item:
        if row != self._at or not self._started:
            self._jump(row)
        try:
            return self._next()
        except StopIteration:
            raise SourceError(f"{self.path}: ends before record {row} of {self._count}") from None

    def _next(self) -> Item:
        item = next(self._walk)
        if self._at == len(self._marks) * STRIDE:
            self._marks.append(bytes(item[0]))
        self._at += 1
        return item

    def _jump(self, row: int) -> None:
        near = self._started and self._at <= row < (self._at // STRIDE + 1) * STRIDE
        if not near:
            mark = min(row // STRIDE, len(self._marks) - 1)
            self._at = max(mark, 0) * STRIDE
            self._walk = self._items(self._marks[mark] if mark >= 0 else None)
            self._started = True
        try:
            while self._at < row:
                self._next()
        except StopIteration:
            self._started = False
            raise SourceError(f"{self.path}: ends before record {row} of {self._count}") from None


class Shared:
    """Open databases by path, so that several readers in one process share one: LMDB and LevelDB refuse a second.

    A database is closed when its last reader lets go, in whichever thread that is; who asks for it meanwhile gets it
    opened anew. For that, what `open` gives has a `close`, callable more than once, that does not hold the giver.
    """

    def __init__(self, open: Callable[[Path], Any]):
        self._open = open
        self._lock = threading.RLock()  # a collection may drop one database while another is being opened
        self._kept: dict[Path, tuple[weakref.ref[Any], Callable[[], None]]] = {}

    def __call__(self, path: Path) -> Any:
        path = path.resolve()
        with self._lock:
            found = self._kept[path][0]() if path in self._kept else None
            if found is None:
                self._close(path)  # its last reader may be half way through letting go
                found = self._open(path)
                self._kept[path] = weakref.ref(found, lambda gone: self._close(path, gone)), found.close
            return found

    def _close(self, path: Path, gone: "weakref.ref[Any] | None" = None) -> None:
        with self._lock:
            if path in self._kept and gone in (None, self._kept[path][0]):
                self._kept.pop(path)[1]()
