"""What all tests share: the folder of reference material, and a registry of toy layers that needs no installation."""

import os
import resource
from pathlib import Path

import pytest
import toys

from netdef.registry import Registry


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with goldens, nets and data: NETDEF_SHARED, else `shared` beside the checkout."""
    given = os.environ.get("NETDEF_SHARED")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"no folder {path}; NETDEF_SHARED says where the reference material is")
    return path


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
