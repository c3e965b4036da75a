"""HDF5 files by pass number: contents, bounded memory, and every fault named with its file."""

import h5py
import numpy as np
import pytest

from netdef.errors import SourceError
from netdef.sources.hdf5 import Reader, listed


def key(epoch):
    return 77 + epoch


def write(path, n, start=0, record=(2, 3), **datasets):
    """n records numbered from start, as "data" of float64 and "label" of int16."""
    with h5py.File(path, "w") as f:
        ids = np.arange(start, start + n)
        f["data"] = np.broadcast_to(ids.reshape(n, *[1] * len(record)), (n, *record)).astype("f8")
        f["label"] = ids.astype("i2")
        for name, array in datasets.items():
            f[name] = array
    return path


@pytest.fixture
def three(tmp_path):
    """Files of 5, 3 and 6 records."""
    return [write(tmp_path / f"{i}.h5", n, start) for i, (n, start) in enumerate([(5, 0), (3, 5), (6, 8)])]


@pytest.mark.parametrize("shuffle", [None, key])
@pytest.mark.parametrize("batch", [1, 4, 14, 33])
@pytest.mark.parametrize("cache", [1 << 20, 300, 0])
def test_batches_are_the_records_of_the_order(three, shuffle, batch, cache):
    reader = Reader(three, ["data", "label"], batch, key=shuffle, cache=cache)
    assert (reader.size, reader.records) == (14, [(2, 3), ()])
    ids = []
    for p in range(30):
        data, label = reader.read(p)
        assert data.shape == (batch, 2, 3) and data.dtype == label.dtype == np.float32
        np.testing.assert_array_equal(data, np.broadcast_to(label[:, None, None], data.shape))
        ids += label.astype(int).tolist()
    starts = [0, 5, 8]
    assert ids == [starts[f] + r for p in range(30) for f, rows in reader.order.runs(p) for r in rows]
    assert sum(a.nbytes for kept in reader._kept.values() for a in kept) <= cache


def test_reading_depends_on_the_pass_alone(three):
    forwards, backwards = (Reader(three, ["label"], 4, key=key, cache=300) for _ in range(2))
    found = {p: forwards.read(p)[0].tolist() for p in range(20)}
    assert found == {p: backwards.read(p)[0].tolist() for p in reversed(range(20))}


def test_a_small_file_is_read_once(three):
    reader = Reader(three, ["data"], 14)
    before = reader.read(0)[0]
    for path in three:
        path.unlink()
    np.testing.assert_array_equal(reader.read(1)[0], before)


def test_dtypes_are_converted(tmp_path):
    path = write(tmp_path / "a.h5", 3, byte=np.array([0, 128, 255], "u1"), flag=np.array([True, False, True]))
    byte, flag = Reader([path], ["byte", "flag"], 3, np.float64).read(0)
    assert (byte.tolist(), flag.tolist(), byte.dtype) == ([0, 128, 255], [1, 0, 1], np.float64)


def test_compressed_chunks(tmp_path):
    x = np.random.default_rng(0).random((100, 4)).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=x, chunks=(7, 4), compression="gzip")
    reader = Reader([tmp_path / "a.h5"], ["x"], 10, key=key, cache=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([reader.read(p)[0] for p in range(10)]), 0), np.sort(x, 0))


def fault(names=("data", "label"), paths=(), batch=2):
    with pytest.raises(SourceError) as error:
        Reader(list(paths), list(names), batch).read(0)
    return str(error.value)


def test_faults_name_file_and_cause(tmp_path, three):
    text, cut, missing = tmp_path / "text.h5", tmp_path / "cut.h5", tmp_path / "missing.h5"
    text.write_text("data, label\n1, 2\n" * 100)
    cut.write_bytes(three[0].read_bytes()[:-700])
    assert fault(paths=[text]).startswith(f"{text}: cannot be read as HDF5: ")
    assert f"{cut}: cannot be read as HDF5: " in fault(paths=[cut])
    assert fault(paths=[missing]) == f"{missing}: no such file; skip_bad: true leaves out what cannot be read"
    assert fault(["labels"], three) == f"{three[0]}: no dataset 'labels'; it has: data, label"
    other = write(tmp_path / "other.h5", 4, record=(2, 4))
    assert fault(paths=[*three, other]) == (
        f"{other}: a record of 'data' has shape (2, 4), but (2, 3) in {three[0]}; want the same in every file"
    )
    assert "differ in their number of records: 'data' 4, 'odd' 3" in fault(
        ["data", "odd"], [write(tmp_path / "odd.h5", 4, odd=np.zeros(3))]
    )
    words = write(tmp_path / "words.h5", 2, words=np.array([b"a", b"b"]), scalar=np.float32(3))
    assert "dataset 'words' is |S1 of shape (2,); want numbers" in fault(["words"], [words])
    assert "dataset 'scalar' is float32 of shape (); want numbers with a first axis" in fault(["scalar"], [words])
    assert fault(paths=[write(tmp_path / "empty.h5", 0)]).endswith("empty.h5: no records")


def test_a_file_that_goes_or_changes_while_training(three):
    reader = Reader(three, ["data"], 5, cache=0)
    reader.read(0)
    three[1].unlink()
    with pytest.raises(SourceError, match=r"1\.h5: no such file"):
        reader.read(1)
    write(three[1], 4, 5)
    with pytest.raises(
        SourceError, match=r"1\.h5 changed while in use: shapes \[\(4, 2, 3\)\], before \[\(3, 2, 3\)\]"
    ):
        reader.read(1)


def test_a_damaged_chunk_is_named(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=np.random.default_rng(0).random((64, 64)), compression="gzip")
    raw = bytearray(path.read_bytes())
    raw[-20000:-10000] = bytes(10000)
    path.write_bytes(raw)
    assert fault(["x"], [path]).startswith(f"{path}: cannot be read as HDF5: ")


def test_lists(tmp_path, three, monkeypatch):
    source = tmp_path / "list.txt"
    source.write_text("\n 0.h5\r\n2.h5  \n\n")
    assert listed(source) == [three[0], three[2]]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    here = write(elsewhere / "0.h5", 1)
    monkeypatch.chdir(elsewhere)
    assert [path.resolve() for path in listed(source)] == [here, three[2]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; want the names of HDF5 files"),
        ("\n \n", "is empty"),
        ("gone.h5", "no file 'gone.h5': neither at "),
        ("\x89HDF\r\n\x1a\n", "is an HDF5 file; want a text file that lists HDF5 files"),
    ],
)
def test_lists_that_are_none(tmp_path, text, words):
    source = tmp_path / "list.txt"
    source.write_bytes(text.encode("latin1"))
    with pytest.raises(SourceError) as error:
        listed(source)
    assert words in str(error.value) and str(source) in str(error.value)


def test_no_list(tmp_path):
    with pytest.raises(SourceError, match=r"list\.txt: No such file"):
        listed(tmp_path / "list.txt")
    with pytest.raises(SourceError, match="directory"):
        listed(tmp_path)
