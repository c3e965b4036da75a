"""Weights between files and nets: .caffemodel and HDF5, matched by layer name."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netdef.blob import Blob
from netdef.errors import WeightsError
from netdef.files import replacing
from netdef.layer import Layer
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer, read_caffemodel, write_caffemodel
from netdef.weights.hdf5 import read_hdf5, write_hdf5

__all__ = ["Report", "load", "read", "save"]


@dataclass
class Report:
    """What became of each layer when weights were loaded."""

    loaded: list[str] = field(default_factory=list)
    at_filler: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} layers loaded"]
        if self.at_filler:
            parts.append(f"left at their fillers: {', '.join(self.at_filler)}")
        if self.unused:
            parts.append(f"in the file but not in the net: {', '.join(self.unused)}")
        return "; ".join(parts)


def read(path: Path | str) -> list[StoredLayer]:
    """Every layer of a .caffemodel or an HDF5 file; which it is, is seen from the first bytes."""
    path = Path(path)
    try:
        with open(path, "rb") as f:
            magic = f.read(8)
    except OSError as e:
        raise WeightsError(f"cannot read {path}: {e.strerror or e}") from e
    return read_hdf5(path) if magic == b"\x89HDF\r\n\x1a\n" else read_caffemodel(path)


def load(layers: Sequence[Layer], *paths: Path | str, whole: bool = False) -> Report:
    """Copy weights into the layers of the same names, later files over earlier ones.

    Raises WeightsError on a shape that differs, and with `whole` on a parameter that no file holds, before anything
    is copied.
    """
    targets = [layer for layer in layers if layer.blobs]
    named = {layer.name for layer in layers}
    looks = Counter(id(blob.storages[0]) for layer in targets for blob in layer.blobs)
    report = Report()
    plan: list[tuple[Blob, Stored]] = []
    for path in paths:
        left = {layer.name: [t for t in targets if t.name == layer.name] for layer in targets}
        for stored in read(path):
            if stored.name in left and stored.blobs:
                alike = left[stored.name]  # the first of a name in the file is for the first in the net, and so on
                plan += _pairs(alike.pop(0) if len(alike) > 1 else alike[0], stored, path, looks)
                report.loaded.append(stored.name)
            elif stored.blobs and stored.name not in named:
                report.unused.append(stored.name)
    filled = {id(blob.storages[0]) for blob, _ in plan}
    report.loaded = list(dict.fromkeys(report.loaded))
    report.at_filler = [t.name for t in targets if any(id(blob.storages[0]) not in filled for blob in t.blobs)]
    if whole and report.at_filler:
        raise WeightsError(f"{', '.join(map(str, paths))} holds no weights for: {', '.join(report.at_filler)}")
    for blob, s in plan:
        np.copyto(blob.data, s.data.reshape(blob.shape), casting="unsafe")
    return report


def _pairs(layer: Layer, stored: StoredLayer, path: Path | str, looks: Counter[int]) -> list[tuple[Blob, Stored]]:
    """What goes where. Only a parameter that is shared may be missing: Caffe's HDF5 has it in its owner's layer."""
    found = {i: s for i, s in enumerate(stored.blobs) if s is not None}
    missing = [b for i, b in enumerate(layer.blobs) if i not in found and looks[id(b.storages[0])] == 1]
    if missing or len(stored.blobs) > len(layer.blobs):
        raise WeightsError(
            f"{path}: layer '{layer.name}' has {len(found)} blobs there and {len(layer.blobs)} in the net"
        )
    for i, s in found.items():
        if not s.fits(layer.blobs[i].shape):
            raise WeightsError(
                f"{path}: layer '{layer.name}' blob {i} has shape {s.shape} there and {layer.blobs[i].shape} in the "
                "net; to train this layer anew beside the other weights, give it another name in the prototxt"
            )
    return [(layer.blobs[i], s) for i, s in found.items()]


def save(path: Path | str, name: str, layers: Sequence[Layer], hdf5: bool = False, diffs: bool = False) -> None:
    """Write weights as a .caffemodel; as HDF5 where asked or where the name ends in .h5. All or nothing.

    With `diffs`, what the parameters' diffs hold is written beside them (Caffe: snapshot_diff).
    """
    path = Path(path)
    if hdf5 or path.suffix == ".h5":
        named = [(layer.name, layer.blobs) for layer in layers if layer.blobs]
        beside = [(name, [b.diff for b in blobs]) for name, blobs in named] if diffs else None
        write_hdf5(path, [(name, [b.data for b in blobs]) for name, blobs in named], beside)
        return
    with replacing(path) as f:
        write_caffemodel(f, name, ((layer.layer_param, layer.blobs) for layer in layers), diffs)
