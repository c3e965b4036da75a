"""Batches of labelled images from any collection of them: order, decoding, transformation."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from netdef.errors import SourceError
from netdef.sources.order import Order
from netdef.sources.skips import Skips
from netdef.sources.transform import Shape, Transform

SKIP = 1 << 62
"""Stands for a pass that never comes: rand_skip is drawn once."""


class Collection(Protocol):
    """Labelled images by number."""

    def __len__(self) -> int: ...

    def fetch(self, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """What `decode` needs of each row; called in order, so that it can read on from the last."""

    def decode(self, row: int, raw: Any) -> tuple[np.ndarray, Any]:
        """Image (channels, height, width) and label: a number, or a vector of as many for each. Raises SourceError."""

    def together(self, raw: list[Any]) -> tuple[np.ndarray, np.ndarray] | None:
        """Images and labels of all that was fetched, where that takes less time than one by one; else None."""

    def name(self, row: int) -> str:
        """How messages call it."""


class Batches:
    """`read(p)`: images (batch, channels, height, width) and labels of pass p, whatever was read before."""

    def __init__(
        self,
        collection: Collection,
        transform: Transform,
        batch: int,
        key: Callable[[int], int],
        dtype: Any = np.float32,
        shuffle: bool = False,
        rand_skip: int = 0,
        skip_bad: bool = False,
    ):
        self.collection, self.transform, self.batch, self.dtype = collection, transform, batch, np.dtype(dtype)
        self.key, self.rand_skip = key, rand_skip
        self.order = Order([len(collection)], batch, key if shuffle else None)
        self.skips = Skips(len(collection), skip_bad)

    @property
    def size(self) -> int:
        """Records in an epoch."""
        return len(self.collection)

    def shapes(self) -> list[Shape]:
        """The shapes of pass 0, from its first record."""
        rows = self._rows(0)[:1]
        x, label = self._load(rows[0], self.collection.fetch(rows)[0])
        return [(self.batch, *self._shape(rows[0], x)), (self.batch, *np.shape(label))]

    def read(self, p: int, old: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """The arrays of pass p, in `old` where they fit. Raises SourceError naming the record."""
        rows = self._rows(p)
        raw = self.collection.fetch(rows)
        images, targets = self.collection.together(raw) or self._one_by_one(rows, raw)
        shapes = [(self.batch, *self._shape(rows[0], images[0])), (self.batch, *np.shape(targets[0]))]
        data, labels = reused(old, shapes, self.dtype)
        self.transform.apply(images, data, self.key(p))
        labels[...] = targets
        return [data, labels]

    def _one_by_one(self, rows: np.ndarray, raw: list[Any]) -> tuple[list[np.ndarray], list[Any]]:
        loaded = [self._load(row, r) for row, r in zip(rows, raw, strict=True)]
        first = self._shape(rows[0], loaded[0][0])
        for row, (x, _) in zip(rows, loaded, strict=True):
            if self._shape(row, x) != first:
                raise SourceError(
                    f"{self.collection.name(row)} has shape {x.shape}, but the first of its batch gives {first}; "
                    "resize the images, or set crop_size, or batch_size: 1"
                )
        return [x for x, _ in loaded], [label for _, label in loaded]

    def _rows(self, p: int) -> np.ndarray:
        skip = self.key(SKIP) % self.rand_skip if self.rand_skip else 0
        return np.concatenate([rows for _, rows in self.order.runs(p, skip)])

    def _load(self, row: int, raw: Any) -> tuple[np.ndarray, Any]:
        """A record, or where it is bad and may be skipped, the next one that is not."""

        def decode(here: int) -> tuple[np.ndarray, Any]:
            try:
                return self.collection.decode(here, raw if here == row else self.collection.fetch([here])[0])
            except SourceError as e:
                raise SourceError(f"{self.collection.name(here)}: {e}") from None

        return self.skips.first(int(row), decode)

    def _shape(self, row: int, x: np.ndarray) -> Shape:
        try:
            return self.transform.shape(x.shape)
        except SourceError as e:
            raise SourceError(f"{self.collection.name(row)} {e}") from None


def reused(old: list[np.ndarray] | None, shapes: list[Shape], dtype: np.dtype) -> list[np.ndarray]:
    """The old arrays where they have the shapes wanted, else new ones: new memory costs more than filling it."""
    if old is not None and [a.shape for a in old] == shapes:
        return old
    return [np.empty(shape, dtype) for shape in shapes]
