"""Pooling and SPP against loops that follow Caffe's window rule, in both float types, on any number of axes."""

from itertools import product

import numpy as np
import pytest
from nets import TEST, TRAIN, fed

from netdef.errors import NetdefError
from netdef.testing import Case, check_layer

WINDOWS = {
    "even": ((6, 4), "kernel_size: 2 stride: 2", (2, 2), (2, 2), (0, 0)),
    "overhang": ((6, 8), "kernel_size: 3 stride: 2", (3, 3), (2, 2), (0, 0)),
    "clipped": ((5, 6), "kernel_size: 2 stride: 2 pad: 1", (2, 2), (2, 2), (1, 1)),
    "padded": ((6, 7), "kernel_size: 3 stride: 2 pad: 1", (3, 3), (2, 2), (1, 1)),
    "rectangle": ((7, 6), "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0", (3, 2), (2, 1), (1, 0)),
    "global": ((5, 4), "global_pooling: true", (5, 4), (1, 1), (0, 0)),
    "larger": ((2, 3), "kernel_size: 3 stride: 2", (3, 3), (2, 2), (0, 0)),
    "apart": ((7, 9), "kernel_size: 2 stride: 3", (2, 2), (3, 3), (0, 0)),
    "empty": ((4, 5), "kernel_size: 1 stride: 2", (1, 1), (2, 2), (0, 0)),
    "large": ((20, 18), "kernel_size: 17 stride: 3 pad: 2", (17, 17), (3, 3), (2, 2)),
    "line": ((9,), "kernel_size: 3 stride: 2", (3,), (2,), (0,)),
    "volume": ((4, 5, 3), "kernel_size: 2 stride: 2 pad: 1", (2, 2, 2), (2, 2, 2), (1, 1, 1)),
}
windows = pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def layer(x, options, tops='top: "y"', phase=TRAIN, kind="Pooling", passes=1, **settings):
    """A net of one layer, run forward, and backward from 1, 2, 3 ... as the top's diff."""
    block = {"Pooling": "pooling_param", "SPP": "spp_param"}[kind]
    text = f'force_backward: true layer {{ type: "{kind}" bottom: "x" {tops} {block} {{ {options} }} }}'
    made = fed(text, {"x": x}, phase=phase, **settings)
    for _ in range(passes):
        made.forward()
    y = made.blobs["y"]
    y.diff[...] = 1 + np.arange(y.count).reshape(y.shape)
    made.backward()
    return made


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def spans(image, kernel, stride, pad, places):
    """(place, first and last + 1 pixel, first and last + 1 of the window itself) for each window."""
    for o in product(*map(range, places)):
        start = [i * s - p for i, s, p in zip(o, stride, pad, strict=True)]
        end = [min(a + k, n + p) for a, k, n, p in zip(start, kernel, image, pad, strict=True)]
        inside = [(max(a, 0), min(b, n)) for a, b, n in zip(start, end, image, strict=True)]
        yield o, inside, list(zip(start, end, strict=True))


@windows
@dtypes
def test_max_and_its_index(window, dtype):
    image, options, kernel, stride, pad = window
    x = noise(2, 3, *image).astype(dtype)
    made = layer(x, options, 'top: "y" top: "index"', dtype=dtype)
    y, index, dx = made.blobs["y"], made.blobs["index"].data, np.zeros(x.shape)
    for n, c in product(range(2), range(3)):
        for o, inside, _ in spans(image, kernel, stride, pad, y.shape[2:]):
            pixels = list(product(*(range(*span) for span in inside)))
            at = (n, c, *o)
            if not pixels:
                assert (y.data[at], index[at]) == (0, -1)
                continue
            best = max(pixels, key=lambda p: x[(n, c, *p)])
            assert y.data[at] == x[(n, c, *best)]
            assert index[at] == np.ravel_multi_index(best, image)
            dx[(n, c, *best)] += y.diff[at]
    np.testing.assert_allclose(made.blobs["x"].diff, dx, rtol=1e-6)


