"""LRN against loops; BatchNorm's statistics step by step; what MVN leaves of a mean and a variance."""

import numpy as np
import pytest
from nets import TEST, TRAIN, fed

from netdef.errors import NetdefError


def layer(x, kind, options="", phase=TRAIN, block=None, **settings):
    """A net of one layer, run forward."""
    block = block or {"LRN": "lrn_param", "BatchNorm": "batch_norm_param", "MVN": "mvn_param"}[kind]
    text = f'force_backward: true layer {{ name: "l" type: "{kind}" bottom: "x" top: "y" {block} {{ {options} }} }}'
    made = fed(text, {"x": x}, phase=phase, **settings)
    made.forward()
    return made


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("size", "channels"), [(5, 7), (3, 4), (1, 3), (9, 3), (5, 1)])
def test_lrn_across_channels(size, channels, dtype):
    x = noise(2, channels, 3, 2)
    y = layer(x, "LRN", f"local_size: {size} alpha: 0.7 beta: 0.6 k: 2", dtype=dtype).blobs["y"].data
    for c in range(channels):
        near = x[:, max(0, c - size // 2) : c + size // 2 + 1]
        want = x[:, c] * (2 + 0.7 / size * (near**2).sum(axis=1)) ** -0.6
        np.testing.assert_allclose(y[:, c], want, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("size", "image"), [(3, (5, 6)), (5, (4, 4)), (7, (2, 3))])
def test_lrn_within_a_channel(size, image, dtype):
    x, r = noise(2, 2, *image), size // 2
    options = f"local_size: {size} alpha: 0.7 beta: 0.6 k: 9 norm_region: WITHIN_CHANNEL"
    y = layer(x, "LRN", options, dtype=dtype).blobs["y"].data
    for h, w in np.ndindex(*image):
        near = x[:, :, max(0, h - r) : h + r + 1, max(0, w - r) : w + r + 1]
        want = x[:, :, h, w] * (1 + 0.7 / size**2 * (near**2).sum(axis=(2, 3))) ** -0.6
        np.testing.assert_allclose(y[:, :, h, w], want, rtol=1e-5)


def test_lrn_refuses_an_even_size_and_a_matrix():
    with pytest.raises(NetdefError, match="local_size is 4; want an odd number"):
        layer(noise(1, 3, 2, 2), "LRN", "local_size: 4")
    with pytest.raises(NetdefError, match=r"shape is \(3, 4\); want \(number, channels, height, width\)"):
        layer(noise(3, 4), "LRN")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_remembers_what_it_sees(dtype):
    fraction, mean, variance, factor = 0.9, 0, 0, 0
    made = layer(noise(4, 3, 2, 5), "BatchNorm", "moving_average_fraction: 0.9 eps: 0.1", dtype=dtype)
    for step in range(3):
        made.blobs["x"].data[...] = x = np.random.default_rng(step).normal(step, 2, (4, 3, 2, 5))
        if step:
            made.forward()
        else:
            for blob in made.params["l"]:
                blob.data[...] = 0
            made.forward()
        mean = fraction * mean + x.mean(axis=(0, 2, 3))
        variance = fraction * variance + x.var(axis=(0, 2, 3), ddof=1)
        factor = fraction * factor + 1
        for blob, want in zip(made.params["l"], (mean, variance, factor), strict=True):
            np.testing.assert_allclose(blob.data, want, rtol=1e-5, atol=1e-6)
        want = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 0.1)
        np.testing.assert_allclose(made.blobs["y"].data, want, rtol=1e-4, atol=1e-5)


def test_batch_norm_divides_by_the_factor_in_test():
    x = noise(2, 3, 4)
    made = layer(x, "BatchNorm", "eps: 0.01", TEST)
    np.testing.assert_allclose(made.blobs["y"].data, x / 0.1, rtol=1e-5)  # factor 0: mean 0, variance 0
    for blob, value in zip(made.params["l"], ([2, 4, 6], [8, 18, 32], 2), strict=True):
        blob.data[...] = value
    made.forward()
    want = (x - np.array([1, 2, 3])[:, None]) / np.sqrt(np.array([4, 9, 16])[:, None] + 0.01)
    np.testing.assert_allclose(made.blobs["y"].data, want, rtol=1e-4, atol=1e-6)


def test_batch_norm_statistics_are_never_stepped_and_cannot_be():
    made = layer(noise(2, 3, 4), "BatchNorm")
    assert [p.lr_mult for p in made.parameters] == [0, 0, 0]
    assert [p.shape for p in made.params["l"]] == [(3,), (3,), (1,)]
    made.blobs["y"].diff[...] = 1
    before = [blob.data.copy() for blob in made.params["l"]]
    made.backward()
    assert not any(blob.diff.any() for blob in made.params["l"])
    for blob, data in zip(made.params["l"], before, strict=True):
        np.testing.assert_array_equal(blob.data, data)


def test_a_single_number_has_no_variance():
    made = layer(noise(1, 3, 1, 1), "BatchNorm")
    assert not made.blobs["y"].data.any()
    assert np.isfinite(made.params["l"][1].data).all()


def test_batch_norm_needs_nothing_where_statistics_are_fixed():
    assert layer(noise(2, 3), "BatchNorm", phase=TEST).layers[-1].reads == ()
    assert layer(noise(2, 3), "BatchNorm", phase=TRAIN).layers[-1].reads == ("top",)
    assert layer(noise(2, 3), "BatchNorm", "use_global_stats: true", TRAIN).layers[-1].reads == ()


def test_batch_norm_refuses_other_channels():
    made = layer(noise(2, 3, 4), "BatchNorm")
    made.blobs["x"].reshape(2, 4, 4)
    with pytest.raises(NetdefError, match="want 3 channels on axis 1"):
        made.forward()


@pytest.mark.parametrize(("options", "axes"), [("", (2, 3)), ("across_channels: true", (1, 2, 3))])
def test_mvn(options, axes):
    x = noise(2, 3, 4, 5) * 3 + 1
    centred = x - x.mean(axis=axes, keepdims=True)
    y = layer(x, "MVN", f"{options} eps: 0.5").blobs["y"].data
    np.testing.assert_allclose(y, centred / (x.std(axis=axes, keepdims=True) + 0.5), rtol=1e-4, atol=1e-6)
    y = layer(x, "MVN", f"{options} normalize_variance: false").blobs["y"].data
    np.testing.assert_allclose(y, centred, rtol=1e-4, atol=1e-5)


def test_mvn_of_a_constant_is_zero_and_so_is_its_gradient_along_it():
    made = layer(np.full((1, 2, 3, 3), 4.0), "MVN", dtype=np.float64)
    made.blobs["y"].diff[...] = 1
    made.backward()
    assert not made.blobs["y"].data.any()
    np.testing.assert_allclose(made.blobs["x"].diff, 0, atol=1e-3)
