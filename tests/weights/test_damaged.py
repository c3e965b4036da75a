"""Damaged files: cut at every byte, bits turned over, lengths that lie. Each gives a message or the right numbers."""

import tracemalloc

import numpy as np
import pytest
import toys

from netdef import weights
from netdef.errors import NetdefError, WeightsError
from netdef.solver.snapshot import State, read_state, write_state
from netdef.weights.wire import bytes_field, bytes_head, int_field, packed_ints

NET = """name: "toy"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "Dense" bottom: "x" top: "a" dense_param { outputs: 4 filler { type: "gaussian" } } }
layer { name: "b" type: "Dense" bottom: "a" top: "b" dense_param { filler { type: "gaussian" } } }
"""
HISTORY = [np.arange(12, dtype="f4").reshape(3, 4), np.arange(4, dtype="f4")]


@pytest.fixture
def built():
    return toys.net(NET)


def model(tmp_path, built, ending=""):
    path = tmp_path / f"w.caffemodel{ending}"
    weights.save(path, built.name, built.layers)
    return path


def state(tmp_path, ending=""):
    path = tmp_path / f"s.solverstate{ending}"
    write_state(path, State(7, "w.caffemodel", HISTORY, 3, 42, [[1, 2, 300], [4]], [0.5, 0.25]))
    return path


def numbers(path):
    """Every number of every layer in a file, by layer name."""
    return {s.name: [b.data.tobytes() for b in s.blobs] for s in weights.read(path) if s.blobs}


def test_a_caffemodel_cut_anywhere(tmp_path, built):
    path = model(tmp_path, built)
    whole, want = path.read_bytes(), numbers(path)
    cut, refused = tmp_path / "cut", 0
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        try:
            found = numbers(cut)
        except WeightsError as e:
            assert str(cut) in str(e)
            refused += 1
        else:
            assert found.items() <= want.items(), f"cut at byte {size}"
    assert refused > 0.9 * len(whole), "only a cut between two layers can go unseen"


def test_a_solverstate_cut_anywhere(tmp_path):
    path = state(tmp_path)
    whole = path.read_bytes()
    cut = tmp_path / "cut"
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        try:
            found = read_state(cut)
        except WeightsError as e:
            assert str(cut) in str(e)
        else:
            assert found.iter == 7
            assert all(np.array_equal(h.data, x) for h, x in zip(found.history, HISTORY, strict=False))


def flipped(whole, rng):
    damaged = bytearray(whole)
    for _ in range(int(rng.integers(1, 5))):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def test_a_caffemodel_with_bits_turned_over(tmp_path, built):
    rng, whole, path = np.random.default_rng(0), model(tmp_path, built).read_bytes(), tmp_path / "bad"
    refused = 0
    for _ in range(500):
        path.write_bytes(flipped(whole, rng))
        try:
            weights.load(built.layers, path)
        except NetdefError:
            refused += 1
    assert 50 < refused < 500


def test_a_solverstate_with_bits_turned_over(tmp_path):
    rng, whole, path = np.random.default_rng(1), state(tmp_path).read_bytes(), tmp_path / "bad"
    for _ in range(500):
        path.write_bytes(flipped(whole, rng))
        try:
            read_state(path)
        except NetdefError:
            continue


@pytest.mark.parametrize("what", ["weights", "state"])
def test_hdf5_cut_short(tmp_path, built, what):
    """No bits are turned over here: whether HDF5 itself then loops or crashes depends on its version."""
    source = model(tmp_path, built, ".h5") if what == "weights" else state(tmp_path, ".h5")
    whole, path = source.read_bytes(), tmp_path / "cut.h5"
    for size in [*range(1, 9), *range(9, len(whole), 97)]:
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match=str(path)):
            weights.load(built.layers, path) if what == "weights" else read_state(path)


def test_random_bytes_are_no_weights(tmp_path, built):
    rng, path = np.random.default_rng(3), tmp_path / "noise"
    for _ in range(200):
        path.write_bytes(rng.bytes(int(rng.integers(1, 200))))
        with pytest.raises(NetdefError):
            weights.load(built.layers, path)


LAYER = bytes_field(1, b"a")
BLOB = bytes_field(7, packed_ints(1, [3, 4]))
LIES = {
    "a layer": bytes_head(100, 1 << 40) + b"x",
    "a blob": bytes_field(100, LAYER + bytes_head(7, 1 << 40) + BLOB),
    "its data": bytes_field(100, LAYER + bytes_field(7, BLOB + bytes_head(5, 1 << 40))),
    "its data, in 64 bits": bytes_field(100, LAYER + bytes_field(7, BLOB + bytes_head(5, (1 << 64) - 1))),
    "its shape": bytes_field(100, LAYER + bytes_field(7, bytes_field(7, packed_ints(1, [1 << 40, 1 << 20])))),
    "its old axes": bytes_field(100, LAYER + bytes_field(7, b"".join(int_field(k, 1 << 30) for k in (1, 2, 3, 4)))),
    "raw data": bytes_field(100, LAYER + bytes_field(7, BLOB + int_field(10, 1) + bytes_head(12, 1 << 40))),
}


@pytest.mark.parametrize("name", LIES)
def test_a_length_that_lies_costs_no_memory(tmp_path, built, name):
    path = tmp_path / "lie"
    path.write_bytes(LIES[name])
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=str(path)):
            weights.load(built.layers, path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x0a\x03toy", "holds no layers; is it a .caffemodel?"),
        (b"name: 'a prototxt'\n", "wire type"),
        (b"\x89HDF\r\n\x1a\n", "as HDF5"),
    ],
)
def test_a_file_that_is_no_weights(tmp_path, built, content, words):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=str(path)) as caught:
        weights.load(built.layers, path)
    assert words in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path, built):
    with pytest.raises(WeightsError, match=f"cannot read {tmp_path}/no: No such file or directory"):
        weights.load(built.layers, tmp_path / "no")
    with pytest.raises(WeightsError, match=f"cannot read {tmp_path}: Is a directory"):
        weights.load(built.layers, tmp_path)
    with pytest.raises(WeightsError, match=f"cannot read {tmp_path}/no: No such file or directory"):
        read_state(tmp_path / "no")


def test_weights_are_no_solver_state(tmp_path, built):
    with pytest.raises(WeightsError, match=r"is it a .solverstate"):
        read_state(model(tmp_path, built))
