"""Weights in HDF5 as Caffe lays them out: /data/LAYER/INDEX, and gradients in /diff."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import WeightsError
from netdef.files import hdf5_with_room, replacing_path
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer


def read_hdf5(path: Path) -> list[StoredLayer]:
    """Every layer in the file. Raises WeightsError for a file that is no HDF5 or has no group `data`."""
    import h5py

    try:
        with h5py.File(path, "r") as f:
            if "data" not in f:
                raise WeightsError(f"{path} has no group 'data'; it holds: {', '.join(f) or 'nothing'}")
            return [_layer(name, group, path) for name, group in _groups(f["data"])]
    except WeightsError:
        raise
    except Exception as e:  # h5py raises whatever kind the damage happens to hit
        raise WeightsError(f"cannot read {path} as HDF5: {e}") from e


def _groups(data: Any) -> list[tuple[str, Any]]:
    """Groups that hold numbered datasets; a layer name with slashes makes nested groups."""
    import h5py

    found: list[tuple[str, Any]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and any(isinstance(child, h5py.Dataset) for child in node.values()):
            found.append((name, node))

    data.visititems(visit)
    return found


def _layer(name: str, group: Any, path: Path) -> StoredLayer:
    import h5py

    found = {key: node[()] for key, node in group.items() if isinstance(node, h5py.Dataset)}
    blobs = {int(key): Stored(tuple(x.shape), x) for key, x in found.items() if key.isdecimal() and len(key) < 5}
    if len(blobs) < len(found) or any(s.data.dtype.kind not in "fiub" for s in blobs.values()):
        shown = ", ".join(f"'{key}' ({x.dtype})" for key, x in found.items())
        raise WeightsError(f"{path}: layer '{name}' holds {shown}; want numbers under the names 0, 1, ...")
    return StoredLayer(name, "", [blobs.get(i) for i in range(max(blobs) + 1)])


Arrays = list[tuple[str, list[np.ndarray]]]
ENTRY = 16 << 10
"""More bytes than HDF5 writes beside an array: some 500 for the array, 1500 for each group of a name with slashes."""


def write_hdf5(path: Path, layers: Arrays, diffs: Arrays | None = None) -> None:
    """Write (layer name, arrays) pairs, and the gradients where there are any; all or nothing, and without a copy."""
    with replacing_hdf5(path, (x for _, arrays in [*layers, *(diffs or [])] for x in arrays)) as file:
        _fill(file.create_group("data"), layers)
        if diffs is not None:
            _fill(file.create_group("diff"), diffs)


def _fill(whole: Any, layers: Arrays) -> None:
    for name, arrays in layers:
        if name in whole and any(key.isdecimal() for key in whole[name]):
            raise WeightsError(f"HDF5 cannot hold two layers named '{name}'; write a .caffemodel")
        group = whole.require_group(name)
        for i, x in enumerate(arrays):
            group.create_dataset(str(i), data=x)


@contextlib.contextmanager
def replacing_hdf5(path: Path, arrays: Iterable[np.ndarray]) -> Iterator[Any]:
    """An HDF5 file to write the arrays into, which takes the place of `path` when the block ends well."""
    room = sum(x.nbytes + ENTRY for x in arrays)
    with replacing_path(path) as part, hdf5_with_room(part, room, locking=False) as file:
        yield file
