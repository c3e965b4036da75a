"""The wire format, against protobuf's own encoder and decoder."""

import pytest
from google.protobuf import descriptor_pb2

from netdef.errors import WeightsError
from netdef.weights import wire

NUMBERS = [0, 1, 127, 128, 300, 2**31 - 1, 2**31, 2**32, 2**63 - 1, -1, -(2**31), -(2**63)]


def encoded(value):
    """A message that holds one int64, in field 5, as protobuf writes it."""
    return descriptor_pb2.UninterpretedOption(negative_int_value=value).SerializeToString()


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers(value):
    assert wire.int_field(5, value) == encoded(value)
    ((field, kind, found),) = wire.walk(memoryview(encoded(value)))
    assert (field, kind, wire.signed(found)) == (5, wire.VARINT, value)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20000])
def test_bytes(size):
    want = descriptor_pb2.UninterpretedOption(string_value=b"x" * size).SerializeToString()
    assert wire.bytes_field(7, b"x" * size) == want
    assert wire.bytes_head(7, size) + b"x" * size == want
    ((field, kind, found),) = wire.walk(memoryview(want))
    assert (field, kind, bytes(found)) == (7, wire.BYTES, b"x" * size)


def test_every_kind_of_field_is_walked():
    buffer = wire.int_field(1, 3) + b"\x11" + bytes(8) + wire.bytes_field(400, b"ab") + b"\x1d" + b"wxyz"
    assert [(e.field, e.kind) for e in wire.walk(memoryview(buffer))] == [(1, 0), (2, 1), (400, 2), (3, 5)]


def test_bytes_are_looked_at_not_copied():
    buffer = bytearray(wire.bytes_field(1, b"abc"))
    (entry,) = wire.walk(memoryview(buffer))
    buffer[-1] = ord("z")
    assert bytes(entry.value) == b"abz"


DAMAGED = {
    b"\x0a\x05abc": "truncated: field 1 wants 5 bytes and 3 are left",
    b"\x0a\xff\xff\xff\xff\x0f": "truncated: field 1 wants 4294967295 bytes",
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f": "truncated: field 1 wants",
    b"\x08": "truncated in the middle of a number",
    b"\x08\x80": "truncated in the middle of a number",
    b"\x80": "truncated in the middle of a number",
    b"\x08" + b"\xff" * 11: "a number of more than 10 bytes",
    b"\x0d\x00\x00": "truncated: field 1 wants 4 bytes and 2 are left",
    b"\x09\x00": "truncated: field 1 wants 8 bytes and 1 are left",
    b"\x00\x01": "damaged at byte 0: field number 0",
    b"\x08\x01\x02\x01": "damaged at byte 2: field number 0",
    b"\x0b": "wire type 3",
    b"\x0c": "wire type 4",
    b"\x0e": "wire type 6",
    b"\x0f": "wire type 7",
}


@pytest.mark.parametrize("buffer", DAMAGED, ids=lambda b: b.hex())
def test_what_is_no_message(buffer):
    with pytest.raises(WeightsError, match=r"^a\.caffemodel is ") as caught:
        list(wire.walk(memoryview(buffer), "a.caffemodel"))
    assert DAMAGED[buffer] in str(caught.value)
