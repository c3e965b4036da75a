"""caffe.io against the arithmetic it stands for."""

import numpy as np
import pytest

from netdef.pycaffe import io


def test_preprocess_is_the_chain_of_its_steps() -> None:
    rng = np.random.default_rng(0)
    image, mean = rng.random((5, 6, 3)), np.array([1.0, 2.0, 3.0])
    t = io.Transformer({"data": (1, 3, 5, 6)})
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", mean)
    t.set_input_scale("data", 0.017)
    want = (image[:, :, ::-1].transpose(2, 0, 1) * 255 - mean[:, None, None]) * 0.017
    got = t.preprocess("data", image)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(t.deprocess("data", got), image, atol=1e-5)


@pytest.mark.parametrize("wrong", ["transpose", "swap", "mean", "input"])
def test_what_does_not_fit_is_refused(wrong: str) -> None:
    t = io.Transformer({"data": (1, 3, 5, 6)})
    calls = {
        "transpose": lambda: t.set_transpose("data", (1, 0)),
        "swap": lambda: t.set_channel_swap("data", (1, 0)),
        "mean": lambda: t.set_mean("data", np.zeros(4)),
        "input": lambda: t.set_raw_scale("image", 1),
    }
    with pytest.raises(ValueError, match=r"data|mean|image"):
        calls[wrong]()


def test_oversample_takes_corners_centre_and_mirrors() -> None:
    image = np.arange(4 * 6, dtype=np.float32).reshape(4, 6, 1)
    crops = io.oversample([image], (2, 4))
    assert crops.shape == (10, 2, 4, 1)
    np.testing.assert_array_equal(crops[0], image[:2, :4])
    np.testing.assert_array_equal(crops[3], image[2:, 2:])
    np.testing.assert_array_equal(crops[4], image[1:3, 1:5])
    np.testing.assert_array_equal(crops[9], image[1:3, 1:5][:, ::-1])


def test_messages_hold_arrays() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(io.blobproto_to_array(io.array_to_blobproto(x)), x)
    pixels = (x * 50 + 100).astype(np.uint8)
    datum = io.array_to_datum(pixels, 7)
    assert datum.label == 7
    np.testing.assert_array_equal(io.datum_to_array(datum), pixels)


def test_a_vector_of_arrays() -> None:
    arrays = [np.ones((2, 3), np.float32), np.zeros(4, np.float32)]
    again = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(arrays))
    assert [a.tolist() for a in again] == [a.tolist() for a in arrays]


def test_images_are_rgb_from_zero_to_one(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra")
    blue = np.zeros((4, 6, 3), np.uint8)
    blue[:, :, 0] = 255  # OpenCV's order is BGR
    cv2.imwrite(str(tmp_path / "blue.png"), blue)
    image = io.load_image(tmp_path / "blue.png")
    assert image.shape == (4, 6, 3) and image[0, 0].tolist() == [0, 0, 1]
    assert io.resize_image(image, (8, 3)).shape == (8, 3, 3)
