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
    "interleaved": lambda shape: rng.integers(0, 256, (*shape[1:], shape[0])).astype(np.uint8).transpose(2, 0, 1),
    "upside down": lambda shape: rng.integers(0, 256, shape).astype(np.uint8)[:, ::-1],
}


def plain(x, y, mean, scale, mirrored):
    channels, height, width = x.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                m = np.zeros((), y.dtype) if mean is None else np.broadcast_to(mean, x.shape)[c, i, j].astype(y.dtype)
                y[c, i, width - 1 - j if mirrored else j] = (x[c, i, j].astype(y.dtype) - m) * scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 15), (3, 4, 16), (2, 3, 50)])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("image", IMAGES)
def test_write(image, mean, mirrored, shape, dtype):
    x, m, scale = IMAGES[image](shape), MEANS[mean](shape), np.float32(0.017)
    around = np.full(x.size + 64, -7, dtype)
    y, want = around[32:-32].reshape(shape), np.empty(shape, dtype)
    pixels.write(x, y, m, scale, mirrored)
    plain(x, want, m, scale, mirrored)
    np.testing.assert_array_equal(y, want)
    assert (around[:32] == -7).all() and (around[-32:] == -7).all()
