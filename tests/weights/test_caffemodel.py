"""A .caffemodel in every form that ages and forks gave it, written by protobuf and read here, and the other way."""

import numpy as np
import pytest
import toys

from netdef import weights
from netdef.errors import WeightsError
from netdef.weights.blobproto import read_blob, write_blob
from netdef.weights.wire import bytes_field, int_field, packed_ints

X = np.random.default_rng(1).standard_normal((3, 4)).astype("f4")


def read(buffer):
    return read_blob(memoryview(bytes(buffer)), "blob")


# -- one blob ------------------------------------------------------------------------------------------------------


def test_as_caffe_writes_today(pb):
    found = read(pb.BlobProto(shape=pb.BlobShape(dim=X.shape), data=X.ravel()).SerializeToString())
    assert found.shape == (3, 4)
    assert found.data.dtype == np.float32
    assert np.array_equal(found.data, X)
    assert not found.legacy


def test_double_data(pb):
    x = X.astype("f8") / 3
    found = read(pb.BlobProto(shape=pb.BlobShape(dim=x.shape), double_data=x.ravel()).SerializeToString())
    assert found.data.dtype == np.float64
    assert np.array_equal(found.data, x)


def test_legacy_axes(pb):
    found = read(pb.BlobProto(num=1, channels=1, height=3, width=4, data=X.ravel()).SerializeToString())
    assert found.shape == (1, 1, 3, 4)
    assert found.fits((3, 4))
    assert found.fits((1, 3, 4))
    assert found.fits((1, 1, 3, 4))
    assert not found.fits((4, 3))
    assert not found.fits((12,))
    assert not found.fits((3, 4, 1))
    assert not found.fits((1, 1, 1, 3, 4)), "Caffe: legacy shapes have 4 axes"


def test_without_any_shape_it_is_a_row(pb):
    found = read(pb.BlobProto(data=[1, 2, 3]).SerializeToString())
    assert (found.shape, found.legacy) == ((3,), False)
    assert read(b"").shape == (0,)


def test_todays_shapes_must_be_equal(pb):
    found = read(pb.BlobProto(shape=pb.BlobShape(dim=[1, 1, 3, 4]), data=X.ravel()).SerializeToString())
    assert found.fits((1, 1, 3, 4))
    assert not found.fits((3, 4))


@pytest.mark.parametrize(("tag", "dtype"), [(5 << 3 | 5, "<f4"), (8 << 3 | 1, "<f8")])
def test_numbers_that_stand_one_by_one(tag, dtype):
    """Unpacked, as files of other writers hold them; interrupted by another field, and with a tail."""
    values = [bytes([tag]) + v.tobytes() for v in X.ravel().astype(dtype)]
    shape = bytes_field(7, packed_ints(1, [3, 4]))
    for buffer in (
        b"".join(values) + shape,
        shape + b"".join(values),
        b"".join(values[:5]) + shape + b"".join(values[5:]),
    ):
        assert np.array_equal(read(buffer).data, X.astype(dtype))


def test_packed_and_unpacked_pieces_are_one_array():
    """A parser must take both, in any number of pieces, in their order."""
    flat = X.ravel()
    pieces = [
        bytes_field(5, flat[:4].tobytes()),
        *(b"\x2d" + v.tobytes() for v in flat[4:7]),
        bytes_field(5, flat[7:].tobytes()),
    ]
    assert np.array_equal(read(b"".join(pieces) + bytes_field(7, packed_ints(1, [3, 4]))).data, X)


def test_a_shape_whose_axes_stand_one_by_one():
    buffer = bytes_field(7, int_field(1, 3) + int_field(1, 4)) + bytes_field(5, X.tobytes())
    assert read(buffer).shape == (3, 4)


