"""LMDB, the database of Caffe's Data layer: read by number, written whole or not at all."""

import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from netdef.errors import SourceError
from netdef.files import replacing_folder
from netdef.limits import readable
from netdef.sources.records import Item, Records, Shared

COMMIT = 1 << 24
"""Bytes written in one transaction."""
ROOM = 1 << 26
"""Bytes of address space to begin with; doubled whenever they are used up."""


class Environment:
    """An open database; exists because LMDB allows each file once in a process."""

    def __init__(self, path: Path):
        import lmdb

        self.path = path
        if not path.exists():
            raise SourceError(f"{path}: No such file or directory")
        file = path / "data.mdb" if path.is_dir() else path
        if not file.is_file():
            hint = "; it is a LevelDB: say backend: LEVELDB" if (path / "CURRENT").is_file() else ""
            raise SourceError(f"{path} is no LMDB: it holds no data.mdb{hint}")
        try:
            self.env = lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=True)
            self._whole(file)
        except lmdb.Error as e:
            raise SourceError(f"{path} cannot be read as LMDB: {_reason(e)}") from None
        self.close = self.env.close

    def _whole(self, file: Path) -> None:
        """A page past the end of the file would kill the process (SIGBUS), so ask for the size first."""
        want = (self.env.info()["last_pgno"] + 1) * self.env.stat()["psize"]
        have = file.stat().st_size
        if have < want:
            self.env.close()
            raise SourceError(f"{file} is truncated: {have:,} bytes of {want:,}; copy or convert it again")

    def items(self, txn: Any, key: bytes | None) -> Iterator[Item]:
        import lmdb

        try:
            cursor = txn.cursor()
            if cursor.first() if key is None else cursor.set_key(key):
                yield from cursor
        except lmdb.Error as e:
            raise SourceError(f"{self.path} is damaged: {_reason(e)}") from None


_environment = Shared(Environment)


def open_records(path: Path) -> Records:
    """The records of an LMDB, a folder or a single file. Raises SourceError for what is none, and for one cut short."""
    environment = _environment(path)
    txn = environment.env.begin(buffers=True)
    return Records(path, txn.stat()["entries"], partial(environment.items, txn))


def write_records(path: Path | str, items: Iterable[tuple[bytes, bytes]]) -> int:
    """A new LMDB with these keys, in rising order, and values; how many there were.

    Nothing is left under `path` unless all of it is there. Raises NetdefError where something stands there already,
    and where the disk is full.
    """
    import lmdb

    with replacing_folder(path) as part:
        try:
            with lmdb.open(str(part), map_size=ROOM, writemap=False, lock=False) as env:
                return sum(_commit(env, piece) for piece in _pieces(items))
        except lmdb.Error as e:
            raise SourceError(f"cannot write {path}: {_cause(e, part)}; nothing is left there") from None


def _pieces(items: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    piece: list[tuple[bytes, bytes]] = []
    size = 0
    for item in items:
        piece.append(item)
        size += len(item[1])
        if size >= COMMIT:
            yield piece
            piece, size = [], 0
    yield piece


def _commit(env: Any, piece: list[tuple[bytes, bytes]]) -> int:
    import lmdb

    while True:
        try:
            with env.begin(write=True) as txn:
                for key, value in piece:
                    txn.put(key, value, append=True)
            return len(piece)
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()["map_size"])


def _cause(error: Exception, folder: Path) -> str:
    """LMDB calls a full disk an input/output error."""
    free = shutil.disk_usage(folder).free
    if free < COMMIT:
        return f"the disk is full, {readable(free)} are free"
    return _reason(error)


def _reason(error: Exception) -> str:
    """What the system said, without LMDB's names for call and file."""
    return str(error).rpartition(": ")[2] or str(error)
