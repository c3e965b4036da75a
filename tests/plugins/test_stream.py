"""Data as nets use it: order, resuming, faults, labels that are vectors; and what all data layers declare."""

import gc
import logging
import threading

import numpy as np
import pytest
from nets import net
from streams import IMAGES, passes, refusal

from netdef.errors import LayerError, SourceError
from netdef.layer import TEST, TRAIN
from netdef.sources import datum, image, lmdb

RNG = np.random.default_rng(1)


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
