"""AnnotatedData: records, what is done to images and their objects, order, and what is refused."""

import struct

import numpy as np
import pytest
from netdef_ssd import AnnotatedData, records
from ssd_nets import net
from ssd_pictures import OBJECTS, picture

from netdef import prototxt, registry
from netdef.errors import NetdefError, SourceError
from netdef.layer import Context
from netdef.sources import datum, image, lmdb

pytest.importorskip("cv2")


@pytest.fixture
def database(tmp_path):
    """Four records: three with objects, one without any; the second is encoded."""
    path = tmp_path / "data"
    images = [datum.write(picture(i), label=i) for i in range(4)]
    images[1] = datum.write_encoded(image.encode(picture(1), "png"), 1)
    counts = (3, 1, 0, 2)
    items = [(b"%08d" % i, records.write(x, OBJECTS[:n])) for i, (x, n) in enumerate(zip(images, counts, strict=True))]
    lmdb.write_records(path, items)
    return path


def layer(path, transform="", annotated="", data="", tops='top: "data" top: "label"', batch=2):
    return (
        f'layer {{ name: "data" type: "AnnotatedData" {tops} transform_param {{ {transform} }} '
        f'data_param {{ source: "{path}" batch_size: {batch} backend: LMDB {data} }} '
        f"annotated_data_param {{ {annotated} }} }}"
    )


def passes(text, count=1, **settings):
    built = net(text, **settings)
    found = []
    for _ in range(count):
        built.forward()
        found.append([built.blobs[name].data.copy() for name in built.blobs])
    return found


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written():
    found = records.read(records.write(datum.write(picture(0), 7), OBJECTS))
    assert (found.type, found.image.label) == (0, 7)
    assert np.array_equal(found.image.x, picture(0))
    assert found.objects == pytest.approx(OBJECTS[[1, 0, 2]])  # by label, as Caffe groups them


def test_a_record_that_protobuf_wrote():
    """Fields in any order, negative numbers in ten bytes, and fields nobody here knows."""
    box = (
        b"\x25" + struct.pack("<f", 1) + b"\x0d" + struct.pack("<f", 0.5) + b"\x30\x01" + b"\x3d" + struct.pack("<f", 9)
    )
    annotation = b"\x12" + bytes([len(box)]) + box + b"\x08" + b"\xff" * 9 + b"\x01"
    group = b"\x12" + bytes([len(annotation)]) + annotation + b"\x08\x05"
    image_ = datum.write(picture(0, 1, 1))
    found = records.read(b"\x1a" + bytes([len(group)]) + group + b"\x0a" + bytes([len(image_)]) + image_)
    assert found.type is None
    assert found.objects.tolist() == [[5, -1, 0.5, 0, 0, 1, 1]]


@pytest.mark.parametrize("cut", [1, 5, -1])
def test_a_damaged_record_says_so(cut):
    with pytest.raises(SourceError):
        records.read(records.write(datum.write(picture(0)), OBJECTS)[:cut])


def test_a_plain_datum_is_told_apart():
    with pytest.raises(SourceError, match="no AnnotatedDatum"):
        records.read(datum.write(picture(0)))


# -- the layer --------------------------------------------------------------------------------------------------------


def test_images_and_objects_of_a_batch(database):
    (first, objects), (second, others) = passes(layer(database), 2)
    assert np.array_equal(first, [picture(0), picture(1)])
    assert np.array_equal(second, [picture(2), picture(3)])
    rows = OBJECTS[[1, 0, 2]]
    assert objects.shape == (1, 1, 4, 8)
    assert objects[0, 0, :3, 1:] == pytest.approx(rows)
    assert objects[0, 0, :, 0].tolist() == [0, 0, 0, 1]
    assert others[0, 0, :, 0].tolist() == [1, 1]


def test_a_batch_without_objects_has_one_row_that_says_so(database):
    (_, _, (_, objects), _) = passes(layer(database, batch=1), 4)
    assert objects.tolist() == [[[[-1] * 8]]]


def test_one_top_and_records_without_a_type(tmp_path):
    items = [(b"%d" % i, records.write(datum.write(picture(i), i + 5), OBJECTS[:0], kind=None)) for i in range(2)]
    lmdb.write_records(tmp_path / "data", items)
    ((_, labels),) = passes(layer(tmp_path / "data"))
    assert labels.tolist() == [5, 6]
    ((_, objects),) = passes(layer(tmp_path / "data", annotated="anno_type: BBOX"))
    assert objects.tolist() == [[[[-1] * 8]]]
    assert len(passes(layer(tmp_path / "data", tops='top: "data"'))[0]) == 1


EVERYTHING = """
  mirror: true mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 emit_constraint { emit_type: CENTER }
  resize_param { height: 16 width: 18 interp_mode: LINEAR interp_mode: AREA interp_mode: CUBIC }
  distort_param {
    brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5
    hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.5
  }
  expand_param { prob: 0.5 max_expand_ratio: 4 } crop_h: 14 crop_w: 15
"""
SAMPLERS = """
  batch_sampler { max_sample: 1 max_trials: 1 }
  batch_sampler {
    sampler { min_scale: 0.3 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } sample_constraint { min_jaccard_overlap: 0.1 }
    max_sample: 1 max_trials: 50
  }
"""


