"""netdef data: from original files and image lists to databases, and what it says of them."""

import gzip
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.sources import datum, image, lmdb
from netdef.sources.lmdb import open_records
from netdef.sources.mean import read_mean

RNG = np.random.default_rng(0)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def contents(path):
    records = open_records(path)
    found = [(bytes(key), datum.read(bytes(value))) for key, value in records.read(range(len(records)))]
    return [(key, x, label) for key, (x, label, _) in found]


@pytest.fixture
def mnist(tmp_path):
    """A folder of MNIST's files with 40 and 10 images."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for stem, n in (("train", 40), ("t10k", 10)):
        images, labels = RNG.integers(0, 256, (n, 28, 28)), np.arange(n) % 2
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return folder


def test_mnist(run, mnist, tmp_path):
    done = run("data", "mnist", mnist, tmp_path / "out", "--validation", "10%", "--seed", "3")
    assert (done.status, done.err) == (0, "")
    assert [line.split(": ")[1] for line in done.out.splitlines()] == ["36 records", "4 records", "10 records"]
    validation = contents(tmp_path / "out/mnist_validation_lmdb")
    assert [key for key, _, _ in validation] == [b"%08d" % i for i in range(4)]
    assert sorted(label for _, _, label in validation) == [0, 0, 1, 1]
    assert validation[0][1].shape == (1, 28, 28)
    again = run("data", "mnist", mnist, tmp_path / "out")
    assert again.status == 1 and "mnist_train_lmdb exists already" in again.err


def test_a_missing_original_is_named(run, tmp_path):
    done = run("data", "mnist", tmp_path, tmp_path / "out")
    assert done.status == 1 and "no file train-images-idx3-ubyte.gz" in done.err and "--download" in done.err
    assert not (tmp_path / "out").exists()
    done = run("data", "cifar10", tmp_path, tmp_path / "out")
    assert done.status == 1 and "data_batch_1.bin" in done.err


def test_a_download_that_fails_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr("netdef.sources.originals.MNIST", "http://127.0.0.1:9/")
    done = run("data", "mnist", tmp_path / "new", tmp_path / "out", "--download")
    assert done.status == 1 and done.err.startswith("netdef: error: cannot fetch http://127.0.0.1:9/train-images")
    assert done.err.count("\n") == 1 and "give its folder" in done.err and not (tmp_path / "out").exists()


def test_cifar10(run, tmp_path):
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (tmp_path / f"{name}.bin").write_bytes(RNG.integers(0, 10, (3, 3073)).astype(np.uint8).tobytes())
    assert run("data", "cifar10", tmp_path, tmp_path / "out").status == 0
    assert len(contents(tmp_path / "out/cifar10_train_lmdb")) == 15
    assert contents(tmp_path / "out/cifar10_test_lmdb")[0][1].shape == (3, 32, 32)


X = RNG.integers(0, 256, (12, 3, 6, 9)).astype(np.uint8)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Twelve images of three classes under photos/, and list.txt."""
    pytest.importorskip("cv2")
    (tmp_path / "photos").mkdir()
    for i, x in enumerate(X):
        (tmp_path / f"photos/{i}.png").write_bytes(image.encode(x, "png"))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i % 3}\n" for i in range(12)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_images(run, photos):
    assert run("data", "images", "list.txt", "out_lmdb", "--root", "photos/").out == "out_lmdb: 12 records\n"
    for i, (key, x, label) in enumerate(contents(photos / "out_lmdb")):
        assert (key, label) == (b"%08d_%d.png" % (i, i), i % 3)
        np.testing.assert_array_equal(x, X[i])


def test_images_resized_gray_and_shuffled(run, photos):
    flags = ["--root", "photos/", "--resize_height", "4", "--resize_width=5", "-gray", "--shuffle"]
    assert run("data", "images", "list.txt", "a", *flags).status == 0
    assert run("data", "images", "list.txt", "b", *flags, "--seed", "1").status == 0
    orders = [[int(key[9:-4]) for key, _, _ in contents(photos / name)] for name in "ab"]
    assert orders[0] != orders[1] and sorted(orders[0]) == list(range(12))
    i = orders[0][0]
    gray = image.decode((photos / f"photos/{i}.png").read_bytes(), image.GRAY)
    np.testing.assert_array_equal(contents(photos / "a")[0][1], image.resize(gray, 4, 5))


