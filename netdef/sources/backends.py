"""The data backends that come with netdef, by the names that data_param.backend has for them."""

from typing import Any

from netdef.hookspecs import hookimpl
from netdef.sources import leveldb, lmdb


@hookimpl
def netdef_sources() -> dict[str, Any]:
    return {"LMDB": lmdb.open_records, "LEVELDB": leveldb.open_records}
