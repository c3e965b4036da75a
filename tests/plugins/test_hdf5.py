"""HDF5Data resumes bit for bit; HDF5Output writes what HDF5Data reads."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from nets import fed, net
from streams import passes, refusal

from netdef import files
from netdef.errors import LayerError, NetdefError, SourceError
from netdef.sources import hdf5, hdf5_output

DIGITS = Path(__file__).parents[2] / "models" / "digits"


def data(option, tops=("data", "label"), **settings):
    names = " ".join(f'top: "{t}"' for t in tops)
    return net(f'layer {{ name: "in" type: "HDF5Data" {names} hdf5_data_param {{ {option} }} }}', **settings)


def digits(seed=3, option="", **settings):
    return data(f'source: "train.txt" batch_size: 100 shuffle: true {option}', base=DIGITS, seed=seed, **settings)


def batches(made, count):
    found = []
    for _ in range(count):
        made.forward()
        found.append([blob.data.copy() for blob in made.blobs.values()])
    return found


def test_the_digits():
    made = digits()
    assert made.layers[0].size == 1437
    assert made.blobs["data"].shape == (100, 1, 8, 8) and made.blobs["label"].shape == (100,)
    images, labels = (np.concatenate(arrays)[:1437] for arrays in zip(*batches(made, 15), strict=True))
    with h5py.File(DIGITS / "train.h5") as f:
        want = sorted(zip(f["label"][()].tolist(), f["data"][()].reshape(1437, -1).tolist(), strict=True))
    assert sorted(zip(labels.tolist(), images.reshape(1437, -1).tolist(), strict=True)) == want
    assert images.min() == 0 and images.max() == 1 and set(images.ravel() * 16) == set(range(17))


def test_a_resumed_net_reads_on_where_the_first_stopped():
    whole = batches(digits(), 40)
    resumed = digits()
    resumed.layers[0].passes = 23
    for got, want in zip(batches(resumed, 17), whole[23:], strict=True):
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


def test_the_order_is_the_seeds():
    one, other, again = (batches(digits(seed), 1)[0][1].tolist() for seed in (1, 2, 1))
    assert one == again != other


def test_float64_and_unshuffled():
    made = data('source: "test.txt" batch_size: 7', base=DIGITS, dtype=np.float64)
    with h5py.File(DIGITS / "test.h5") as f:
        for p, (images, labels) in enumerate(batches(made, 3)):
            np.testing.assert_array_equal(images, f["data"][p * 7 : p * 7 + 7])
            np.testing.assert_array_equal(labels, f["label"][p * 7 : p * 7 + 7])
    assert made.blobs["data"].dtype == np.float64


@pytest.mark.parametrize(
    ("option", "error", "words"),
    [
        ('source: "test.txt"', LayerError, "batch_size is 0; want 1 or more"),
        ("batch_size: 1", LayerError, "has no source"),
        ('source: "tset.txt" batch_size: 1', SourceError, "no file 'tset.txt'"),
        ('source: "test.h5" batch_size: 1', SourceError, "is an HDF5 file; want a text file"),
        ('source: "test.txt" batch_size: 1 } transform_param { scale: 2', LayerError, "does not transform data"),
    ],
)
def test_refusals_name_the_layer(option, error, words):
    with pytest.raises(error) as found:
        data(option, base=DIGITS)
    assert words in str(found.value) and "layer 'in' (HDF5Data)" in str(found.value)


def test_output_is_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = {"x": np.arange(24.0).reshape(4, 3, 2), "y": np.arange(4.0)}
    made = fed('layer { type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param { file_name: "out.h5" } }', arrays)
    assert not Path("out.h5").exists()
    for p in range(3):
        made.blobs["y"].data[...] = p
        made.forward()
    Path("list.txt").write_text("out.h5\n")
    back = data('source: "list.txt" batch_size: 12')
    back.forward()
    np.testing.assert_array_equal(back.blobs["data"].data, np.concatenate([arrays["x"][..., None]] * 3))
    np.testing.assert_array_equal(back.blobs["label"].data.ravel(), np.repeat([0, 1, 2], 4))
    assert back.blobs["label"].shape == (12, 1, 1, 1)


def test_output_begins_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'layer { type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param { file_name: "out.h5" } }'
    for _ in range(2):
        fed(text, {"x": np.ones((4, 3)), "y": np.ones(4)}).forward()
    with h5py.File("out.h5") as f:
        assert f["data"].shape == (4, 3, 1, 1)


def test_output_of_a_resumed_net_goes_on_or_begins(tmp_path):
    path = tmp_path / "o.h5"
    text = f'layer {{ type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param {{ file_name: "{path}" }} }}'
    for want in (4, 8):
        made = fed(text, {"x": np.ones((4, 3)), "y": np.ones(4)})
        made.layers[-1].passes = 7
        made.forward()
        with h5py.File(path) as f:
            assert len(f["data"]) == want


def test_output_refusals(tmp_path):
    text = 'layer {{ type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param {{ {} }} }}'
    arrays = {"x": np.ones((4, 3)), "y": np.ones(4)}
    with pytest.raises(LayerError, match="has no file_name"):
        fed(text.format(""), arrays)
    with pytest.raises(LayerError, match="differ in their first axis"):
        fed(text.format('file_name: "o.h5"'), {"x": np.ones((4, 3)), "y": np.ones(3)})
    path = tmp_path / "gone" / "o.h5"
    with pytest.raises(NetdefError, match="cannot write"):
        fed(text.format(f'file_name: "{path}"'), arrays).forward()


def test_a_disk_that_fills_costs_a_pass_and_not_those_before(tmp_path, small_disk):
    """HDF5 itself would end the process, not only the pass."""
    path = tmp_path / "o.h5"
    text = f'layer {{ type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param {{ file_name: "{path}" }} }}'
    made = fed(text, {"x": np.arange(40_000.0).reshape(4, 10_000), "y": np.ones(4)})
    small_disk(100)
    with pytest.raises(NetdefError, match="cannot write"):
        made.forward()
    assert list(tmp_path.iterdir()) == []
    small_disk(files.ROOM + (1 << 20))
    made.forward()
    whole = path.read_bytes()
    with pytest.raises(SourceError, match=r"o\.h5: cannot write: File too large"):
        for _ in range(10):
            whole = path.read_bytes()
            made.forward()
    assert path.read_bytes() == whole
    with h5py.File(path) as f:
        assert len(f["data"]) % 4 == 0 and (f["data"][-1].ravel() == np.arange(30_000, 40_000)).all()


def test_what_does_not_fit_the_file_leaves_it_whole(tmp_path):
    hdf5_output.create(tmp_path / "o.h5")
    hdf5_output.append(tmp_path / "o.h5", {"data": np.ones((2, 3)), "label": np.ones((2, 1))})
    whole = (tmp_path / "o.h5").read_bytes()
    with pytest.raises(SourceError, match=r"records of 'label' have shape \(2,\), but \(1,\)"):
        hdf5_output.append(tmp_path / "o.h5", {"data": np.ones((2, 3)), "label": np.ones((2, 2))})
    assert (tmp_path / "o.h5").read_bytes() == whole


def test_an_hdf5_file_removed_between_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5.Reader.__init__, "__defaults__", (np.float32, None, False, 0))  # keep nothing in memory
    for i in range(2):
        with h5py.File(tmp_path / f"{i}.h5", "w") as f:
            f["x"] = np.full((4, 2), i)
    (tmp_path / "list.txt").write_text("0.h5\n1.h5\n")
    made = net(
        f'layer {{ name: "h" type: "HDF5Data" top: "x" data_param {{ prefetch: 0 }} '
        f'hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: 4 }} }}'
    )
    assert passes(made, 2, "x")[:, 0, 0].tolist() == [0, 1]
    (tmp_path / "0.h5").unlink()
    with pytest.raises(SourceError, match=r"layer 'h' \(HDF5Data\): .*0.h5: no such file"):
        made.forward()


def test_an_hdf5_file_that_cannot_be_read_is_left_out(tmp_path, caplog):
    for i in range(3):
        with h5py.File(tmp_path / f"{i}.h5", "w") as f:
            f["x"] = np.arange(4 + i) + 10 * i
    (tmp_path / "0.h5").unlink()
    raw = (tmp_path / "1.h5").read_bytes()
    (tmp_path / "list.txt").write_text("0.h5\n1.h5\n2.h5\n")
    text = (
        'layer {{ name: "h" type: "HDF5Data" top: "x" data_param {{ prefetch: 0 }} '
        f'hdf5_data_param {{{{ source: "{tmp_path}/list.txt" batch_size: 4 {{}} }}}} }}}}'
    )
    assert "no file '0.h5'" in refusal(text.format(""))
    with caplog.at_level(logging.WARNING, "netdef"):
        made = net(text.format("skip_bad: true"))
        assert made.layers[0].size == 11
        (tmp_path / "1.h5").write_bytes(raw[:-20])  # before its first row was asked for
        assert (
            passes(made, 4, "x").ravel().tolist() == [20, 21, 22, 23, 24, 20, 21, 22, 23, 24, 25, *range(20, 25)][:16]
        )
    assert [m.split(":")[0] for m in caplog.messages] == ["left out", "left out"]
    assert "0.h5: no such file (1 of 3" in caplog.messages[0] and "1.h5: cannot be read" in caplog.messages[1]
    (tmp_path / "2.h5").unlink()
    assert "no such file; " in refusal(text.format("skip_bad: true"))
