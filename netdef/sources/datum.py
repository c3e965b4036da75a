"""Datum: one record of a Caffe database, read from its bytes and written to them without an object per number."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.weights import wire

CHANNELS, HEIGHT, WIDTH, DATA, LABEL, FLOAT_DATA, ENCODED = range(1, 8)
_INTS = {field << 3 | wire.VARINT: field for field in (CHANNELS, HEIGHT, WIDTH, LABEL, ENCODED)}
_DATA = DATA << 3 | wire.BYTES
_FLOAT, _FLOATS = FLOAT_DATA << 3 | wire.FIXED32, FLOAT_DATA << 3 | wire.BYTES
SMALL = 1 << 14  # bytes of an image that is worth a copy
TAIL = 32  # bytes that may follow the data in the short way
_APART = np.dtype([("tag", "u1"), ("value", "<f4")])


class Datum(NamedTuple):
    """x: (channels, height, width), uint8 or float32, or for an encoded image its file's bytes, 1-D uint8.

    x looks at the bytes it was read from and is good as long as they are.
    """

    x: np.ndarray
    label: int
    encoded: bool


class Reader:
    """`read` for many: a datum of bytes laid out as the last one, which most are, is not taken apart field by field."""

    def __init__(self) -> None:
        self._layout: tuple[bytes, tuple[int, ...]] | None = None

    def __call__(self, buffer: bytes | memoryview) -> Datum:
        """Raises SourceError, see read."""
        view = memoryview(buffer)
        if self._layout is not None:
            head, shape = self._layout
            first, size = len(head), shape[0] * shape[1] * shape[2]
            if view[:first] == head and first + size <= len(view) <= first + size + TAIL:
                label = _tail(bytes(view[first + size :]))
                if label is not None:
                    return Datum(np.frombuffer(view, np.uint8, size, first).reshape(shape), label, False)
        found = read(view)
        if not found.encoded and found.x.dtype == np.uint8:
            head = _head(found.x)
            self._layout = (head, found.x.shape) if view[: len(head)] == head else None
        return found

    def together(self, buffers: Sequence[bytes | memoryview]) -> tuple[np.ndarray, np.ndarray] | None:
        """Images (N, channels, height, width) and labels where all are small and laid out as the last one; else None.

        One copy of all and one look at each column take a tenth of the time of as many calls.
        """
        if self._layout is None:
            return None
        head, shape = self._layout
        first, size, length = len(head), shape[0] * shape[1] * shape[2], len(buffers[0])
        if size > SMALL or length != first + size + 2 or any(len(b) != length for b in buffers):
            return None
        rows = np.frombuffer(b"".join(buffers), np.uint8).reshape(len(buffers), length)
        heads, tags, labels = rows[:, :first], rows[:, -2], rows[:, -1]
        if (heads != np.frombuffer(head, np.uint8)).any() or (tags != LABEL << 3).any() or (labels > 127).any():
            return None
        return rows[:, first : first + size].reshape(-1, *shape), labels


def _head(x: np.ndarray) -> bytes:
    """What stands before the bytes of an array in a datum that names its sizes first."""
    sizes = zip((CHANNELS, HEIGHT, WIDTH), x.shape, strict=True)
    return b"".join(wire.int_field(field, size) for field, size in sizes) + wire.bytes_head(DATA, x.size)


@lru_cache(4096)
def _tail(data: bytes) -> int | None:
    """The label, where nothing but labels follows the bytes; else None."""
    label, at = 0, 0
    while at < len(data):
        if data[at] != LABEL << 3:
            return None
        value, at = wire.varint(memoryview(data), at + 1, "it")
        label = wire.signed(value)
    return label


def read(buffer: bytes | memoryview) -> Datum:
    """Raises SourceError for bytes that are no datum, or whose sizes contradict one another."""
    try:
        return _read(memoryview(buffer))
    except NetdefError as e:
        raise SourceError(f"no datum: {e}") from None


def _read(buffer: memoryview) -> Datum:
    shape = [1, 1, 1]
    label, encoded = 0, False
    x: np.ndarray | None = None
    floats: list[np.ndarray] = []
    at, end = 0, len(buffer)
    while at < end:
        tag = buffer[at]
        if tag in _INTS:
            value, at = wire.varint(buffer, at + 1, "it")
            field = _INTS[tag]
            if field <= WIDTH:
                shape[field - 1] = value
            elif field == LABEL:
                label = wire.signed(value)
            else:
                encoded = bool(value)
        elif tag == _FLOAT:
            run, at = _run(buffer, at)
            floats.append(run)
        else:
            entry, at = wire.field_at(buffer, at, "it")
            if tag == _DATA:
                x = np.frombuffer(entry.value, np.uint8)  # type: ignore[arg-type]
            elif tag == _FLOATS:
                floats.append(_packed(entry.value))
    if encoded:
        return Datum(np.zeros(0, np.uint8) if x is None else x, label, True)
    if x is None or not x.size:
        x = floats[0] if len(floats) == 1 else np.concatenate(floats) if floats else np.zeros(0, np.float32)
    c, h, w = shape
    if x.size != c * h * w:
        raise SourceError(f"{x.size} values for {c} channels of {h} x {w}; want {c * h * w}")
    return Datum(x.reshape(c, h, w), label, False)


def _run(buffer: memoryview, at: int) -> tuple[np.ndarray, int]:
    """Floats that stand one by one, each behind its own tag: one strided array up to the next other tag."""
    whole = (len(buffer) - at) // _APART.itemsize
    records = np.frombuffer(buffer[at : at + whole * _APART.itemsize], _APART)
    other = np.flatnonzero(records["tag"] != _FLOAT)
    length = int(other[0]) if other.size else whole
    if not length:
        raise SourceError("it is truncated in the middle of a number")
    return records["value"][:length], at + length * _APART.itemsize


def _packed(value: int | memoryview) -> np.ndarray:
    if isinstance(value, int) or len(value) % 4:
        raise SourceError("its float_data are no whole number of floats")
    return np.frombuffer(value, "<f4")


def write(x: np.ndarray, label: int = 0) -> bytes:
    """An array (channels, height, width): uint8 as data, any other dtype as float_data."""
    if x.dtype == np.uint8:
        return _head(x) + x.tobytes() + wire.int_field(LABEL, label)
    c, h, w = x.shape
    sizes = wire.int_field(CHANNELS, c) + wire.int_field(HEIGHT, h) + wire.int_field(WIDTH, w)
    apart = np.empty(x.size, _APART)  # as Caffe writes it: the schema does not pack these
    apart["tag"], apart["value"] = _FLOAT, x.ravel()
    return sizes + wire.int_field(LABEL, label) + apart.tobytes()


def write_encoded(data: bytes, label: int = 0) -> bytes:
    """The bytes of an image file."""
    return wire.bytes_field(DATA, data) + wire.int_field(LABEL, label) + wire.int_field(ENCODED, 1)