def test_encoded_images(run, photos):
    assert run("data", "images", "list.txt", "own", "--root", "photos/", "--encoded").status == 0
    assert contents(photos / "own")[3][1].tobytes() == (photos / "photos/3.png").read_bytes()
    flags = ["--encoded", "--encode-type", "jpg", "--resize-height", "4", "--resize-width", "5"]
    assert run("data", "images", "list.txt", "jpg", "--root", "photos/", *flags).status == 0
    stored = contents(photos / "jpg")[3][1].tobytes()
    assert stored.startswith(b"\xff\xd8") and image.decode(stored).shape == (3, 4, 5)
    done = run("data", "images", "list.txt", "bad", "--root", "photos/", "--encoded", "--encode-type", "doc")
    assert done.status == 1 and "cannot encode images as 'doc'; want jpg or png" in done.err
    assert "--skip-bad" not in done.err and not (photos / "bad").exists()


def test_images_in_parts(run, photos):
    assert run("data", "images", "list.txt", "p_lmdb", "--root", "photos/", "--validation", "0.25").status == 0
    parts = {name: contents(photos / f"p_{name}_lmdb") for name in ("train", "validation")}
    assert [sorted(label for _, _, label in part) for part in parts.values()] == [
        [0, 0, 0, 1, 1, 1, 2, 2, 2],
        [0, 1, 2],
    ]
    assert len({key[9:] for part in parts.values() for key, _, _ in part}) == 12


def test_label_vectors(run, photos):
    (photos / "v.txt").write_text("0.png 1 2.5\n1.png -1 0\n")
    assert run("data", "images", "v.txt", "v_lmdb", "--root", "photos/", "--label-count", "2").status == 0
    images, labels = contents(photos / "v_lmdb"), contents(photos / "v_labels_lmdb")
    assert [key for key, _, _ in images] == [key for key, _, _ in labels]
    assert [x.ravel().tolist() for _, x, _ in labels] == [[1, 2.5], [-1, 0]]


def test_a_bad_image_is_named_or_left_out(run, photos):
    (photos / "photos/5.png").write_bytes((photos / "photos/5.png").read_bytes()[:60])
    (photos / "photos/6.png").unlink()
    done = run("data", "images", "list.txt", "out", "--root", "photos/")
    assert done.status == 1 and "photos/5.png: cannot be decoded as an image" in done.err and "--skip-bad" in done.err
    assert sorted(p.name for p in photos.iterdir()) == ["list.txt", "photos"]
    done = run("data", "images", "list.txt", "out", "--root", "photos/", "--skip-bad")
    assert done.status == 0 and "left out: photos/6.png" in done.err and "2 of 12 images were left out" in done.err
    assert [key[9:] for key, _, _ in contents(photos / "out")][5] == b"7.png"


def test_a_full_disk_leaves_nothing(run, photos, monkeypatch):
    import lmdb as library

    def full(env, piece):
        raise library.DiskError("mdb_txn_commit: Input/output error")

    monkeypatch.setattr(lmdb, "_commit", full)
    monkeypatch.setattr(lmdb.shutil, "disk_usage", lambda path: SimpleNamespace(free=2500))
    done = run("data", "images", "list.txt", "out", "--root", "photos/")
    assert done.status == 1
    assert done.err == "netdef: error: cannot write out: the disk is full, 2.5 kB are free; nothing is left there\n"
    assert sorted(p.name for p in photos.iterdir()) == ["list.txt", "photos"]


@pytest.fixture
def db(tmp_path):
    """Twelve images of three classes."""
    items = ((b"%02d" % i, datum.write(x, i % 3)) for i, x in enumerate(X))
    lmdb.write_records(tmp_path / "db", items)
    return tmp_path / "db"


