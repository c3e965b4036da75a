"""Protobuf's wire format, as far as weights need it: walked in place and written in pieces, no object per number.

The protobuf library would copy every weight and stops at 2 GB; a walk over the mapped file does neither.
"""

from collections.abc import Iterator
from typing import NamedTuple

from netdef.errors import WeightsError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Entry(NamedTuple):
    """One field: `value` is an int for VARINT, else the bytes."""

    field: int
    kind: int
    value: int | memoryview


def walk(buffer: memoryview, what: str = "file") -> Iterator[Entry]:
    """The fields of one message, in order. Raises WeightsError where the bytes are no message or end too early."""
    at = 0
    while at < len(buffer):
        entry, at = field_at(buffer, at, what)
        yield entry


def field_at(buffer: memoryview, at: int, what: str = "file") -> tuple[Entry, int]:
    """The field that begins at a position, and the position after it."""
    start = at
    tag, at = varint(buffer, at, what)
    field, kind = tag >> 3, tag & 7
    if not field:
        raise WeightsError(f"{what} is damaged at byte {start}: field number 0")
    if kind == VARINT:
        value, at = varint(buffer, at, what)
        return Entry(field, kind, value), at
    size, at = _size(buffer, at, kind, what)
    if size > len(buffer) - at:
        raise WeightsError(f"{what} is truncated: field {field} wants {size} bytes and {len(buffer) - at} are left")
    return Entry(field, kind, buffer[at : at + size]), at + size


def _size(buffer: memoryview, at: int, kind: int, what: str) -> tuple[int, int]:
    if kind == BYTES:
        return varint(buffer, at, what)
    if kind in (FIXED32, FIXED64):
        return (4 if kind == FIXED32 else 8), at
    raise WeightsError(f"{what} is damaged or not a protobuf file: wire type {kind} at byte {at}")


def varint(buffer: memoryview, at: int, what: str = "file") -> tuple[int, int]:
    """(value, position after it) of a base-128 number."""
    value = shift = 0
    while shift < 70:
        if at >= len(buffer):
            raise WeightsError(f"{what} is truncated in the middle of a number")
        byte = buffer[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise WeightsError(f"{what} is damaged at byte {at}: a number of more than 10 bytes")


def signed(value: int) -> int:
    """A varint as the int32 or int64 it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def number(value: int) -> bytes:
    """A base-128 number; negative ones as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def int_field(field: int, value: int) -> bytes:
    return number(field << 3 | VARINT) + number(value)


def bytes_head(field: int, size: int) -> bytes:
    """What stands before `size` bytes of a string, a message or a packed array."""
    return number(field << 3 | BYTES) + number(size)


def bytes_field(field: int, value: bytes) -> bytes:
    return bytes_head(field, len(value)) + value


def packed_ints(field: int, values: list[int]) -> bytes:
    return bytes_field(field, b"".join(number(v) for v in values))