@windows
@dtypes
def test_average_counts_padding_and_no_overhang(window, dtype):
    image, options, kernel, stride, pad = window
    x = noise(2, 3, *image).astype(dtype)
    made = layer(x, f"pool: AVE {options}", dtype=dtype)
    y, want, dx = made.blobs["y"], np.zeros(made.blobs["y"].shape), np.zeros(x.shape)
    for o, inside, whole in spans(image, kernel, stride, pad, y.shape[2:]):
        size = np.prod([b - a for a, b in whole])
        here = (slice(None), slice(None), *(slice(*span) for span in inside))
        if x[here].size:
            want[(..., *o)] = x[here].sum(axis=tuple(range(2, x.ndim))) / size
            dx[here] += (y.diff[(..., *o)] / size).reshape(2, 3, *[1] * len(image))
    np.testing.assert_allclose(y.data, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.blobs["x"].diff, dx, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 1, 1), (4, 3, 3), (5, 3, 1)])
def test_sizes_are_rounded_up_and_clipped(size, window):
    kernel, stride, pad = window
    up = int(np.ceil((size + 2 * pad - kernel) / stride)) + 1
    down = (size + 2 * pad - kernel) // stride + 1
    if pad and (up - 1) * stride >= size + pad:
        up -= 1
    if pad and (down - 1) * stride >= size + pad:
        down -= 1
    for spelling, want in (("", up), ("round_mode: FLOOR", down), ("ceil_mode: false", down), ("ceil_mode: true", up)):
        options = f"kernel_size: {kernel} stride: {stride} pad: {pad} {spelling}"
        if want < 1:
            with pytest.raises(NetdefError, match="larger than the image"):
                layer(noise(1, 1, size, size), options)
        else:
            assert layer(noise(1, 1, size, size), options).blobs["y"].shape == (1, 1, want, want)


def test_ties_go_to_the_first_and_nan_wins():
    x = np.zeros((1, 1, 3, 4))
    assert layer(x, "kernel_size: 3", 'top: "y" top: "index"').blobs["index"].data.tolist() == [[[[0, 1]]]]
    x[0, 0, 1, 1] = np.nan
    for shape, dtype in product(((1, 1, 3, 4), (1, 1, 1, 3, 4)), (np.float32, np.float64)):
        y = layer(x.reshape(shape), "kernel_size: 2 pad: 1", dtype=dtype).blobs["y"].data
        assert np.isnan(y[..., 1:3, 1:3]).all()
        assert not np.isnan(y[..., 0]).any()


def test_minus_infinity_is_a_number_like_others():
    x = np.full((1, 1, 3, 3), -np.inf)
    made = layer(x, "kernel_size: 2 stride: 2 pad: 1", 'top: "y" top: "index"')
    assert (made.blobs["y"].data == -np.inf).all()
    assert (made.blobs["index"].data >= 0).all()


def test_the_winner_is_kept_in_a_byte():
    made = layer(noise(2, 3, 9, 9), "kernel_size: 3 stride: 2")
    assert made.layers[-1].winner.dtype == np.uint8
    assert made.layers[-1].reads == ()


def test_a_global_window_follows_the_image():
    made = layer(noise(2, 3, 5, 4), "pool: AVE global_pooling: true")
    made.blobs["x"].reshape(1, 3, 7, 2)
    made.blobs["x"].data[...] = x = noise(1, 3, 7, 2)
    made.forward()
    np.testing.assert_allclose(made.blobs["y"].data[..., 0, 0], x.mean(axis=(2, 3)), rtol=1e-5)


def test_stochastic_draws_in_proportion():
    x = np.tile(np.array([[1.0, 0, 2], [0, 3, 4]]), (1, 20000, 1, 1))
    made = layer(x, "pool: STOCHASTIC kernel_h: 2 kernel_w: 3", dtype=np.float64)
    y = made.blobs["y"].data.ravel()
    for value, probability in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)):
        assert abs((y == value).mean() - probability) < 0.02
    dx = made.blobs["x"].diff
    np.testing.assert_array_equal(dx.sum(axis=(2, 3)), made.blobs["y"].diff[..., 0, 0])
    np.testing.assert_array_equal((dx * x).sum(axis=(2, 3)), (made.blobs["y"].diff * made.blobs["y"].data)[..., 0, 0])


