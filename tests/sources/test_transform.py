"""transform_param against plain loops, pixel by pixel, in the order that Caffe documents."""

import numpy as np
import pytest
from netdef_plugins.kernels import pixels
from netdef_proto import netdef_pb2

from netdef import registry
from netdef.errors import AbsentError, SourceError
from netdef.files import finder
from netdef.options import Block, Field
from netdef.schema import Schema
from netdef.sources import draws
from netdef.sources.augment import Augment
from netdef.sources.mean import read_mean, write_mean
from netdef.sources.transform import Transform, declared, write

TRAIN, TEST = 0, 1
IMAGES = np.random.default_rng(3).integers(0, 256, (6, 3, 9, 16)).astype(np.uint8)


def param(**settings):
    return registry.default().schema.message("TransformationParameter")(**settings)


def applied(images, phase=TRAIN, key=5, dtype=np.float32, put=write, **settings):
    transform = Transform(param(**settings), phase, write_bytes=put)
    out = np.full((len(images), *transform.shape(images[0].shape)), np.nan, dtype)
    transform.apply(list(images), out, key)
    return out


def loops(x, top, left, size, mirror, mean, scale):
    """y[c, h, w] from the source pixel; `mean` has the image's own shape."""
    c, height, width = x.shape[0], *size
    y = np.zeros((c, height, width), np.float32)
    for k in range(c):
        for h in range(height):
            for w in range(width):
                at = (k, top + h, left + w)
                y[k, h, width - 1 - w if mirror else w] = (np.float32(x[at]) - np.float32(mean[at])) * np.float32(scale)
    return y


