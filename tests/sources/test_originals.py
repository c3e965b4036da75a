"""MNIST's and CIFAR-10's own files, small ones made here, and what is said of damaged ones."""

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading

import numpy as np
import pytest

from netdef.errors import SourceError
from netdef.sources import originals
from netdef.sources.parts import named, stratified


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def mnist_files(folder, n=6):
    rng = np.random.default_rng(0)
    made = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        made[part] = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(made[part][0])))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(idx(made[part][1]))
    return made


def test_mnist_packed_and_unpacked(tmp_path):
    made = mnist_files(tmp_path)
    found = originals.read_mnist(tmp_path)
    for part in ("train", "test"):
        assert found[part][0].shape == (6, 1, 28, 28)
        np.testing.assert_array_equal(found[part][0][:, 0], made[part][0])
        np.testing.assert_array_equal(found[part][1], made[part][1])


def test_the_real_mnist(shared):
    found = originals.read_mnist(shared / "data/mnist")
    assert (found["train"][0].shape, found["test"][0].shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert np.bincount(found["test"][1]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_faults(tmp_path):
    with pytest.raises(SourceError, match=r"no file train-images-idx3-ubyte.gz in .*; --download"):
        originals.read_mnist(tmp_path)
    mnist_files(tmp_path)
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    whole = packed.read_bytes()
    for bad in (whole[:200], b"no gzip", gzip.compress(b"\x00\x00\x0d\x01" + bytes(8)), gzip.compress(b"")):
        packed.write_bytes(bad)
        with pytest.raises(SourceError, match=r"train-images-idx3-ubyte.gz is damaged"):
            originals.read_mnist(tmp_path)
    packed.write_bytes(whole)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(gzip.decompress(whole))
    with pytest.raises(SourceError, match=r"train-labels-idx1-ubyte is damaged: an array of 3 axes; want 1"):
        originals.read_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5)))
    with pytest.raises(SourceError, match="6 images, but 5 labels"):
        originals.read_mnist(tmp_path)


def cifar_files(folder):
    rng = np.random.default_rng(0)
    rows = {
        name: rng.integers(0, 10, (4, 3073)).astype(np.uint8) for name in (*originals.CIFAR10_TRAIN, "test_batch.bin")
    }
    for name, row in rows.items():
        (folder / name).write_bytes(row.tobytes())
    return rows


def test_cifar10_from_folder_and_archive(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rows = cifar_files(folder)
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-bin")
    places = [tmp_path, folder, tmp_path / "cifar-10-binary.tar.gz"]
    for place in places:
        found = originals.read_cifar10(place)
        assert found["train"][0].shape == (20, 3, 32, 32) and found["test"][0].shape == (4, 3, 32, 32)
        np.testing.assert_array_equal(found["train"][1][4:8], rows["data_batch_2.bin"][:, 0])
        np.testing.assert_array_equal(found["test"][0][2].ravel(), rows["test_batch.bin"][2, 1:])


def test_cifar10_faults(tmp_path):
    with pytest.raises(SourceError, match=r"data_batch_1.bin: No such file or directory; want CIFAR-10's binary"):
        originals.read_cifar10(tmp_path)
    cifar_files(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(b"abc")
    with pytest.raises(SourceError, match=r"data_batch_3.bin has 3 bytes; want a multiple of 3073"):
        originals.read_cifar10(tmp_path)
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(io.BytesIO(bytes(9)).read())[:8])
    with pytest.raises(SourceError, match=r"cut.tar.gz cannot be read as an archive"):
        originals.read_cifar10(tmp_path / "cut.tar.gz")
    with pytest.raises(SourceError, match=r"batch_1.bin cannot be read as an archive: [^\n]*$"):
        originals.read_cifar10(tmp_path / "data_batch_1.bin")


@pytest.fixture
def server(tmp_path):
    """A folder that a web server on this machine gives out, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()


def test_downloads_are_checked(server, tmp_path):
    folder, base = server
    (folder / "a.bin").write_bytes(b"abc" * 1000)
    sums = hashlib.md5(b"abc" * 1000).hexdigest()
    steps, to = [], tmp_path / "to"
    originals.download(base, {"a.bin": sums}, to, lambda done, total: steps.append((done, total)))
    assert (to / "a.bin").read_bytes() == b"abc" * 1000 and steps[-1] == (3000, 3000)
    (folder / "a.bin").unlink()
    originals.download(base, {"a.bin": sums}, to)  # what is there is not fetched again
    (folder / "b.bin").write_bytes(b"abd")
    with pytest.raises(SourceError, match=f"b.bin has checksum .*; want {sums}"):
        originals.download(base, {"b.bin": sums}, to)
    with pytest.raises(SourceError, match=r"cannot fetch .*c.bin: .*404"):
        originals.download(base, {"c.bin": sums}, to)
    assert sorted(p.name for p in to.iterdir()) == ["a.bin"]


def test_parts_hold_every_labels_share():
    labels = np.repeat([3, -1, 8], [100, 40, 7])
    parts = stratified(labels, {"validation": 0.1, "test": 0.2}, seed=4)
    assert list(parts) == ["train", "validation", "test"]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(147))
    counts = {name: [int((labels[rows] == v).sum()) for v in (3, -1, 8)] for name, rows in parts.items()}
    assert counts == {"train": [70, 28, 5], "validation": [10, 4, 1], "test": [20, 8, 1]}
    again = stratified(labels, {"validation": 0.1, "test": 0.2}, seed=4)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)
    other = stratified(labels, {"validation": 0.1, "test": 0.2}, seed=5)
    assert not np.array_equal(parts["test"], other["test"])
    assert stratified(labels, {})["train"].tolist() == list(range(147))


def test_names_of_parts(tmp_path):
    assert named(tmp_path / "pets_lmdb", "train").name == "pets_train_lmdb"
    assert named(tmp_path / "pets", "test") == tmp_path / "pets_test"
