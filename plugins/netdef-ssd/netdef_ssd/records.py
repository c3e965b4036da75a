"""AnnotatedDatum: an image with its objects, read from the bytes of a database record and written to them."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netdef.errors import SourceError
from netdef.sources import datum

Array = np.ndarray
LABEL, INSTANCE, BOX, DIFFICULT = 0, 1, slice(2, 6), 6
"""Columns of objects."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IMAGE, _TYPE, _GROUP = 1, 2, 3


class Annotated(NamedTuple):
    """An image, encoded or not, and its objects as rows (label, instance, xmin, ymin, xmax, ymax, difficult).

    `type` is the kind of annotation, 0 for boxes; None where the record says none, and only the image has a label.
    """

    image: datum.Datum
    objects: Array
    type: int | None


def read(buffer: bytes | memoryview) -> Annotated:
    """Raises SourceError for bytes that are no AnnotatedDatum."""
    image, kind, rows = b"", None, []
    for field, value in _fields(memoryview(buffer)):
        if isinstance(value, int) != (field == _TYPE) and field <= _GROUP:
            raise SourceError("no AnnotatedDatum; Caffe's own Datums are read by a Data layer")
        if field == _IMAGE:
            image = value
        elif field == _TYPE:
            kind = value
        elif field == _GROUP:
            rows += _group(value)
    if not len(image):
        raise SourceError("no AnnotatedDatum: it holds no image")
    return Annotated(datum.read(image), np.array(rows, np.float64).reshape(-1, 7), kind)


def _group(buffer: memoryview) -> Iterator[list[float]]:
    fields = list(_fields(buffer))
    label = next((_signed(value) for field, value in fields if field == 1), 0)
    for field, value in fields:
        if field == 2:
            annotation = dict(_fields(value))
            box = dict(_fields(annotation.get(2, memoryview(b""))))
            corners = [struct.unpack("<f", box[k])[0] if k in box else 0.0 for k in (1, 2, 3, 4)]
            yield [label, _signed(annotation.get(1, 0)), *corners, float(box.get(6, 0))]


def _fields(buffer: memoryview) -> Iterator[tuple[int, "int | memoryview"]]:
    """(number, value) of each field of a message: a whole number, or bytes."""
    at = 0
    while at < len(buffer):
        tag, at = _varint(buffer, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(buffer, at)
            yield tag >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if size is None:
            if kind != _BYTES:
                raise SourceError(f"no AnnotatedDatum: wire type {kind} at byte {at}")
            size, at = _varint(buffer, at)
        if size > len(buffer) - at:
            raise SourceError(f"no AnnotatedDatum: field {tag >> 3} wants {size} bytes, {len(buffer) - at} are left")
        yield tag >> 3, buffer[at : at + size]
        at += size


def _varint(buffer: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(buffer) or shift > 63:
            raise SourceError("no AnnotatedDatum: it ends in the middle of a number")
        byte = buffer[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at


def _signed(value: "int | memoryview") -> int:
    return int(value) - (1 << 64) if int(value) >> 63 else int(value)


def write(image: bytes, objects: Array, kind: int | None = 0) -> bytes:
    """The bytes of a record: `image` as netdef.sources.datum writes it, objects as in Annotated, label by label."""
    message = _bytes(_IMAGE, image) + (b"" if kind is None else _int(_TYPE, kind))
    for label in np.unique(objects[:, LABEL]):
        group = _int(1, int(label))
        for row in objects[objects[:, LABEL] == label]:
            corners = b"".join(bytes([k << 3 | _FIXED32]) + struct.pack("<f", v) for k, v in enumerate(row[BOX], 1))
            box = corners + _int(6, int(row[DIFFICULT]))
            group += _bytes(2, _int(1, int(row[INSTANCE])) + _bytes(2, box))
        message += _bytes(_GROUP, group)
    return message


def _int(field: int, value: int) -> bytes:
    return bytes([field << 3 | _VARINT]) + _number(value & (1 << 64) - 1)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | _BYTES]) + _number(len(value)) + value


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