@pytest.mark.parametrize(("kind", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_the_raw_data_of_nvcaffe(kind, dtype):
    """Its enum Type: DOUBLE 0, FLOAT 1, FLOAT16 2; fields 10 to 13 are data's type, diff's type, data, diff."""
    x = X.astype(dtype)
    shape = bytes_field(7, packed_ints(1, [3, 4]))
    buffer = shape + int_field(10, kind) + int_field(11, 1) + bytes_field(12, x.tobytes()) + bytes_field(13, b"")
    found = read(buffer)
    assert found.data.dtype == dtype
    assert np.array_equal(found.data, x)
    backwards = bytes_field(12, x.tobytes()) + int_field(10, kind) + shape
    assert np.array_equal(read(backwards).data, x), "the type may come after the data"


def test_raw_data_without_a_type_is_of_the_enums_first():
    buffer = bytes_field(7, packed_ints(1, [3, 4])) + bytes_field(12, X.astype("<f8").tobytes())
    assert np.array_equal(read(buffer).data, X)


@pytest.mark.parametrize("kind", [3, 4, 5, 99])
def test_raw_data_of_an_unknown_type(kind):
    with pytest.raises(WeightsError, match=f"raw data of type {kind}; known are 0"):
        read(int_field(10, kind) + bytes_field(12, bytes(8)))


def test_gradients_in_a_file_are_passed_over(pb):
    blob = pb.BlobProto(shape=pb.BlobShape(dim=[2]), data=[1, 2], diff=[8, 9], double_diff=[8, 9])
    assert read(blob.SerializeToString()).data.tolist() == [1, 2]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (5, 1, 2, 1, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_written_protobuf_reads(pb, shape, dtype):
    x = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    buffer = b"".join(bytes(piece) for piece in write_blob(x))
    blob = pb.BlobProto.FromString(buffer)
    assert tuple(blob.shape.dim) == shape
    held, empty = (blob.double_data, blob.data) if dtype == "f8" else (blob.data, blob.double_data)
    assert np.array_equal(np.array(held, dtype), x.ravel())
    assert not empty
    again = read(buffer)
    assert again.shape == shape
    assert np.array_equal(again.data, x)


@pytest.mark.parametrize("dtype", [">f4", "i4", "b1"])
def test_other_numbers_are_written_as_floats(pb, dtype):
    x = np.array([[1, 0], [0, 1]], dtype)
    assert list(pb.BlobProto.FromString(b"".join(map(bytes, write_blob(x)))).data) == [1, 0, 0, 1]


def test_a_turned_array_is_written_in_order(pb):
    x = np.asfortranarray(X)[::-1]
    assert np.array_equal(pb.BlobProto.FromString(b"".join(map(bytes, write_blob(x)))).data, X[::-1].ravel())


SHAPES = {
    "too few": ({"dim": [3, 5]}, "shape (3, 5) asks for 15 numbers, the file holds 12"),
    "too many": ({"dim": [3]}, "shape (3,) asks for 3 numbers, the file holds 12"),
    "negative": ({"dim": [-3, -4]}, "shape (-3, -4)"),
    "enormous": ({"dim": [2**62, 2**62]}, "the file holds 12"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_that_does_not_fit_its_numbers(pb, name):
    shape, words = SHAPES[name]
    with pytest.raises(WeightsError) as caught:
        read(pb.BlobProto(shape=pb.BlobShape(**shape), data=X.ravel()).SerializeToString())
    assert words in str(caught.value)


def test_bytes_that_are_no_whole_number_of_floats():
    with pytest.raises(WeightsError, match="blob: 7 bytes of data are no whole number of 4-byte values"):
        read(bytes_field(5, bytes(7)))


# -- a whole file --------------------------------------------------------------------------------------------------

NET = """name: "toy"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a/1" type: "Dense" bottom: "x" top: "a" dense_param { outputs: 4 filler { type: "gaussian" } } }
layer { name: "r" type: "Relu" bottom: "a" top: "a" }
layer { name: "b" type: "Dense" bottom: "a" top: "b" param { lr_mult: 2 } dense_param { filler { type: "gaussian" } } }
"""


def dense(built):
    return [(name, [b.data.copy() for b in blobs]) for name, blobs in built.params.items()]


def test_protobuf_reads_what_a_net_writes(pb, tmp_path):
    built = toys.net(NET)
    path = tmp_path / "w.caffemodel"
    weights.save(path, built.name, built.layers)
    message = pb.NetParameter.FromString(path.read_bytes())
    assert message.name == "toy"
    assert [(la.name, la.type) for la in message.layer] == [(la.name, la.type) for la in built.layers]
    assert list(message.layer[3].bottom) == ["a"]
    assert message.layer[3].param[0].lr_mult == 2
    assert not any(la.netdef_origin for la in message.layer), "where it was written is nobody else's business"
    for la, layer in zip(message.layer, built.layers, strict=True):
        assert len(la.blobs) == len(layer.blobs)
        for stored, blob in zip(la.blobs, layer.blobs, strict=True):
            assert tuple(stored.shape.dim) == blob.shape
            assert np.array_equal(np.array(stored.data, "f4"), blob.data.ravel())


def as_today(pb, name, arrays):
    blobs = [pb.BlobProto(shape=pb.BlobShape(dim=x.shape), data=x.ravel()) for x in arrays]
    return pb.NetParameter(layer=[pb.LayerParameter(name=name, type="Dense", blobs=blobs)])


def as_legacy(pb, name, arrays):
    blobs = [
        pb.BlobProto(num=1, channels=1, height=x.size // x.shape[-1], width=x.shape[-1], data=x.ravel()) for x in arrays
    ]
    return pb.NetParameter(layer=[pb.LayerParameter(name=name, type="Dense", blobs=blobs)])


def as_v1(pb, name, arrays):
    blobs = as_legacy(pb, name, arrays).layer[0].blobs
    return pb.NetParameter(layers=[pb.V1LayerParameter(name=name, type=14, blobs=blobs)])


def as_v0(pb, name, arrays):
    blobs = as_legacy(pb, name, arrays).layer[0].blobs
    inner = pb.V0LayerParameter(name=name, type="innerproduct", blobs=blobs)
    return pb.NetParameter(layers=[pb.V1LayerParameter(layer=inner)])


FORMS = {as_today: "Dense", as_legacy: "Dense", as_v1: "14", as_v0: "innerproduct"}


@pytest.mark.parametrize("form", FORMS)
def test_a_net_reads_what_protobuf_writes(pb, tmp_path, form):
    built = toys.net(NET)
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal(b.shape).astype("f4") for b in built.params["a/1"]]
    path = tmp_path / "w.caffemodel"
    path.write_bytes(form(pb, "a/1", arrays).SerializeToString())
    (stored,) = weights.read(path)
    assert (stored.name, stored.type) == ("a/1", FORMS[form])
    before = [b.data.copy() for b in built.params["b"]]
    report = weights.load(built.layers, path)
    assert all(np.array_equal(b.data, x) for b, x in zip(built.params["a/1"], arrays, strict=True))
    assert all(np.array_equal(b.data, x) for b, x in zip(built.params["b"], before, strict=True))
    assert (report.loaded, report.at_filler, report.unused) == (["a/1"], ["b"], [])


def test_a_round_trip_is_bit_exact_with_odd_numbers(tmp_path):
    for dtype in (np.float32, np.float64):
        one, two = (toys.net(NET, dtype=dtype) for _ in range(2))
        special = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max]
        one.params["a/1"][0].data.flat[:6] = special
        path = tmp_path / f"{np.dtype(dtype)}.caffemodel"
        weights.save(path, one.name, one.layers)
        weights.load(two.layers, path)
        for (_, mine), (_, its) in zip(dense(one), dense(two), strict=True):
            assert [x.tobytes() for x in mine] == [x.tobytes() for x in its]


def test_weights_of_one_precision_load_into_the_other(tmp_path):
    double, single = toys.net(NET, dtype=np.float64), toys.net(NET)
    double.params["b"][0].data[...] = 1 / 3
    weights.save(tmp_path / "w", "", double.layers)
    weights.load(single.layers, tmp_path / "w")
    assert (single.params["b"][0].data == np.float32(1 / 3)).all()


def test_reading_looks_at_the_mapped_file(tmp_path):
    built = toys.net(NET)
    weights.save(tmp_path / "w", "", built.layers)
    stored = next(layer for layer in weights.read(tmp_path / "w") if layer.blobs)
    base = stored.blobs[0].data
    assert not base.flags.owndata
    assert not base.flags.writeable


def test_a_file_may_be_overwritten_while_its_weights_are_in_use(tmp_path):
    built = toys.net(NET)
    weights.save(tmp_path / "w", "", built.layers)
    stored = next(layer for layer in weights.read(tmp_path / "w") if layer.blobs)
    before = stored.blobs[0].data.copy()
    built.params["a/1"][0].data[...] = 0
    weights.save(tmp_path / "w", "", built.layers)
    assert np.array_equal(stored.blobs[0].data, before)
