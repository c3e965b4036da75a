"""Which records make a batch: a function of the pass number alone, so that a resumed run reads on where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np


class Order:
    """Files of records, one after another, epoch after epoch: an endless row that is cut into batches.

    Batch p is records p * batch to (p + 1) * batch - 1 of that row, so a batch may hold the end of one epoch and the
    beginning of the next. With `key`, each epoch permutes the files, and the records within each file.
    """

    def __init__(self, sizes: Sequence[int], batch: int, key: Callable[[int], int] | None = None):
        """`sizes` are the files' numbers of records, at least one in all; key(epoch) is a 64-bit number."""
        self.sizes, self.batch, self.key = list(sizes), batch, key
        self.size = sum(sizes)
        """Records in an epoch."""
        self._files = lru_cache(maxsize=2)(self._files_of)
        self._rows = lru_cache(maxsize=2)(self._rows_of)

    def runs(self, p: int, skip: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Batch p as (file, rows of that file), in the order of the batch; the row begins after `skip` records."""
        at, end = p * self.batch + skip, (p + 1) * self.batch + skip
        while at < end:
            epoch, place = divmod(at, self.size)
            key = None if self.key is None else self.key(epoch)
            files, ends = self._files(key)
            k = int(np.searchsorted(ends, place, side="right"))
            file = files[k]
            first = place - (ends[k] - self.sizes[file])
            count = min(end - at, self.sizes[file] - first)
            yield file, self._rows(key, file)[first : first + count]
            at += count

    def _files_of(self, key: int | None) -> tuple[list[int], list[int]]:
        """The files in the order of an epoch's key, and where each ends."""
        files = list(range(len(self.sizes)))
        if key is not None:
            files = permutation(len(self.sizes), key, 0).tolist()
        return files, list(accumulate(self.sizes[f] for f in files))

    def _rows_of(self, key: int | None, file: int) -> np.ndarray:
        if key is None:
            return np.arange(self.sizes[file])
        return permutation(self.sizes[file], key, file + 1)


def permutation(n: int, key: int, stream: int) -> np.ndarray:
    """0 to n - 1 in an order drawn from (key, stream): ranks of Philox's numbers, which no NumPy version may change."""
    numbers = np.random.Philox(key=np.array([key, stream], np.uint64)).random_raw(n)
    return np.argsort(numbers, kind="stable")
