"""Weights in HDF5, as h5py sees them and as Caffe lays them out."""

import h5py
import numpy as np
import pytest
import toys

from netdef import weights
from netdef.errors import NetdefError, WeightsError
from netdef.weights.hdf5 import ENTRY, read_hdf5, write_hdf5

NET = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "Dense" bottom: "x" top: "a" dense_param { filler { type: "gaussian" } } }"""
A = [np.arange(6, dtype="f4").reshape(2, 3), np.array([1, 2], "f4")]


def test_the_layout_is_caffes(tmp_path):
    write_hdf5(tmp_path / "w.h5", [("conv1", A), ("bn/1", A[:1])])
    with h5py.File(tmp_path / "w.h5") as f:
        assert np.array_equal(f["/data/conv1/0"], A[0])
        assert np.array_equal(f["/data/conv1/1"], A[1])
        assert f["/data/conv1/0"].dtype == np.float32
        assert np.array_equal(f["/data/bn/1/0"], A[0])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4"])
def test_a_file_of_anybodys_is_read(tmp_path, dtype):
    with h5py.File(tmp_path / "w.h5", "w") as f:
        f.create_group("data/input")
        f.create_dataset("data/ip/0", data=A[0].astype(dtype), compression="gzip", chunks=True)
        f["data/ip/1"] = A[1].astype(dtype)
    (stored,) = read_hdf5(tmp_path / "w.h5")
    assert stored.name == "ip"
    assert all(np.array_equal(s.data, x) for s, x in zip(stored.blobs, A, strict=True))


def test_layer_names_with_slashes_and_names_that_begin_another(tmp_path):
    names = ["a", "a/b", "a/b/c", "inception_3a/1x1", "inception_3a/3x3"]
    write_hdf5(tmp_path / "w.h5", [(name, A) for name in names])
    found = {stored.name: stored for stored in read_hdf5(tmp_path / "w.h5")}
    assert sorted(found) == sorted(names)
    assert all(len(stored.blobs) == 2 for stored in found.values())


def test_many_blobs_keep_their_order(tmp_path):
    arrays = [np.full(1, i, "f4") for i in range(12)]
    write_hdf5(tmp_path / "w.h5", [("lstm", arrays)])
    (stored,) = read_hdf5(tmp_path / "w.h5")
    assert [s.data[0] for s in stored.blobs] == list(range(12))


@pytest.mark.parametrize(
    "name", ["conv{}", "block{}/branch{}/left{}/in{}/conv{}", "a-name-as-long-as-in-public-nets{}"]
)
def test_the_room_taken_is_more_than_the_file_needs(tmp_path, name):
    """Else HDF5 would end the process where a disk has the room that was taken, and no more."""
    layers = [(name.replace("{}", str(i)), A) for i in range(1500)]
    write_hdf5(tmp_path / "w.h5", layers, layers)
    written = (tmp_path / "w.h5").stat().st_size - sum(x.nbytes for _, arrays in 2 * layers for x in arrays)
    assert written < 2 * len(layers) * len(A) * ENTRY


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, small_disk):
    path = tmp_path / "w.h5"
    write_hdf5(path, [("a", A)])
    whole = path.read_bytes()
    for size in (0, 100, 1000, 1 << 20, 3 << 20):
        small_disk(size)
        with pytest.raises(NetdefError, match="what was there before is unchanged"):
            write_hdf5(path, [("a", [np.zeros(1 << 20, "f4")])])
        assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]


def test_scalars_and_empty_arrays(tmp_path):
    arrays = [np.array(3, "f4"), np.zeros((0, 4), "f4")]
    write_hdf5(tmp_path / "w.h5", [("p", arrays)])
    (stored,) = read_hdf5(tmp_path / "w.h5")
    assert [s.shape for s in stored.blobs] == [(), (0, 4)]


def test_what_it_is_is_seen_from_the_bytes_not_the_name(tmp_path):
    one, two = toys.net(NET), toys.net(NET)
    one.params["a"][0].data[...] = 5
    weights.save(tmp_path / "w.caffemodel", "", one.layers, hdf5=True)
    assert h5py.is_hdf5(tmp_path / "w.caffemodel")
    weights.load(two.layers, tmp_path / "w.caffemodel")
    assert (two.params["a"][0].data == 5).all()


BAD = {
    "no group": lambda f: f.create_group("weights"),
    "a dataset for the group": lambda f: f.create_dataset("data", data=[1.0]),
    "words for numbers": lambda f: f.create_dataset("data/a/0", data="words"),
    "records for numbers": lambda f: f.create_dataset("data/a/0", data=np.zeros(2, [("x", "f4")])),
    "a dataset of no numbers": lambda f: f.create_dataset("data/a/0", data=h5py.Empty("f4")),
    "a gap": lambda f: f.create_dataset("data/a/1", data=[1.0]),
    "an enormous gap": lambda f: f.create_dataset("data/a/99999999999", data=[1.0]),
    "another name": lambda f: f.create_dataset("data/a/weights", data=[1.0]),
}


def test_a_file_of_another_layout_tells_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as f:
        f.create_group("model_weights")
    with pytest.raises(WeightsError, match="has no group 'data'; it holds: model_weights"):
        read_hdf5(tmp_path / "w.h5")


@pytest.mark.parametrize("name", BAD)
def test_files_that_hold_something_else(tmp_path, name):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as f:
        BAD[name](f)
    net = toys.net(NET)
    with pytest.raises(WeightsError, match=str(path)):
        weights.load(net.layers, path)
