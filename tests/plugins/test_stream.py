"""Data, ImageData, WindowData and HDF5Data as nets use them: order, resuming, faults, labels that are vectors."""

import gc
import logging
import threading

import numpy as np
import pytest
from nets import net

from netdef.errors import LayerError, NetdefError, SourceError
from netdef.layer import TEST, TRAIN
from netdef.sources import datum, image, lmdb

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 3, 8, 10)).astype(np.uint8)


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Eleven images, labelled by number."""
    path = tmp_path_factory.mktemp("data") / "db"
    lmdb.write_records(path, ((b"%08d" % i, datum.write(x, i)) for i, x in enumerate(IMAGES)))
    return path


def data(db, options="", transform="", tops=("x", "label"), **settings):
    names = " ".join(f'top: "{t}"' for t in tops)
    return net(
        f'layer {{ name: "d" type: "Data" {names} '
        f'data_param {{ source: "{db}" batch_size: 4 backend: LMDB {options} }} '
        f"transform_param {{ {transform} }} }}",
        **settings,
    )


def passes(made, count, top="label"):
    found = []
    for _ in range(count):
        made.forward()
        found.append(made.blobs[top].data.copy())
    return np.array(found)


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_records_in_key_order_epoch_after_epoch(db, prefetch):
    made = data(db, f"prefetch: {prefetch}", "scale: 0.5")
    assert passes(made, 6).ravel().astype(int).tolist() == [i % 11 for i in range(24)]
    np.testing.assert_array_equal(made.blobs["x"].data, IMAGES[[9, 10, 0, 1]] * np.float32(0.5))
    assert made.layers[0].size == 11


RANDOM = ("rand_skip: 9 shuffle: true", "mirror: true crop_size: 6 random_noise: 4 mean_value: 100")


def test_the_same_seed_the_same_batches_and_a_resumed_net_goes_on(db):
    first = passes(data(db, *RANDOM, seed=8), 7, "x")
    np.testing.assert_array_equal(first, passes(data(db, *RANDOM, seed=8), 7, "x"))
    assert not np.array_equal(first, passes(data(db, *RANDOM, seed=9), 7, "x"))
    resumed = data(db, *RANDOM, seed=8)
    resumed.layers[0].passes = 4
    np.testing.assert_array_equal(passes(resumed, 3, "x"), first[4:])
    other = data(db, *RANDOM, seed=1)
    passes(other, 2)
    other.reseed(8)  # as a snapshot does, when batches of the old seed are waiting
    other.layers[0].passes = 4
    np.testing.assert_array_equal(passes(other, 3, "x"), first[4:])


def test_large_images_come_alike_in_both_float_types(tmp_path):
    x = RNG.integers(0, 256, (4, 3, 70, 80)).astype(np.uint8)
    lmdb.write_records(tmp_path / "large", ((b"%02d" % i, datum.write(image, i)) for i, image in enumerate(x)))
    found = []
    for dtype in (np.float32, np.float64):
        made = data(tmp_path / "large", "", "crop_size: 61 mirror: true mean_value: 104 scale: 0.5", dtype=dtype)
        found.append(passes(made, 3, "x"))
    np.testing.assert_array_equal(*found)


def test_an_epoch_in_random_order_is_whole(db):
    labels = passes(data(db, "shuffle: true rand_skip: 0", seed=2), 11).ravel().astype(int)
    assert [sorted(labels[e * 11 : e * 11 + 11]) for e in range(4)] == [list(range(11))] * 4
    assert len({tuple(labels[e * 11 : e * 11 + 11]) for e in range(4)}) == 4


def test_rand_skip_passes_over_less_than_so_many(db):
    starts = {int(passes(data(db, "rand_skip: 4", seed=s), 1)[0, 0]) for s in range(30)}
    assert starts == {0, 1, 2, 3}


def test_train_and_test_nets_share_a_database(db):
    train, test = data(db, phase=TRAIN), data(db, transform="crop_size: 4", phase=TEST)
    for _ in range(3):
        train.forward()
        test.forward()
    np.testing.assert_array_equal(test.blobs["x"].data, IMAGES[[8, 9, 10, 0], :, 2:6, 3:7])


def test_a_net_takes_its_threads_along(db):
    before = set(threading.enumerate())
    made = data(db)
    assert not set(threading.enumerate()) - before  # none before the first pass
    made.forward()
    (thread,) = set(threading.enumerate()) - before
    del made
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_vectors_from_a_second_database(db, tmp_path):
    vectors = RNG.normal(size=(11, 5)).astype(np.float32)
    lmdb.write_records(tmp_path / "v", ((b"%08d" % i, datum.write(v.reshape(5, 1, 1))) for i, v in enumerate(vectors)))
    both = net(
        f'layer {{ type: "Data" top: "x" data_param {{ source: "{db}" batch_size: 3 backend: LMDB }} }}'
        f'layer {{ type: "Data" top: "t" data_param {{ source: "{tmp_path}/v" batch_size: 3 backend: LMDB }} }}'
    )
    for p in range(5):
        both.forward()
        rows = np.arange(3 * p, 3 * p + 3) % 11
        np.testing.assert_array_equal(both.blobs["x"].data, IMAGES[rows])
        np.testing.assert_array_equal(both.blobs["t"].data[:, :, 0, 0], vectors[rows])


def test_encoded_images_and_their_channels(tmp_path):
    pytest.importorskip("cv2")
    lmdb.write_records(
        tmp_path / "e", ((b"%d" % i, datum.write_encoded(image.encode(IMAGES[i], "png"), i)) for i in range(4))
    )
    made = data(tmp_path / "e")
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data, IMAGES[:4])
    assert data(tmp_path / "e", transform="force_gray: true").blobs["x"].shape == (4, 1, 8, 10)


def refusal(text, error=NetdefError, forward=False):
    with pytest.raises(error) as found:
        made = net(text)
        if forward:
            made.forward()
    return str(found.value)


def test_an_absent_database_says_which_command_makes_it():
    said = refusal(
        'layer { name: "mnist" type: "Data" top: "x" data_param { source: "no_lmdb" batch_size: 4 backend: LMDB } }'
    )
    assert "case.prototxt:1:1: layer 'mnist' (Data): no file 'no_lmdb'" in said and "netdef data mnist" in said


def test_options_that_cannot_be(db):
    assert "batch_size is 0" in refusal('layer { type: "Data" top: "x" data_param { source: "a" backend: LMDB } }')
    assert "has no source" in refusal('layer { type: "Data" top: "x" data_param { batch_size: 1 } }', LayerError)
    said = refusal(f'layer {{ type: "Data" top: "x" data_param {{ source: "{db}" batch_size: 1 }} }}')
    assert "it is an LMDB: say backend: LMDB" in said  # Caffe's default is LEVELDB


def test_a_bad_record_is_named_or_left_out(tmp_path, caplog):
    items = [(b"%02d" % i, datum.write(x, i)) for i, x in enumerate(IMAGES[:6])]
    items[4] = (b"04", b"no datum")
    lmdb.write_records(tmp_path / "bad", items)
    made = data(tmp_path / "bad", "prefetch: 3")
    made.forward()
    with pytest.raises(SourceError, match=r"layer 'd' \(Data\): .*bad: record 4 \('04'\): no datum.*skip_bad: true"):
        made.forward()
    with caplog.at_level(logging.WARNING, "netdef"):
        skipping = data(tmp_path / "bad", "skip_bad: true")
        labels = passes(skipping, 6).ravel().astype(int).tolist()
    assert labels == [(0, 1, 2, 3, 5, 5)[i % 6] for i in range(24)]
    assert len(caplog.messages) == 1 and "record 4 ('04')" in caplog.messages[0] and "1 of 6" in caplog.messages[0]
    assert list(skipping.layers[0].batches.skips.bad) == [4]


def test_images_of_several_sizes(tmp_path):
    sizes = [(6, 6), (6, 7), (6, 6), (6, 6)]
    lmdb.write_records(
        tmp_path / "s", ((b"%d" % i, datum.write(np.zeros((1, *s), np.uint8), i)) for i, s in enumerate(sizes))
    )
    made = data(tmp_path / "s")
    with pytest.raises(SourceError, match=r"record 1 \('1'\) has shape \(1, 6, 7\), but the first of its batch"):
        made.forward()
    data(tmp_path / "s", transform="crop_size: 6").forward()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """0.png to 10.png, and list.txt."""
    pytest.importorskip("cv2")
    for i, x in enumerate(IMAGES):
        (tmp_path / f"{i}.png").write_bytes(image.encode(x, "png"))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(11)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(options, transform="", **settings):
    return net(
        f'layer {{ name: "i" type: "ImageData" top: "x" top: "label" image_data_param {{ {options} }} '
        f"transform_param {{ {transform} }} }}",
        **settings,
    )


def test_image_lists(files):
    made = images('source: "list.txt" batch_size: 4')
    assert passes(made, 3).ravel().tolist() == [*range(11), 0]
    np.testing.assert_array_equal(made.blobs["x"].data, IMAGES[[8, 9, 10, 0]])
    made = images('source: "list.txt" batch_size: 2 new_height: 5 new_width: 7 is_color: false')
    made.forward()
    want = [image.resize(image.decode((files / f"{i}.png").read_bytes(), image.GRAY), 5, 7) for i in range(2)]
    np.testing.assert_array_equal(made.blobs["x"].data, want)


def test_shuffled_lists_are_whole_epochs(files):
    labels = passes(images('source: "list.txt" batch_size: 11 shuffle: true', seed=3), 3).astype(int)
    assert all(sorted(row) == list(range(11)) for row in labels) and len({tuple(row) for row in labels}) == 3


def test_lists_with_vectors(files):
    (files / "v.txt").write_text("0.png 0.5 1 2\n1.png -1 0 1\n")
    made = images('source: "v.txt" batch_size: 2 label_count: 3')
    made.forward()
    assert made.blobs["label"].data.tolist() == [[0.5, 1, 2], [-1, 0, 1]]


def test_paths_beside_the_list_and_under_a_root(files, monkeypatch):
    (files / "sub").mkdir()
    (files / "sub/list.txt").write_text("0.png 0\n")
    (files / "sub/0.png").write_bytes((files / "3.png").read_bytes())
    monkeypatch.chdir("/")
    made = images(f'source: "{files}/sub/list.txt"')
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data[0], IMAGES[3])
    made = images(f'source: "{files}/sub/list.txt" root_folder: "{files}/"')
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data[0], IMAGES[0])


def test_a_batch_of_one_takes_each_images_size(files):
    (files / "1.png").write_bytes(image.encode(IMAGES[1, :, :5], "png"))
    made = images('source: "list.txt"')
    shapes = []
    for _ in range(3):
        made.forward()
        shapes.append(made.blobs["x"].shape)
    assert shapes == [(1, 3, 8, 10), (1, 3, 5, 10), (1, 3, 8, 10)]


def test_a_corrupt_jpeg_in_the_middle(files, caplog):
    (files / "6.png").write_bytes(image.encode(IMAGES[6], "jpg")[:-30])
    made = images('source: "list.txt" batch_size: 4')
    made.forward()
    with pytest.raises(SourceError, match=r"layer 'i' \(ImageData\): 6.png: cannot be decoded as an image"):
        made.forward()
    (files / "7.png").unlink()
    skipping = images('source: "list.txt" batch_size: 11 skip_bad: true')
    with caplog.at_level(logging.WARNING, "netdef"):
        assert passes(skipping, 2)[0].tolist() == [0, 1, 2, 3, 4, 5, 8, 8, 8, 9, 10]
    assert len(caplog.messages) == 2 and "2 of 11" in caplog.messages[1]


def test_image_refusals(files):
    text = 'layer {{ type: "ImageData" top: "x" top: "l" image_data_param {{ source: "{}" {} }} }}'
    assert "new_height is 3 and new_width 0" in refusal(text.format("list.txt", "new_height: 3"))
    assert "no file 'no.txt'" in refusal(text.format("no.txt", ""))
    (files / "l.txt").write_text("gone.png 1\n")
    said = refusal(text.format("l.txt", ""))
    assert "gone.png: no file 'gone.png': neither at" in said or "gone.png: no file 'gone.png' at" in said


WINDOWS = (
    'layer {{ name: "w" type: "WindowData" top: "x" top: "label" '
    'window_data_param {{ source: "w.txt" batch_size: 20 {} }} '
    "transform_param {{ crop_size: 5 {} }} }}"
)


def window_file(files):
    (files / "w.txt").write_text(
        "# 0\n0.png\n3\n8\n10\n3\n7 0.9 0 0 4 4\n3 0.2 5 3 9 7\n9 0.45 0 0 1 1\n"
        "# 1\n1.png\n3\n8\n10\n1\n8 0.6 2 1 6 5\n"
    )


def test_windows_of_foreground_and_background(files):
    window_file(files)
    made = net(WINDOWS.format("fg_threshold: 0.5 bg_threshold: 0.4", "mean_value: 9 scale: 2"))
    kinds = {0: IMAGES[0, :, 3:8, 5:10], 7: IMAGES[0, :, 0:5, 0:5], 8: IMAGES[1, :, 1:6, 2:7]}
    seen = set()
    for _ in range(3):
        made.forward()
        labels = made.blobs["label"].data.astype(int).tolist()
        assert labels[:15] == [0] * 15 and set(labels[15:]) <= {7, 8}
        for label, x in zip(labels, made.blobs["x"].data, strict=True):
            np.testing.assert_array_equal(x, (kinds[label].astype(np.float32) - 9) * 2)
        seen |= set(labels)
    assert seen == {0, 7, 8}


def test_mirrored_windows(files):
    window_file(files)
    made = net(WINDOWS.format("fg_fraction: 0", "mirror: true"))
    made.forward()
    x, sides = IMAGES[0, :, 3:8, 5:10], set()
    corner = IMAGES[0, :, 0:2, 0:2]
    for y in made.blobs["x"].data:
        wanted = [x, x[:, :, ::-1], image.resize(corner, 5, 5), image.resize(corner, 5, 5)[:, :, ::-1]]
        fits = [i for i, want in enumerate(wanted) if np.array_equal(y, want)]
        assert len(fits) == 1
        sides.update(fits)
    assert sides == {0, 1, 2, 3}


def test_windows_of_a_bad_image(files, caplog):
    window_file(files)
    (files / "1.png").write_bytes(b"no image")
    option, labels = "fg_threshold: 0.5 fg_fraction: 0.5 {}", []
    with pytest.raises(SourceError, match=r"1.png: cannot be decoded.*; skip_bad: true"):
        passes(net(WINDOWS.format(option.format(""), "")), 9)
    with caplog.at_level(logging.WARNING, "netdef"):
        made = net(WINDOWS.format(option.format("skip_bad: true"), ""))
        for _ in range(5):
            made.forward()
            labels += made.blobs["label"].data[10:].tolist()
    assert set(labels) == {7}
    assert len(caplog.messages) == 1 and "1.png: cannot be decoded" in caplog.messages[0]


@pytest.mark.parametrize(
    ("option", "transform", "words"),
    [
        ("crop_mode: 'round'", "", "crop_mode is 'round'; want warp or square"),
        ("context_pad: 3", "", "context_pad 3 leaves nothing of crop_size 5"),
        ("fg_threshold: 0.95 bg_threshold: 0.95", "", "5 foreground windows, but there is none among 4"),
        ("bg_threshold: 0.1", "", "15 background windows, but there is none"),
        ("", "random_noise: 1", "does not know the random_ options"),
        ("fg_fraction: 2", "", "fg_fraction is 2; want 0 to 1"),
    ],
)
def test_window_refusals(files, option, transform, words):
    window_file(files)
    assert words in refusal(WINDOWS.format(option, transform))


def test_declared_shapes_need_no_file():
    def shapes(text):
        from netdef import prototxt, registry
        from netdef.layer import Context

        found = registry.default()
        (param,) = prototxt.parse(f"layer {{ name: 'a' {text} }}", found.schema.message("NetParameter"), "x").layer
        return found.get("layers", param.type)(param, Context()).declared_shapes()

    crop = "transform_param { crop_size: 7 }"
    assert shapes(f'type: "Data" data_param {{ batch_size: 5 }} {crop}') == [(5, 3, 7, 7), (5,)]
    assert shapes('type: "Data" data_param { batch_size: 5 }') is None
    sized = "image_data_param { batch_size: 2 new_height: 3 new_width: 4 is_color: false label_count: 6 }"
    assert shapes(f'type: "ImageData" {sized}') == [(2, 1, 3, 4), (2, 6)]
    assert shapes(f'type: "ImageData" {sized} {crop}') == [(2, 1, 7, 7), (2, 6)]
    assert shapes(f'type: "WindowData" window_data_param {{ batch_size: 2 }} {crop}') == [(2, 3, 7, 7), (2,)]
    assert shapes('type: "HDF5Data" hdf5_data_param { batch_size: 2 }') is None


def test_an_hdf5_file_removed_between_epochs(tmp_path, monkeypatch):
    import h5py

    from netdef.sources import hdf5

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
    import h5py

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


def test_a_resumed_training_sees_what_an_uninterrupted_one_sees(db, tmp_path):
    from netdef import prototxt, registry
    from netdef.solver import Solver

    text = f"""
    net_param {{
      layer {{ name: "d" type: "Data" top: "x" top: "label"
        data_param {{ source: "{db}" batch_size: 4 backend: LMDB shuffle: true rand_skip: 5 }}
        transform_param {{ crop_size: 5 mirror: true scale: 0.004 random_noise: 9 }} }}
      layer {{ name: "f" type: "InnerProduct" bottom: "x" top: "f"
        inner_product_param {{ num_output: 11 weight_filler {{ type: "xavier" }} }} }}
      layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" top: "l" }}
    }}
    base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 9 snapshot_prefix: "{tmp_path}/s" random_seed: %d
    """

    def solver(seed):
        return Solver(prototxt.parse(text % seed, registry.default().schema.message("SolverParameter"), "s.prototxt"))

    whole = solver(3)
    whole.step(5)
    _, state = whole.snapshot()
    whole.step(4)
    resumed = solver(4)
    resumed.step(2)  # batches of another seed are waiting
    resumed.restore(state)
    resumed.step(4)
    for ours, theirs in zip(resumed.net.parameters, whole.net.parameters, strict=True):
        np.testing.assert_array_equal(ours.blob.data, theirs.blob.data)
