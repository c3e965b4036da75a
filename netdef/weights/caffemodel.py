"""A .caffemodel: which layers it holds and their blobs, read from the mapped file; and written from a net."""

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from netdef.blob import Blob
from netdef.errors import WeightsError
from netdef.weights import wire
from netdef.weights.blobproto import Stored, read_blob, write_blob

NET_NAME, V1_LAYERS, LAYER = 1, 2, 100
LAYER_NAME, LAYER_TYPE, LAYER_BLOBS = 1, 2, 7
V1_NAME, V1_TYPE, V1_BLOBS, V1_V0 = 4, 5, 6, 1
V0_NAME, V0_TYPE, V0_BLOBS = 1, 2, 50


@dataclass
class StoredLayer:
    """What a weights file says of one layer."""

    name: str
    type: str = ""
    blobs: Sequence[Stored | None] = field(default_factory=list)
    """None where an HDF5 file leaves a shared parameter to its owner's layer."""


def read_caffemodel(path: Path) -> list[StoredLayer]:
    """Every layer in the file, of today's, the V1 or the V0 format; blobs look at the mapped file.

    Raises WeightsError for a file that is missing, empty, truncated or something else.
    """
    buffer = map_file(path)
    layers = []
    for entry in wire.walk(buffer, str(path)):
        if entry.field == LAYER and isinstance(entry.value, memoryview):
            layers.append(_layer(entry.value, path, LAYER_NAME, LAYER_TYPE, LAYER_BLOBS))
        elif entry.field == V1_LAYERS and isinstance(entry.value, memoryview):
            layers.append(_v1_layer(entry.value, path))
    if not layers:
        raise WeightsError(f"{path} holds no layers; is it a .caffemodel?")
    return layers


def map_file(path: Path) -> memoryview:
    """The bytes of a file, mapped so that only what is used is read."""
    try:
        with open(path, "rb") as f:
            return memoryview(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:
        raise WeightsError(f"{path} is empty") from None
    except OSError as e:
        raise WeightsError(f"cannot read {path}: {e.strerror or e}") from e


def _v1_layer(buffer: memoryview, path: Path) -> StoredLayer:
    layer = _layer(buffer, path, V1_NAME, V1_TYPE, V1_BLOBS)
    for entry in wire.walk(buffer, str(path)):
        if entry.field == V1_V0 and isinstance(entry.value, memoryview):
            inner = _layer(entry.value, path, V0_NAME, V0_TYPE, V0_BLOBS)
            layer = StoredLayer(inner.name, inner.type, [*layer.blobs, *inner.blobs])
    return layer


def _layer(buffer: memoryview, path: Path, name: int, kind: int, blobs: int) -> StoredLayer:
    layer = StoredLayer("")
    raw = []
    for entry in wire.walk(buffer, str(path)):
        if entry.field == name and isinstance(entry.value, memoryview):
            layer.name = bytes(entry.value).decode(errors="replace")
        elif entry.field == kind:
            value = entry.value
            layer.type = str(value) if isinstance(value, int) else bytes(value).decode(errors="replace")
        elif entry.field == blobs and isinstance(entry.value, memoryview):
            raw.append(entry.value)
    layer.blobs = [read_blob(b, f"{path}: layer '{layer.name}' blob {i}") for i, b in enumerate(raw)]
    return layer


def write_caffemodel(f: IO[bytes], name: str, layers: Iterable[tuple[Any, list[Blob]]], diffs: bool = False) -> None:
    """Stream (LayerParameter, its parameters) pairs as BVLC Caffe would write them, with their gradients where asked.

    No copy of the weights is made.
    """
    f.write(wire.bytes_field(NET_NAME, name.encode()))
    for layer_param, blobs in layers:
        bare = type(layer_param)()
        bare.CopyFrom(layer_param)
        for left_out in ("netdef_origin", "blobs"):
            bare.ClearField(left_out)
        arrays = ((b.data, b.diff if diffs else None) for b in blobs)
        _write_layer(f, bare.SerializeToString(), arrays)


def write_stored(f: IO[bytes], name: str, layers: Iterable[StoredLayer]) -> None:
    """Stream layers of which names, types and arrays are known, and no options: all that loading weights needs."""
    f.write(wire.bytes_field(NET_NAME, name.encode()))
    for layer in layers:
        head = wire.bytes_field(LAYER_NAME, layer.name.encode())
        if layer.type and not layer.type.isdecimal():  # a number is V1's, which has other ones
            head += wire.bytes_field(LAYER_TYPE, layer.type.encode())
        _write_layer(f, head, ((stored.data, None) for stored in layer.blobs if stored is not None))


def _write_layer(f: IO[bytes], head: bytes, arrays: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> None:
    blobs = [write_blob(x, diff) for x, diff in arrays]
    sizes = [sum(len(p) for p in pieces) for pieces in blobs]
    heads = [wire.bytes_head(LAYER_BLOBS, size) for size in sizes]
    f.write(wire.bytes_head(LAYER, len(head) + sum(map(len, heads)) + sum(sizes)))
    f.write(head)
    for blob_head, pieces in zip(heads, blobs, strict=True):
        f.write(blob_head)
        for piece in pieces:
            f.write(piece)
