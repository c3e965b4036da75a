"""A database of datums as a collection of labelled images."""

from collections.abc import Sequence

import numpy as np

from netdef.sources import datum, image
from netdef.sources.records import Item, Records


class Datums:
    """Records that hold a Datum each; `channels` says how encoded images are decoded."""

    def __init__(self, records: Records, channels: str = image.NATIVE):
        self.records, self.channels = records, channels
        self.read = datum.Reader()

    def __len__(self) -> int:
        return len(self.records)

    def fetch(self, rows: Sequence[int] | np.ndarray) -> list[Item]:
        return self.records.read(rows)

    def decode(self, row: int, raw: Item) -> tuple[np.ndarray, int]:
        found = self.read(raw[1])
        return (image.decode(found.x, self.channels) if found.encoded else found.x), found.label

    def together(self, raw: Sequence[Item]) -> tuple[np.ndarray, np.ndarray] | None:
        return self.read.together([value for _, value in raw])

    def name(self, row: int) -> str:
        key = bytes(self.records.read([row])[0][0]).decode(errors="replace")
        return f"{self.records.path}: record {row} ('{key}')"

    @property
    def encoded(self) -> bool:
        """Whether the first record is an encoded image."""
        return datum.read(self.records.read([0])[0][1]).encoded
