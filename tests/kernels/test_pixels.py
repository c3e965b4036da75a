"""Images of bytes into floats, against a plain loop."""

import numpy as np
import pytest
from netdef_plugins.kernels import pixels

rng = np.random.default_rng(3)
MEANS = {
    "none": lambda shape: None,
    "one": lambda shape: np.full((1, 1, 1), 33.5, np.float32),
    "channels": lambda shape: rng.random((shape[0], 1, 1)).astype(np.float32) * 200,
    "image": lambda shape: rng.random((shape[0], 40, 60)).astype(np.float32)[:, 3 : 3 + shape[1], 5 : 5 + shape[2]],
}
IMAGES = {
    "planes": lambda shape: rng.integers(0, 256, shape).astype(np.uint8),
    "window": lambda shape: rng.integers(0, 256, (shape[0], 40, 60)).astype(np.uint8)[:, 2:, 7:][
        :, : shape[1], : shape[2]
    ],
    "upside down": lambda shape: rng.integers(0, 256, shape).astype(np.uint8)[:, ::-1],
}


def plain(x, y, mean, scale, mirrored):
    channels, height, width = x.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                m = np.float32(0) if mean is None else np.broadcast_to(mean, x.shape)[c, i, j].astype(np.float32)
                y[c, i, width - 1 - j if mirrored else j] = (x[c, i, j].astype(np.float32) - m) * scale


@pytest.mark.parametrize("shape", [(1, 1, 16), (3, 4, 17), (2, 3, 50), (3, 5, 32)])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("image", IMAGES)
def test_write(image, mean, mirrored, shape):
    x, m, scale = IMAGES[image](shape), MEANS[mean](shape), np.float32(0.017)
    around = np.full(x.size + 64, -7, np.float32)
    y, want = around[32:-32].reshape(shape), np.empty(shape, np.float32)
    pixels.write(x, y, m, scale, mirrored)
    plain(x, want, m, scale, mirrored)
    np.testing.assert_array_equal(y, want)
    assert (around[:32] == -7).all() and (around[-32:] == -7).all()


def test_only_what_it_can_do_faster_is_taken():
    x, y = np.zeros((3, 64, 64), np.uint8), np.zeros((3, 64, 64), np.float32)
    assert pixels.takes(x, y) and pixels.takes(x[:, 1:, 2:], y)
    assert not pixels.takes(x, y.astype(np.float64))
    assert not pixels.takes(x.transpose(0, 2, 1), y) and not pixels.takes(x[:, :, ::-1], y)
    assert not pixels.takes(x[:, :9, :9], y) and not pixels.takes(np.zeros((3, 9999, 3), np.uint8), y)
