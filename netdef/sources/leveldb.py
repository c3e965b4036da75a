"""LevelDB, the other database of Caffe's Data layer, through plyvel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netdef.errors import SourceError
from netdef.sources.records import Item, Records, Shared

MISSING = (
    'LEVELDB needs plyvel: pip install "netdef-nn[leveldb]"; where that does not install, make the database anew '
    "as LMDB with netdef data images LIST OUT or Caffe's convert_imageset -backend lmdb, and say backend: LMDB"
)


class Database:
    """An open database; LevelDB gives it to one process at a time."""

    def __init__(self, path: Path):
        if not (path / "CURRENT").is_file():
            hint = "; it is an LMDB: say backend: LMDB" if (path / "data.mdb").is_file() else ""
            raise SourceError(f"{path} is no LevelDB: it holds no file CURRENT{hint}")
        try:
            import plyvel
        except ImportError:
            raise SourceError(MISSING) from None
        try:
            self.db: Any = plyvel.DB(str(path), create_if_missing=False, max_open_files=100)
            with self.db.iterator(include_value=False) as keys:
                self.count = sum(1 for _ in keys)
        except (plyvel.Error, OSError) as e:
            raise SourceError(f"{path} cannot be read as LevelDB: {e}") from None
        self.close = self.db.close


_database = Shared(Database)


def open_records(path: Path) -> Records:
    """The records of a LevelDB. Counting them reads all of it once, since LevelDB keeps no count."""
    shared = _database(path)
    import plyvel  # is there, since the database is open

    def items(key: bytes | None) -> Iterator[Item]:
        try:
            yield from shared.db.iterator(start=key)
        except (plyvel.Error, OSError) as e:
            raise SourceError(f"{path} is damaged: {e}") from None

    return Records(path, shared.count, items)
