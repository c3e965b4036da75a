"""Weights between files and nets: .caffemodel and HDF5, matched by layer name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netdef.errors import WeightsError
from netdef.files import replacing, replacing_path
from netdef.layer import Layer
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


def load(layers: Sequence[Layer], *paths: Path | str) -> Report:
    """Copy weights into the layers of the same names, later files over earlier ones.

    Raises WeightsError on a shape that differs, before anything is copied.
    """
    targets = {layer.name: layer for layer in layers if layer.blobs}
    named = {layer.name for layer in layers}
    report = Report()
    plan: list[tuple[Layer, StoredLayer]] = []
    for path in paths:
        for stored in read(path):
            if stored.name in targets and stored.blobs:
                _check(targets[stored.name], stored, path)
                plan.append((targets[stored.name], stored))
                report.loaded.append(stored.name)
            elif stored.blobs and stored.name not in named:
                report.unused.append(stored.name)
    for layer, stored in plan:
        for blob, s in zip(layer.blobs, stored.blobs, strict=True):
            np.copyto(blob.data, s.data.reshape(blob.shape), casting="unsafe")
    report.loaded = list(dict.fromkeys(report.loaded))
    report.at_filler = [name for name in targets if name not in report.loaded]
    return report


def _check(layer: Layer, stored: StoredLayer, path: Path | str) -> None:
    if len(layer.blobs) != len(stored.blobs):
        raise WeightsError(
            f"{path}: layer '{layer.name}' has {len(stored.blobs)} blobs there and {len(layer.blobs)} in the net"
        )
    for i, (blob, s) in enumerate(zip(layer.blobs, stored.blobs, strict=True)):
        if not s.fits(blob.shape):
            raise WeightsError(
                f"{path}: layer '{layer.name}' blob {i} has shape {s.shape} there and {blob.shape} in the net; "
                "to train this layer anew beside the other weights, give it another name in the prototxt"
            )


def save(path: Path | str, name: str, layers: Sequence[Layer], hdf5: bool = False) -> None:
    """Write weights as a .caffemodel; as HDF5 where asked or where the name ends in .h5. All or nothing."""
    path = Path(path)
    if hdf5 or path.suffix == ".h5":
        arrays = [(layer.name, [b.data for b in layer.blobs]) for layer in layers if layer.blobs]
        with replacing_path(path) as part:
            write_hdf5(part, arrays)
        return
    with replacing(path) as f:
        write_caffemodel(f, name, ((layer.layer_param, [b.data for b in layer.blobs]) for layer in layers))