def test_stochastic_is_drawn_anew_each_pass_and_again_from_the_same_seed():
    x, options = np.abs(noise(1, 50, 6, 6)), "pool: STOCHASTIC kernel_size: 2 stride: 2"
    first, again, second = (layer(x, options, passes=k).blobs["y"].data for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_stochastic_gives_the_expectation_in_test():
    x = np.abs(noise(1, 2, 5, 4))
    x[0, 0] = 0
    y = layer(x, "pool: STOCHASTIC kernel_size: 5 stride: 3", phase=TEST).blobs["y"].data
    assert y.shape == (1, 2, 1, 1)
    np.testing.assert_allclose(y.ravel(), [0, (x[0, 1] ** 2).sum() / x[0, 1].sum()], rtol=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_onnx_agrees_on_odd_shapes(seed):
    rng = np.random.default_rng(seed)
    k, s, (h, w) = rng.integers(1, 6, 2), rng.integers(1, 5, 2), rng.integers(5, 13, 2)
    p = rng.integers(0, k)
    size = f"kernel_h: {k[0]} kernel_w: {k[1]} stride_h: {s[0]} stride_w: {s[1]} pad_h: {p[0]} pad_w: {p[1]}"
    for pool, mode in product(("MAX", "AVE"), ("CEIL", "FLOOR")):
        layer_ = f'bottom: "x" top: "y" pooling_param {{ pool: {pool} {size} round_mode: {mode} }}'
        shape = f"shape {{ dim: 2 dim: 3 dim: {h} dim: {w} }}"
        text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ {shape} }} }}'
        check_layer(Case(f"{pool} {size}", f'{text} layer {{ name: "l" type: "Pooling" {layer_} }}', gradient=False))


REFUSED = {
    "": "has no kernel_size",
    "kernel_size: 2 kernel_h: 2 kernel_w: 2": "both kernel_size and kernel_h",
    "kernel_h: 2": "want kernel_size, or both kernel_h and kernel_w",
    "kernel_size: 3 stride_h: 1": "has no stride; want stride, or both stride_h and stride_w",
    "kernel_size: 2 pad: 2": r"pad \(2, 2\) is not smaller than the kernel \(2, 2\)",
    "kernel_size: 9": r"kernel \(9, 9\) is larger than the image \(4, 5\)",
    "global_pooling: true kernel_size: 2": "both global_pooling and a kernel",
    "global_pooling: true stride: 2": "want stride 1 and pad 0",
    "pool: STOCHASTIC kernel_size: 3 pad: 1": r"STOCHASTIC has pad \(1, 1\); want 0",
    "kernel_size: 2 round_mode: FLOOR ceil_mode: true": "contradicts",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_does_not_fit_is_refused(options):
    with pytest.raises(NetdefError, match=REFUSED[options]):
        layer(noise(1, 2, 4, 5), options)


def test_only_max_has_indices_and_an_image_has_a_size():
    with pytest.raises(NetdefError, match="for MAX only"):
        layer(noise(1, 2, 4, 5), "pool: AVE kernel_size: 2", 'top: "y" top: "index"')
    with pytest.raises(NetdefError, match=r"shape is \(2, 4\); want \(number, channels, height, width\)"):
        layer(noise(2, 4), "kernel_size: 2")


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_spp_joins_poolings(pool):
    x = noise(2, 3, 9, 8)
    made = layer(x, f"pyramid_height: 3 pool: {pool}", kind="SPP", dtype=np.float64)
    parts = [
        layer(x, f"pool: {pool} {size}", dtype=np.float64).blobs["y"].data.reshape(2, -1)
        for size in (
            "kernel_h: 9 kernel_w: 8 stride_h: 9 stride_w: 8",
            "kernel_h: 5 kernel_w: 4 stride_h: 5 stride_w: 4 pad_h: 1 pad_w: 0",
            "kernel_h: 3 kernel_w: 2 stride_h: 3 stride_w: 2 pad_h: 2 pad_w: 0",
        )
    ]
    np.testing.assert_array_equal(made.blobs["y"].data, np.concatenate(parts, axis=1))


def test_spp_is_as_long_for_any_image():
    made = layer(noise(2, 3, 8, 8), "pyramid_height: 3", kind="SPP")
    for image in ((9, 12), (21, 16), (8, 8)):
        made.blobs["x"].reshape(1, 3, *image)
        made.forward()
        assert made.blobs["y"].shape == (1, 3 * (1 + 4 + 16))


def test_spp_refuses_windows_without_a_pixel():
    with pytest.raises(NetdefError, match=r"cuts an image of \(3, 5\) into 4 x 4 windows"):
        layer(noise(1, 1, 3, 5), "pyramid_height: 3", kind="SPP")
    with pytest.raises(NetdefError, match="pyramid_height is 0"):
        layer(noise(1, 1, 3, 5), "", kind="SPP")