def test_split(run, db):
    assert run("data", "split", db, db.with_name("s"), "--validation", "0.25", "--test", "0.25").status == 0
    parts = [contents(db.with_name(f"s_{name}")) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [6, 3, 3]
    joined = sorted((key, x.tobytes(), label) for part in parts for key, x, label in part)
    assert joined == [(key, x.tobytes(), label) for key, x, label in contents(db)]


def test_mean(run, db, tmp_path):
    done = run("data", "mean", db, tmp_path / "mean.binaryproto")
    np.testing.assert_allclose(read_mean(tmp_path / "mean.binaryproto"), X.mean(0), rtol=1e-6)
    assert done.out.splitlines()[0].endswith("mean of 12 images, 3x6x9")
    values = [float(word) for word in done.out.splitlines()[1].split() if word != "mean_value:"]
    np.testing.assert_allclose(values, X.mean((0, 2, 3)), rtol=1e-5)


def test_mean_of_different_sizes(run, tmp_path):
    lmdb.write_records(tmp_path / "db", ((b"%d" % n, datum.write(np.zeros((1, n, 2), np.uint8))) for n in (3, 4)))
    done = run("data", "mean", tmp_path / "db", tmp_path / "mean.binaryproto")
    assert done.status == 1 and "record 1 ('4') has shape (1, 4, 2), those before (1, 3, 2)" in done.err
    assert not (tmp_path / "mean.binaryproto").exists()


def test_show(run, db):
    done = run("data", "show", db)
    assert done.status == 0
    assert done.out.startswith(f"{db}: 12 records\nvalues {X.min()} to {X.max()}\nshape 3x6x9: 12\n")
    assert [line.split()[:3] for line in done.out.splitlines()[4:]] == [[str(k), "4", "33.3%"] for k in range(3)]
    found = json.loads(run("data", "show", db, "--json").out)
    assert found["labels"] == {"0": 4, "1": 4, "2": 4} and found["shapes"] == [{"shape": [3, 6, 9], "records": 12}]


def test_show_names_bad_records(run, tmp_path):
    lmdb.write_records(tmp_path / "db", [(b"a", datum.write(X[0])), (b"b", b"no datum")])
    done = run("data", "show", tmp_path / "db")
    assert done.status == 1 and "record 1 ('b'): no datum" in done.out and "1 of 2 records cannot be read" in done.out


def test_a_contact_sheet(run, db, tmp_path):
    cv2 = pytest.importorskip("cv2")
    assert run("data", "show", db, "--sheet", tmp_path / "sheet.png", "--count", "11").status == 0
    page = cv2.imread(str(tmp_path / "sheet.png")).transpose(2, 0, 1)
    assert page.shape == (3, 2 * 6 + 2, 10 * 9 + 9 * 2)
    for i in range(11):
        top, left = i // 10 * 8, i % 10 * 11
        np.testing.assert_array_equal(page[:, top : top + 6, left : left + 9], X[i])
    assert (page[:, 8:, 11:] == 255).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data"], "the following arguments are required: KIND (see: netdef data --help)"),
        (["data", "minst"], "unknown kind 'minst'; did you mean 'mnist'? (see: netdef data --help)"),
        (["data", "mean", "a"], "the following arguments are required: OUT.binaryproto (see: netdef data mean --help)"),
        (["data", "split", "a", "b"], "no part to split off; give --validation SHARE, --test SHARE or both"),
        (["data", "split", "a", "b", "--test", "0.5"], "--test: want a share from 0.05 to 0.3, got '0.5'"),
        (["data", "split", "a", "b", "--tset", "0.1"], "unknown flag '--tset'; did you mean '--test'?"),
        (["data", "images", "a", "b", "--resize-width", "3"], "give --resize-height and --resize-width, or neither"),
        (["data", "images", "a", "b", "--encode-type", "jpg"], "--encode-type goes with --encoded"),
        (["data", "images", "a", "b", "--label-count", "2", "--test", "0.1"], "do not go together"),
        (["data", "mnist", "a", "b", "--seed", "-1"], "--seed: want a whole number from 0"),
    ],
)
def test_usage(run, words, said):
    done = run(*words)
    assert done.status == 2 and done.err.startswith("netdef: error: ") and said in done.err


@pytest.mark.parametrize("kind", ["mnist", "cifar10", "images", "split", "mean", "show"])
def test_every_kind_has_help_with_an_example(run, kind):
    done = run("data", kind, "--help")
    assert done.status == 0 and done.out.startswith(f"usage: netdef data {kind}")
    assert f"  netdef data {kind}" in done.out.split("examples:")[1]


def test_absent_database(run, tmp_path):
    for kind in ("show", "mean", "split"):
        done = run(
            "data",
            kind,
            tmp_path / "none",
            *(["x"] if kind != "show" else []),
            *(["--test", "0.1"] if kind == "split" else []),
        )
        assert done.status == 1 and "none" in done.err and "Traceback" not in done.err


def test_what_is_done_to_images_is_listed_with_their_layers(run):
    for kind in ("Data", "ImageData", "WindowData"):
        listed = run("layers", kind).out.split("transform_param { }:")[1]
        assert "crop_size" in listed and "random_rotation" in listed
