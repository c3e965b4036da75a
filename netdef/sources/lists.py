"""Image lists: a path and a label on each line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.sources import image


def read_list(path: Path, labels: int = 0) -> list[tuple[str, Any]]:
    """(file, label) of each line: what stands before its last blank, and the number behind it.

    With `labels`, the last so many numbers are the label, a vector. Raises SourceError with the line.
    """
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError as e:
        raise SourceError(f"{path}: {e.strerror or e}") from None
    found = [_entry(f"{path}:{n}", line, labels) for n, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise SourceError(f"{path} is empty; want a path and a label on each line")
    return found


def _entry(place: str, line: str, labels: int) -> tuple[str, Any]:
    words = line.strip().rsplit(maxsplit=labels or 1)
    want = f"a path and {labels} numbers" if labels else "a path and a whole number"
    try:
        numbers = [float(word) for word in words[1:]] if labels else [int(words[-1])]
    except ValueError:
        raise SourceError(f"{place}: '{line.strip()}'; want {want}") from None
    if len(words) != 1 + (labels or 1):
        raise SourceError(f"{place}: '{line.strip()}'; want {want}")
    return words[0], (np.array(numbers, np.float32) if labels else numbers[0])


class Images:
    """The images of a list, resized if wanted."""

    def __init__(
        self,
        entries: Sequence[tuple[str, Any]],
        root: str = "",
        channels: str = image.COLOUR,
        size: tuple[int, int] | None = None,
        find: Callable[[str], Path] = Path,
    ):
        """`root` is put in front of each path as it is; `size` is (height, width); `find` says where a file is."""
        self.entries, self.root, self.channels, self.size, self.find = entries, root, channels, size, find

    def __len__(self) -> int:
        return len(self.entries)

    def fetch(self, rows: Sequence[int] | np.ndarray) -> list[int]:
        return [int(row) for row in rows]

    def decode(self, row: int, raw: Any) -> tuple[np.ndarray, Any]:
        x = image.decode(self.bytes(row), self.channels)
        return (image.resize(x, *self.size) if self.size else x), self.entries[row][1]

    def together(self, raw: Sequence[int]) -> None:
        """Files come one by one."""

    def bytes(self, row: int) -> bytes:
        """The file as it is. Raises SourceError."""
        try:
            return self.find(self.name(row)).read_bytes()
        except OSError as e:
            raise SourceError(f"cannot be read: {e.strerror or e}") from None
        except NetdefError as e:
            raise SourceError(str(e)) from None

    def name(self, row: int) -> str:
        return self.root + self.entries[row][0]


def beside(find: Callable[[str], Path], folder: Path, name: str) -> Path:
    """Where `find` finds a file, else in the folder, which is the list's own."""
    try:
        return find(name)
    except NetdefError:
        if (folder / name).exists():
            return folder / name
        raise