def windows(x, size, mean, scale, mirrors=(False, True)):
    """Every result that a random window may have."""
    return {
        (top, left, mirror): loops(x, top, left, size, mirror, mean, scale)
        for top in range(x.shape[1] - size[0] + 1)
        for left in range(x.shape[2] - size[1] + 1)
        for mirror in mirrors
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("width", [16, 13])
@pytest.mark.parametrize("mean", ["file", "values", "value", None])
def test_every_output_is_a_window_of_its_image(tmp_path, dtype, width, mean):
    images = IMAGES[:, :, :, :width].astype(dtype)
    means = np.zeros(images[0].shape, np.float32)
    settings = {"crop_size": 7, "mirror": True, "scale": 0.3}
    if mean == "file":
        means = np.random.default_rng(4).normal(100, 20, means.shape).astype(np.float32)
        write_mean(tmp_path / "mean.binaryproto", means)
        settings["mean_file"] = str(tmp_path / "mean.binaryproto")
    elif mean:
        values = [104, 117, 123] if mean == "values" else [50]
        settings["mean_value"] = values
        means[:] = np.array(values, np.float32).reshape(-1, 1, 1)
    found = applied(images, **settings)
    chosen = []
    for x, y in zip(images, found, strict=True):
        fits = [at for at, want in windows(x, (7, 7), means, 0.3).items() if np.array_equal(y, want)]
        assert len(fits) == 1
        chosen += fits
    assert len(set(chosen)) > 3


@pytest.mark.parametrize("settings", [{"mean_file": "mean.binaryproto"}, {"mean_value": [7]}, {}])
def test_bytes_written_by_a_kernel_are_the_same(tmp_path, settings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(1).integers(0, 256, (9, 3, 60, 70)).astype(np.uint8)
    write_mean("mean.binaryproto", np.random.default_rng(2).normal(100, 20, images[0].shape))
    settings = {"crop_size": 53, "mirror": True, "scale": 0.3, **settings}
    found = [applied(images, put=put, **settings) for put in (write, pixels.write)]
    np.testing.assert_array_equal(*found)


def test_every_window_and_side_is_drawn():
    images = np.broadcast_to(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), (400, 1, 3, 4))
    found = applied(images, crop_size=2, mirror=True)
    assert {tuple(y.ravel()) for y in found} == {
        tuple(want.ravel()) for want in windows(images[0], (2, 2), np.zeros((1, 3, 4)), 1).values()
    }


def test_the_centre_in_test_and_mirrors_there_too():
    zero = np.zeros(IMAGES[0].shape)
    for x, y in zip(IMAGES, applied(IMAGES, TEST, crop_size=6), strict=True):
        np.testing.assert_array_equal(y, loops(x, 1, 5, (6, 6), False, zero, 1))
    sides = {
        next(m for m in (False, True) if np.array_equal(y, loops(x, 0, 0, (9, 16), m, zero, 1)))
        for x, y in zip(IMAGES, applied(IMAGES, TEST, mirror=True), strict=True)
    }
    assert sides == {False, True}


def test_random_numbers_are_a_function_of_the_key():
    settings = {"crop_size": 5, "mirror": True, "random_noise": 3, "random_rotation": 10, "random_contrast": 0.5}
    np.testing.assert_array_equal(applied(IMAGES, **settings), applied(IMAGES, **settings))
    assert not np.array_equal(applied(IMAGES, **settings), applied(IMAGES, key=6, **settings))
    np.testing.assert_array_equal(applied(IMAGES, **settings), applied(IMAGES, dtype=np.float64, **settings))


def test_numbers_are_pinned():
    """A snapshot taken with any version must resume with the same windows."""
    np.testing.assert_array_equal(draws.uniform(42, 3).round(6), [0.820198, 0.189246, 0.867661])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mean_file": "a", "mean_value": [1]}, "both mean_file and mean_value"),
        ({"force_color": True, "force_gray": True}, "both force_color and force_gray"),
        ({"crop_size": 10}, "is 9 x 16, smaller than crop_size 10"),
        ({"mean_value": [1, 2]}, "has 3 channels, but there are 2 mean_value; want 1 or 3"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(SourceError) as error:
        applied(IMAGES, **settings)
    assert words in str(error.value)


def test_what_a_plugin_added_for_its_own_layers_is_refused():
    block = Block(message="TransformationParameter", fields=(Field("turn_param", "bool"),))
    found = Schema([("strangers", block)]).message("TransformationParameter")
    Transform(found(scale=2), TRAIN)
    with pytest.raises(SourceError, match="transform_param: turn_param is for another layer"):
        Transform(found(turn_param=True), TRAIN)


def test_mean_files(tmp_path):
    blob = netdef_pb2.BlobProto(num=1, channels=2, height=1, width=2, data=[1, 2, 3, 4])
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(blob.SerializeToString())
    assert read_mean(path).tolist() == [[[1, 2]], [[3, 4]]]
    with pytest.raises(SourceError, match=r"has shape \(3, 9, 16\), but the mean in .* has \(2, 1, 2\)"):
        applied(IMAGES, mean_file=str(path))
    path.write_bytes(b"no blob")
    with pytest.raises(SourceError, match="is no mean image"):
        read_mean(path)
    write_mean(path, np.ones((3, 2, 2)))
    written = netdef_pb2.BlobProto.FromString(path.read_bytes())
    assert list(written.shape.dim) == [1, 3, 2, 2] and list(written.data) == [1] * 12


def test_an_absent_mean_says_which_command_makes_it(tmp_path):
    with pytest.raises(
        AbsentError, match=r"no file 'a\.binaryproto'.*; make it with netdef data mean DB a\.binaryproto"
    ):
        Transform(param(mean_file="a.binaryproto"), TRAIN, finder(tmp_path))


def test_declared_shapes():
    assert declared(param(crop_size=7)) == (3, 7, 7)
    assert declared(param(crop_size=7, force_gray=True), 3, (2, 2)) == (1, 7, 7)
    assert declared(param(), 1, (4, 5)) == (1, 4, 5)
    assert declared(param()) is None


def test_augmentation_is_for_training_alone():
    settings = {"random_flip_vertical": True, "random_noise": 9, "random_brightness": 50}
    np.testing.assert_array_equal(applied(IMAGES, TEST, **settings), IMAGES)
    assert not np.array_equal(applied(IMAGES, TRAIN, **settings), IMAGES)


def test_flip_vertical():
    for x, y in zip(IMAGES, applied(IMAGES, random_flip_vertical=True), strict=True):
        assert np.array_equal(y, x) or np.array_equal(y, x[:, ::-1])


def test_brightness_contrast_and_saturation_stay_in_their_bounds():
    x = np.full((200, 3, 1, 2), 100.0, np.float32)
    x[..., 1] = 140
    bright = applied(x, random_brightness=20)
    assert 15 < np.abs(bright - x).max() <= 20 and np.ptp(bright - x, axis=(1, 2, 3)).max() < 1e-4
    stretched = applied(x, random_contrast=0.5)
    np.testing.assert_allclose(stretched.mean((1, 2, 3)), 120, rtol=1e-5)
    gaps = np.ptp(stretched, axis=3)
    assert gaps.min() >= 20 and gaps.max() <= 60 and np.ptp(gaps) > 30
    np.testing.assert_allclose(applied(x, random_saturation=0.9), x, rtol=1e-5)  # gray has no colour to change
    assert applied(IMAGES, random_brightness=200).min() == 0  # bytes stay bytes


def test_noise_has_the_deviation_asked_for():
    noise = applied(np.full((4, 1, 50, 50), 100.0, np.float32), random_noise=5) - 100
    assert abs(noise.std() - 5) < 0.15 and abs(noise.mean()) < 0.15
    assert not np.array_equal(noise[0], noise[1])


def test_rotation_turns_about_the_centre():
    pytest.importorskip("cv2")
    x = np.zeros((1, 9, 9), np.float32)
    x[0, 4, 4], x[0, 4, 7] = 1, 2
    turn = Augment(param(random_rotation=90))
    y = turn(x, np.array([1, 1, 0, 0, 0.0]), 0, 0)  # a quarter turn, counterclockwise: right goes up
    assert y[0, 4, 4] == pytest.approx(1, abs=1e-3) and y[0, 1, 4] == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"scale": 0.3, "mean_value": [9, 8, 7]}, {"mirror": True, "mean_value": [3]}])
def test_one_array_of_images_gives_what_single_ones_do(settings, dtype):
    transform, found = Transform(param(**settings), TRAIN), []
    for images in (IMAGES, list(IMAGES)):
        found.append(np.empty(IMAGES.shape, dtype))
        transform.apply(images, found[-1], 5)
    np.testing.assert_array_equal(*found)
