"""Arrays added to the end of the datasets of an HDF5 file, on a disk that may be full."""

from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import SourceError
from netdef.files import hdf5_with_room, replacing_path


def create(path: Path) -> None:
    """An HDF5 file with nothing in it, in place of what was there. Raises NetdefError where it cannot be written."""
    with replacing_path(path) as part, hdf5_with_room(part, 0, locking=False):
        pass


def append(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Add each array's rows to the dataset of its name, made where there is none.

    Raises SourceError where they do not fit what is there, or the disk; the file is then as it was before.
    """
    try:
        with hdf5_with_room(path, 2 * sum(x.nbytes for x in arrays.values())) as f:
            for name, x in arrays.items():
                _fits(f, name, x)
            for name, x in arrays.items():
                _extend(f, name, x)
    except (OSError, ValueError, RuntimeError) as e:
        raise SourceError(f"{path}: cannot write: {getattr(e, 'strerror', None) or e}") from None


def _fits(f: Any, name: str, x: np.ndarray) -> None:
    if name in f and f[name].shape[1:] != x.shape[1:]:
        raise ValueError(f"records of '{name}' have shape {x.shape[1:]}, but {f[name].shape[1:]} in the file")


def _extend(f: Any, name: str, x: np.ndarray) -> None:
    if name not in f:
        f.create_dataset(name, data=x, maxshape=(None, *x.shape[1:]), chunks=True)
        return
    f[name].resize(len(f[name]) + len(x), axis=0)
    f[name][-len(x) :] = x
