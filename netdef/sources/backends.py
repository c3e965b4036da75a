"""The data backends that come with netdef, by the names that data_param.backend has for them."""

from pathlib import Path
from typing import Any

from netdef.hookspecs import hookimpl
from netdef.sources import leveldb, lmdb
from netdef.sources.records import Records


def open_records(path: Path) -> Records:
    """The records of a database of either kind, told by its files."""
    return (leveldb if (path / "CURRENT").is_file() else lmdb).open_records(path)


@hookimpl
def netdef_sources() -> dict[str, Any]:
    return {"LMDB": lmdb.open_records, "LEVELDB": leveldb.open_records}
