"""BlobProto: one array as Caffe files hold it, in every form that ages and forks gave it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.errors import WeightsError
from netdef.weights import wire

NUM, CHANNELS, HEIGHT, WIDTH, DATA, DIFF, SHAPE, DOUBLE_DATA, DOUBLE_DIFF = 1, 2, 3, 4, 5, 6, 7, 8, 9
RAW_TYPE, RAW_DATA = 10, 12  # NVCaffe 0.16 and later: a type number (0 double, 1 float, 2 half) and the bytes
RAW_DTYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
FIXED = {DATA: "<f4", DOUBLE_DATA: "<f8"}
APART = {DATA << 3 | wire.FIXED32: "<f4", DOUBLE_DATA << 3 | wire.FIXED64: "<f8"}


@dataclass
class Stored:
    """An array in a file: `data` looks at the file's bytes wherever they are contiguous."""

    shape: tuple[int, ...]
    data: np.ndarray
    legacy: bool = False
    """Whether the shape is num, channels, height, width, padded in front with ones."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Equal shapes, or an old 4-D shape that equals this one padded with ones in front."""
        if self.legacy and len(shape) <= 4:
            return self.shape == (1,) * (4 - len(shape)) + tuple(shape)
        return self.shape == tuple(shape)


def read_blob(buffer: memoryview, what: str) -> Stored:
    """The blob in these bytes; nothing is copied unless the file spells every number apart."""
    dims: list[int] | None = None
    legacy = {NUM: 0, CHANNELS: 0, HEIGHT: 0, WIDTH: 0}
    pieces: list[np.ndarray] = []
    raw_type, raw = 0, None
    at = 0
    while at < len(buffer):
        if buffer[at] in APART:
            run, at = _run(buffer, at, what)
            pieces.append(run)
            continue
        (field, kind, value), at = wire.field_at(buffer, at, what)
        if field == SHAPE and isinstance(value, memoryview):
            dims = _dims(value, what)
        elif field in legacy and isinstance(value, int):
            legacy[field] = wire.signed(value)
        elif field in FIXED and kind == wire.BYTES:
            pieces.append(_array(value, FIXED[field], what))
        elif field == RAW_TYPE and isinstance(value, int):
            raw_type = value
        elif field == RAW_DATA and isinstance(value, memoryview):
            raw = value
    if raw is not None and not pieces:
        if raw_type not in RAW_DTYPES:
            raise WeightsError(f"{what}: raw data of type {raw_type}; known are 0 (double), 1 (float), 2 (half)")
        pieces.append(_array(raw, RAW_DTYPES[raw_type], what))
    return _stored(dims, tuple(legacy.values()), pieces, what)


def _run(buffer: memoryview, at: int, what: str) -> tuple[np.ndarray, int]:
    """Numbers that stand one by one, each behind its own tag: taken as one strided array up to the next other tag."""
    tag = buffer[at]
    record = np.dtype([("tag", "u1"), ("value", APART[tag])])
    whole = (len(buffer) - at) // record.itemsize
    records = np.frombuffer(buffer[at : at + whole * record.itemsize], record)
    other = np.flatnonzero(records["tag"] != tag)
    length = int(other[0]) if other.size else whole
    if not length:
        raise WeightsError(f"{what} is truncated in the middle of a number")
    return records["value"][:length].copy(), at + length * record.itemsize


def _stored(dims: list[int] | None, legacy: tuple[int, ...], pieces: list[np.ndarray], what: str) -> Stored:
    data = pieces[0] if len(pieces) == 1 else np.concatenate(pieces) if pieces else np.zeros(0, "<f4")
    old = dims is None and any(legacy)
    bare = () if data.size == 1 else (data.size,)  # Caffe writes no shape where there are no axes
    shape = tuple(dims) if dims is not None else legacy if old else bare
    if math.prod(shape) != data.size or any(d < 0 for d in shape):
        raise WeightsError(f"{what}: shape {shape} asks for {math.prod(shape)} numbers, the file holds {data.size}")
    return Stored(shape, data.reshape(shape), old)


def _dims(value: memoryview, what: str) -> list[int]:
    dims: list[int] = []
    for entry in wire.walk(value, what):
        if entry.field == 1 and isinstance(entry.value, int):
            dims.append(wire.signed(entry.value))
        elif entry.field == 1 and isinstance(entry.value, memoryview):
            at = 0
            while at < len(entry.value):
                dim, at = wire.varint(entry.value, at, what)
                dims.append(wire.signed(dim))
    return dims


def _array(value: Any, dtype: str, what: str) -> np.ndarray:
    size = np.dtype(dtype).itemsize
    if len(value) % size:
        raise WeightsError(f"{what}: {len(value)} bytes of data are no whole number of {size}-byte values")
    return np.frombuffer(value, dtype)


def write_blob(x: np.ndarray, diff: np.ndarray | None = None) -> list[bytes | memoryview]:
    """A BlobProto as pieces to be written one after the other; with its gradient where one is given.

    float64 goes to double_data and float16 to NVCaffe's raw_data, where BVLC Caffe finds nothing; all else to data.
    """
    shape = wire.bytes_field(SHAPE, wire.packed_ints(1, list(x.shape)))
    if x.dtype == np.float16:
        field, dtype, shape = RAW_DATA, "<f2", shape + wire.int_field(RAW_TYPE, 2)
    else:
        field = DOUBLE_DATA if x.dtype == np.float64 else DATA
        dtype = FIXED[field]
    pieces = [shape, *_packed(field, np.ascontiguousarray(x, dtype))]
    if diff is not None:
        wide = diff.dtype == np.float64
        pieces += _packed(DOUBLE_DIFF if wide else DIFF, np.ascontiguousarray(diff, "<f8" if wide else "<f4"))
    return pieces


def _packed(field: int, x: np.ndarray) -> list[bytes | memoryview]:
    flat = x.reshape(-1)
    return [wire.bytes_head(field, flat.nbytes), flat.view(np.uint8).data] if flat.size else []