def test_all_that_is_random_is_a_function_of_seed_and_pass(database):
    text = layer(database, EVERYTHING, SAMPLERS, "shuffle: true rand_skip: 3")
    one, other = (passes(text, 6, phase=0) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(one[0][0], one[2][0])
    for data, objects in one:
        assert data.shape == (2, 3, 14, 15)
        boxes = objects[0, 0][objects[0, 0, :, 0] >= 0, 3:7]
        assert (boxes >= 0).all()
        assert (boxes <= 1).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_it_feeds_the_loss(database):
    text = layer(database, "resize_param { height: 16 width: 16 }")
    text += """
      layer { name: "loc" type: "Convolution" bottom: "data" top: "loc" convolution_param {
        num_output: 4 kernel_size: 4 stride: 4 weight_filler { type: "xavier" } } }
      layer { name: "conf" type: "Convolution" bottom: "data" top: "conf" convolution_param {
        num_output: 4 kernel_size: 4 stride: 4 weight_filler { type: "xavier" } } }
      layer { name: "l1" type: "Permute" bottom: "loc" top: "l1" permute_param { order: 0 order: 2 order: 3 } }
      layer { name: "c1" type: "Permute" bottom: "conf" top: "c1" permute_param { order: 0 order: 2 order: 3 } }
      layer { name: "l2" type: "Flatten" bottom: "l1" top: "l2" }
      layer { name: "c2" type: "Flatten" bottom: "c1" top: "c2" }
      layer { name: "prior" type: "PriorBox" bottom: "loc" bottom: "data" top: "prior" prior_box_param { min_size: 6 } }
      layer { name: "loss" type: "MultiBoxLoss" bottom: "l2" bottom: "c2" bottom: "prior" bottom: "label" top: "loss"
        propagate_down: true propagate_down: true propagate_down: false propagate_down: false
        multibox_loss_param { num_classes: 4 code_type: CENTER_SIZE } }
    """
    built = net(text, phase=0)
    for _ in range(3):
        assert built.forward() > 0
        built.backward()
    assert any(blob.diff.any() for blob in built.params["loc"])


def test_shapes_are_declared_where_the_database_is_absent():

    text = layer("nowhere", "resize_param { height: 300 width: 200 }", batch=8)
    param = prototxt.parse(text, registry.default().schema.message("NetParameter"), "x").layer[0]
    context = Context(declared=registry.default().schema.declared)
    assert AnnotatedData(param, context).declared_shapes() == [(8, 3, 300, 200), (1, 1, 1, 8)]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"transform": "noise_param { decolorize: true }"}, "noise_param: decolorize is not supported"),
        ({"transform": "noise_param { prob: 0.1 all_effects: true }"}, "noise_param: all_effects is not supported"),
        ({"transform": "distort_param { prob: 0.5 brightness: true }"}, "distort_param: prob is another fork's"),
        ({"transform": "geometry_param { prob: 0.5 }"}, "geometry_param"),
        ({"transform": "random_noise: 2"}, "AnnotatedData does not do random_noise"),
        ({"transform": "resize_param { height: 4 }"}, "width 0; want both"),
        ({"transform": "resize_param { height: 4 width: 4 height_scale: 3 }"}, "height_scale"),
        ({"transform": "crop_size: 4 crop_h: 3 crop_w: 3"}, "crop_size beside"),
        ({"transform": "crop_h: 50 crop_w: 3"}, "smaller than the crop of 50 x 3"),
        ({"transform": "mean_value: 1 mean_value: 2"}, "2 mean_value for 3 channels"),
        ({"annotated": "batch_sampler { sampler { min_scale: 2 } }"}, "scales are 2 to 1"),
        ({"data": "skip_bad: true"}, "skip_bad"),
        ({"batch": 0}, "batch_size"),
    ],
)
def test_refused(database, settings, found):
    with pytest.raises(NetdefError, match=found):
        passes(layer(database, **settings))


def test_images_of_several_sizes_need_one(tmp_path):
    items = [(b"%d" % i, records.write(datum.write(picture(i, 20 + i)), OBJECTS)) for i in range(2)]
    lmdb.write_records(tmp_path / "data", items)
    with pytest.raises(SourceError, match=r"record 1 \('1'\) gives \(3, 21, 24\)"):
        passes(layer(tmp_path / "data"))
    assert passes(layer(tmp_path / "data", "resize_param { height: 9 width: 9 }"))[0][0].shape == (2, 3, 9, 9)


# -- what is done to images -------------------------------------------------------------------------------------------


def test_mirroring_turns_objects_too(database):
    plain, turned = (passes(layer(database, t), 8, phase=0) for t in ("", "mirror: true"))
    both = set()
    for (x, objects), (y, mirrored) in zip(plain, turned, strict=True):
        for i in range(2):
            is_turned = np.array_equal(y[i], x[i, :, :, ::-1])
            both.add(is_turned)
            a, b = (o[0, 0][o[0, 0, :, 0] == i, 3:7] for o in (objects, mirrored))
            want = np.stack([1 - a[:, 2], a[:, 1], 1 - a[:, 0], a[:, 3]], axis=1) if is_turned else a
            assert b == pytest.approx(want)
    assert both == {True, False}
