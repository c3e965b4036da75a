"""Classifier and Detector: what the net would have given for the crops, prepared by hand."""

import numpy as np
import pytest

from netdef.errors import NetdefError

cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra")

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 4 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 1 } } }
"""
PREPARE = {"mean": np.array([1.0, 2.0, 3.0]), "raw_scale": 255, "channel_swap": (2, 1, 0), "input_scale": 0.5}


@pytest.fixture
def files(folder, caffe):
    (folder / "images.prototxt").write_text(NET)
    caffe.Net("images.prototxt", caffe.TEST).save("images.caffemodel")
    return "images.prototxt", "images.caffemodel"


def by_hand(net, crops):
    """Scores of crops (height, width, RGB) of the input's size, by the weights and the steps of PREPARE."""
    w, b = (blob.data for blob in net.params["ip"])
    x = [(c[:, :, ::-1].transpose(2, 0, 1) * 255 - PREPARE["mean"][:, None, None]) * 0.5 for c in crops]
    return np.reshape(x, (len(x), -1)) @ w.T + b


def test_the_centre_and_the_mean_over_ten_crops(caffe, files):
    net = caffe.Classifier(*files, image_dims=(6, 8), **PREPARE)
    images = list(np.random.default_rng(0).random((5, 6, 8, 3)).astype("f4"))
    centre = [image[1:5, 2:6] for image in images]
    np.testing.assert_allclose(net.predict(images, oversample=False), by_hand(net, centre), rtol=1e-4, atol=1e-3)
    ten = [by_hand(net, caffe.io.oversample([image], (4, 4))).mean(0) for image in images]
    np.testing.assert_allclose(net.predict(images), ten, rtol=1e-4, atol=1e-3)
    assert net.image_dims == (6, 8) and net.crop_dims.tolist() == [4, 4]


def test_images_are_made_the_input_s_size(caffe, files):
    net = caffe.Classifier(*files)
    image = np.random.default_rng(1).random((9, 7, 3)).astype("f4")
    small = caffe.io.resize_image(image, (4, 4))
    np.testing.assert_array_equal(net.predict([image], False), net.predict([small], False))


def test_windows_of_an_image(caffe, folder, files):
    rng = np.random.default_rng(2)
    cv2.imwrite("a.png", rng.integers(0, 256, (12, 10, 3), np.uint8))
    image = caffe.io.load_image("a.png")
    net = caffe.Detector(*files, **PREPARE)
    found = net.detect_windows([("a.png", [(2, 3, 6, 7), (0, 0, 4, 4)]), ("a.png", [(8, 6, 12, 10)])])
    want = by_hand(net, [image[2:6, 3:7], image[:4, :4], image[8:, 6:]])
    np.testing.assert_allclose([one["prediction"] for one in found], want, rtol=1e-4, atol=1e-3)
    assert [one["filename"] for one in found] == ["a.png"] * 3
    assert found[2]["window"] == (8, 6, 12, 10)
    assert net.detect_windows([]) == []


def test_what_is_around_a_window_and_outside_the_image(caffe, files):
    net = caffe.Detector(*files, context_pad=1, **PREPARE)
    image = np.random.default_rng(3).random((8, 8, 3)).astype("f4")
    inner = net.crop(image, (3, 3, 5, 5))  # 2 x 2 and as much again around it, in 4 x 4
    np.testing.assert_allclose(net.transformer.preprocess("data", inner).shape, (3, 4, 4))
    assert inner.min() >= image.min() - 1e-6 and inner.max() <= image.max() + 1e-6
    corner = net.crop(image, (0, 0, 2, 2))
    assert net.transformer.preprocess("data", corner)[:, 0] == pytest.approx(0, abs=1e-4)
    assert np.abs(net.transformer.preprocess("data", corner)[:, 2:, 2:]).max() > 1


def test_windows_outside_the_image_are_refused(caffe, files):
    image = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(NetdefError, match="has no pixel of an image of 8x8"):
        caffe.Detector(*files).crop(image, (9, 0, 10, 4))
    with pytest.raises(NetdefError, match="is not within an image of 8x8"):
        caffe.Detector(*files, context_pad=1).crop(image, (0, 0, 4, 9))
    with pytest.raises(NetdefError, match="detect_windows"):
        caffe.Detector(*files).detect_selective_search(["a.png"])
