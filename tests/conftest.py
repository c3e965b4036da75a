"""What all tests share: the reference material, public nets, and a registry of toy layers that needs no installing."""

import csv
import os
import resource
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import toys
from netdef_proto.netdef_pb2 import NetParameter, SolverParameter

from netdef import prototxt
from netdef.errors import PrototxtError
from netdef.registry import Registry


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with goldens, nets and data: NETDEF_SHARED, else `shared` beside the checkout."""
    given = os.environ.get("NETDEF_SHARED")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"no folder {path}; NETDEF_SHARED says where the reference material is")
    return path


@pytest.fixture(scope="session")
def corpus(shared: Path) -> Callable[[str], list[tuple[dict[str, str], Any]]]:
    """corpus("net") or corpus("solver"): (row of the index, its message or why it cannot be read), each read once."""

    @lru_cache
    def read(kind: str) -> list[tuple[dict[str, str], Any]]:
        message = {"net": NetParameter, "solver": SolverParameter}[kind]
        with (shared / "prototxts/index.tsv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]
        return [(row, _read(shared / "prototxts" / row["file"], message)) for row in rows]

    return read


def _read(path: Path, message: type) -> Any:
    try:
        return prototxt.read(path, message, ignored=[])
    except PrototxtError as error:
        return error


@pytest.fixture
def toy_registry() -> Registry:
    """A registry that holds the layers of toys.py and the engine's fillers, and nothing installed."""
    return toys.registry()


@pytest.fixture
def small_disk():
    """small_disk(100) lets no file grow beyond 100 bytes, as a disk that is full does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
