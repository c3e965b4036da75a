"""Records in HDF5 files: a list of files, some datasets of each, read batch by batch within a bound of memory."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.files import finder
from netdef.sources.order import Order
from netdef.sources.skips import Skips

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CACHE = 1 << 29
"""Bytes of file contents kept. A larger file is read row by row, which shuffling makes slow: better split it."""
CHUNKS = 1 << 26
"""Bytes of such a file's chunks kept by HDF5."""
SLOTS = 100_003
"""Places in its table of chunks; a prime, as HDF5 asks."""


def listed(source: Path, absent: bool = False) -> list[Path]:
    """The files that a list names, one a line: in the working directory, else beside the list.

    Raises SourceError for a list that is missing, empty, or an HDF5 file itself, and for a file that is not there,
    unless `absent` ones are to be listed too.
    """
    try:
        head = source.read_bytes()
    except OSError as e:
        raise SourceError(f"{source}: {e.strerror or e}") from None
    if head.startswith(SIGNATURE):
        raise SourceError(f"{source} is an HDF5 file; want a text file that lists HDF5 files, one a line")
    names = [line.strip() for line in head.decode(errors="replace").splitlines() if line.strip()]
    if not names:
        raise SourceError(f"{source} is empty; want the names of HDF5 files, one a line")
    find = finder(source.parent)
    try:
        return [_found(find, name, absent) for name in names]
    except NetdefError as e:
        raise SourceError(f"{source}: {e}") from None


def _found(find: Callable[[str], Path], name: str, absent: bool) -> Path:
    try:
        return find(name)
    except NetdefError:
        if absent:
            return Path(name)
        raise


class UnreadableError(SourceError):
    """A file that is gone or damaged, where another one may take its place."""


