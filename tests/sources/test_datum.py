"""Datums against the protobuf library: what it writes is read, what is written it reads."""

import numpy as np
import pytest
from netdef_proto import netdef_pb2

from netdef.errors import SourceError
from netdef.sources import datum


def image(dtype=np.uint8, shape=(3, 4, 5)):
    return np.random.default_rng(1).integers(0, 256, shape).astype(dtype)


def message(x, label=0, **more):
    c, h, w = x.shape
    floats = {} if x.dtype == np.uint8 else {"float_data": x.ravel().tolist()}
    raw = {"data": x.tobytes()} if x.dtype == np.uint8 else {}
    return netdef_pb2.Datum(channels=c, height=h, width=w, label=label, **raw, **floats, **more)


@pytest.mark.parametrize("label", [0, 7, 300, 2**31 - 1, -1])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("read", [datum.read, datum.Reader()])
def test_reads_what_protobuf_writes(read, dtype, label):
    x = image(dtype)
    for _ in range(2):  # the second time the reader knows the layout
        found = read(message(x, label).SerializeToString())
        assert (found.label, found.encoded, found.x.dtype) == (label, False, dtype)
        np.testing.assert_array_equal(found.x, x)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_protobuf_reads_what_is_written(dtype):
    x = image(dtype, (2, 3, 300))
    assert netdef_pb2.Datum.FromString(datum.write(x, -5)) == message(x, -5)
    assert datum.write(x, 5) == message(x, 5).SerializeToString()


def test_encoded():
    found = datum.read(datum.write_encoded(b"\xff\xd8 an image", 3))
    assert (bytes(found.x), found.label, found.encoded) == (b"\xff\xd8 an image", 3, True)
    assert netdef_pb2.Datum.FromString(datum.write_encoded(b"abc", 3)) == netdef_pb2.Datum(
        data=b"abc", label=3, encoded=True
    )


def test_a_reader_follows_a_change_of_layout():
    read = datum.Reader()
    for x, label in [(image(), 1), (image(), -2), (image(shape=(1, 2, 2)), 3), (image(np.float32), 4), (image(), 5)]:
        found = read(message(x, label).SerializeToString())
        np.testing.assert_array_equal(found.x, x)
        assert found.label == label
    shuffled = message(image(), 9).SerializeToString()
    first = shuffled.index(b"\x22")
    label_first = b"\x28\x09" + shuffled[:first] + shuffled[first:-2]
    assert read(label_first).label == 9
    assert read(label_first).x.shape == (3, 4, 5)


def test_packed_floats():
    x = image(np.float32, (1, 2, 2))
    packed = b"\x08\x01\x10\x02\x18\x02\x32\x10" + x.tobytes()
    np.testing.assert_array_equal(datum.read(packed).x, x)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x08\x03\x10\x04\x18\x05\x22\x05abcde", "5 values for 3 channels of 4 x 5; want 60"),
        (b"\x08\x03\x10\x04\x18\x05\x22\x7fabc", "truncated"),
        (b"not a datum at all", "no datum"),
        (b"\x08", "truncated"),
        (b"\x35\x00\x00", "truncated"),
        (b"", "0 values for 1 channels of 1 x 1"),
    ],
)
def test_damage_is_told(data, words):
    with pytest.raises(SourceError) as error:
        datum.read(data)
    assert words in str(error.value)


def test_small_ones_of_one_layout_are_read_together():
    read = datum.Reader()
    images = [image(shape=(2, 3, 4)) + np.uint8(i) for i in range(5)]
    data = [message(x, i).SerializeToString() for i, x in enumerate(images)]
    assert read.together(data) is None  # no layout is known yet
    read(data[0])
    found = read.together([memoryview(d) for d in data])
    np.testing.assert_array_equal(found[0], images)
    assert found[1].tolist() == list(range(5))
    for odd in (message(images[0], 128), message(image(shape=(1, 3, 8))), message(images[0], 1, encoded=True)):
        assert read.together([data[0], odd.SerializeToString()]) is None
    assert read.together([data[0], b"\x09" + data[1][1:]]) is None
    read(message(image(shape=(1, 200, 200))).SerializeToString())
    assert read.together(data) is None