class Reader:
    """Batches of datasets: `read(p)` gives the arrays of pass p, whatever was read before."""

    def __init__(
        self,
        paths: Sequence[Path],
        names: Sequence[str],
        batch: int,
        dtype: Any = np.float32,
        key: Callable[[int], int] | None = None,
        skip_bad: bool = False,
        cache: int = CACHE,
    ):
        """Opens every file once for its sizes. `key` shuffles, see Order. Raises SourceError naming file and cause.

        With `skip_bad`, the same rows of the next file come where those of a file cannot be read.
        """
        self.paths, self.names, self.dtype = list(paths), list(names), np.dtype(dtype)
        self.cache = cache
        self._kept: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._open: tuple[int, Any] | None = None
        self.skips = Skips(len(self.paths), skip_bad)
        self.records: list[tuple[int, ...]] = []
        """The shape of one record in each dataset."""
        self._shapes = [self._look_or_skip(file) for file in range(len(self.paths))]
        sizes = [shapes[0][0] if shapes else 0 for shapes in self._shapes]
        if not sum(sizes):
            why = self.skips.bad.values() or [f"{', '.join(map(str, self.paths))}: no records"]
            raise SourceError("; ".join(why))
        self.order = Order(sizes, batch, key)

    @property
    def size(self) -> int:
        """Records in an epoch."""
        return self.order.size

    def read(self, p: int, old: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """The arrays of pass p, one for each dataset, (batch, ...) of the reader's dtype; in `old` if given."""
        batch = old or [np.empty((self.order.batch, *record), self.dtype) for record in self.records]
        at = 0
        for file, rows in self.order.runs(p):
            for array, part in zip(batch, self._rows_or_next(file, rows), strict=True):
                array[at : at + len(rows)] = part
            at += len(rows)
        return batch

    def _rows_or_next(self, file: int, rows: np.ndarray) -> list[np.ndarray]:
        def read(here: int) -> list[np.ndarray]:
            size = self.order.sizes[here]
            if not size:
                raise SourceError(f"{self.paths[here]}: no records")
            return self._rows(here, rows % size)

        return self.skips.first(file, read)

    def _rows(self, file: int, rows: np.ndarray) -> list[np.ndarray]:
        consecutive = rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all())
        pick = slice(int(rows[0]), int(rows[-1]) + 1) if consecutive else rows
        if file not in self._kept:
            with _blaming(self.paths[file]):
                f = self._opened(file)
                if self._bytes(f) > self.cache:
                    return [_some(f[name], pick) for name in self.names]
                arrays = [f[name][()] for name in self.names]
            self.close()
            self._keep(file, arrays)
        self._kept.move_to_end(file)
        return [array[pick] for array in self._kept[file]]

    def _opened(self, file: int) -> Any:
        """The file, left open for the next batch; one at a time."""
        import h5py

        if self._open is None or self._open[0] != file:
            self.close()
            f = h5py.File(self.paths[file], "r", rdcc_nbytes=CHUNKS, rdcc_nslots=SLOTS)
            self._open = (file, f)
            self._unchanged(file, f)
        return self._open[1]

    def close(self) -> None:
        """Close the file that is open, if one is; the next batch opens it again."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _keep(self, file: int, arrays: list[np.ndarray]) -> None:
        """Remember a file's arrays; the files not used for longest give way."""
        self._kept[file] = arrays
        while sum(a.nbytes for kept in self._kept.values() for a in kept) > self.cache:
            self._kept.popitem(last=False)

    def _bytes(self, f: Any) -> int:
        return sum(f[name].size * f[name].dtype.itemsize for name in self.names)

    def _look_or_skip(self, file: int) -> list[tuple[int, ...]]:
        """The shapes of a file's datasets; none of a file that is left out."""
        try:
            shapes = self._look(self.paths[file])
        except UnreadableError as e:
            self.skips.note(file, e)
            return []
        if not self.records:
            self._model, self.records = self.paths[file], [shape[1:] for shape in shapes]
        self._same_records(self.paths[file], shapes)
        return shapes

    def _look(self, path: Path) -> list[tuple[int, ...]]:
        """The shapes of the datasets in a file, checked against one another."""
        import h5py

        with _blaming(path), h5py.File(path, "r") as f:
            found = [name for name in f if isinstance(f[name], h5py.Dataset)]
            for name in self.names:
                if not isinstance(f.get(name), h5py.Dataset):
                    raise SourceError(f"{path}: no dataset '{name}'; it has: {', '.join(found) or 'none'}")
                if f[name].dtype.kind not in "fiub" or not f[name].shape:
                    what = f"{f[name].dtype} of shape {f[name].shape}"
                    raise SourceError(f"{path}: dataset '{name}' is {what}; want numbers with a first axis of records")
            shapes = [tuple(f[name].shape) for name in self.names]
        if len({shape[0] for shape in shapes}) > 1:
            counts = ", ".join(f"'{n}' {s[0]}" for n, s in zip(self.names, shapes, strict=True))
            raise SourceError(f"{path}: datasets differ in their number of records: {counts}")
        return shapes

    def _same_records(self, path: Path, shapes: list[tuple[int, ...]]) -> None:
        for name, shape, record in zip(self.names, shapes, self.records, strict=True):
            if shape[1:] != record:
                other = f"{record} in {self._model}; want the same in every file"
                raise SourceError(f"{path}: a record of '{name}' has shape {shape[1:]}, but {other}")

    def _unchanged(self, file: int, f: Any) -> None:
        now = [tuple(f[name].shape) if name in f else None for name in self.names]
        if now != self._shapes[file]:
            self.close()
            raise SourceError(f"{self.paths[file]} changed while in use: shapes {now}, before {self._shapes[file]}")


def _some(dataset: Any, pick: slice | np.ndarray) -> np.ndarray:
    """Rows of a dataset on disk. HDF5 reads rows in rising order only, each once."""
    if isinstance(pick, slice):
        return dataset[pick]
    rows, back = np.unique(pick, return_inverse=True)
    return dataset[rows][back]


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """What HDF5 says within the block becomes an error naming the file."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as e:
        cause = "no such file" if isinstance(e, FileNotFoundError) else f"cannot be read as HDF5: {e}"
        raise UnreadableError(f"{path}: {cause}") from None
