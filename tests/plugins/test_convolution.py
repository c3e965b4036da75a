"""Convolution, Deconvolution and Im2col against loops over every number; sizes, spellings, and what is refused."""

from itertools import product

import numpy as np
import pytest
from nets import fed

from netdef.errors import NetdefError

# image, channels, num_output, group, options, and the same as numbers: kernel, stride, pad, dilation
GEOMETRIES = {
    "square": ((6, 5), 3, 4, 1, "kernel_size: 3", (3, 3), (1, 1), (0, 0), (1, 1)),
    "rectangle": ((6, 9), 2, 3, 1, "kernel_h: 2 kernel_w: 4 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 2", (2, 4), (2, 3),
                  (1, 2), (1, 1)),
    "groups": ((7, 5), 4, 6, 2, "kernel_size: 3 dilation: 2 pad: 2", (3, 3), (1, 1), (2, 2), (2, 2)),
    "depthwise": ((5, 6), 3, 3, 3, "kernel_size: 2 stride: 3", (2, 2), (3, 3), (0, 0), (1, 1)),
    "pad_beyond_kernel": ((3, 2), 1, 2, 1, "kernel_size: 2 pad: 3 stride: 2", (2, 2), (2, 2), (3, 3), (1, 1)),
    "line": ((9,), 2, 3, 1, "kernel_size: 3 stride: 2 dilation: 2", (3,), (2,), (0,), (2,)),
    "volume": ((4, 3, 5), 2, 2, 1, "kernel_size: [2, 1, 3] stride: [1, 2, 2] pad: [1, 0, 2]", (2, 1, 3), (1, 2, 2),
               (1, 0, 2), (1, 1, 1)),
    "point": ((), 4, 2, 2, "", (), (), (), ()),
}  # fmt: skip
geometries = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def layer(kind, geometry, dtype, bias=True):
    """A net of one layer on random numbers, run forward and backward."""
    image, channels, outputs, group, options, *_ = geometry
    rng = np.random.default_rng(0)
    options += f" axis: 1 num_output: {outputs} group: {group}" if kind != "Im2col" else ""
    options += " bias_term: false" if not bias else ""
    text = f'force_backward: true layer {{ type: "{kind}" bottom: "x" top: "y" convolution_param {{ {options} }} }}'
    made = fed(text, {"x": rng.standard_normal((2, channels, *image))}, dtype=dtype)
    for parameters in made.params.values():
        for blob in parameters:
            blob.data[...] = rng.standard_normal(blob.shape)
    made.forward()
    made.blobs["y"].diff[...] = rng.standard_normal(made.blobs["y"].shape)
    made.backward()
    return made


def pairs(geometry, image, places):
    """(output, channel, the channel's row in w, position, pixel, place) of all that a convolution multiplies."""
    _, channels, outputs, group, _, kernel, stride, pad, dilation = geometry
    for o, k in product(product(*map(range, places)), product(*map(range, kernel))):
        pixel = tuple(i * s - p + j * d for i, s, p, j, d in zip(o, stride, pad, k, dilation, strict=True))
        if all(0 <= i < n for i, n in zip(pixel, image, strict=True)):
            for m, c in product(range(outputs), range(channels)):
                if m * group // outputs == c * group // channels:
                    yield m, c, c % (channels // group), k, pixel, o


@geometries
@dtypes
def test_convolution_is_the_sum_it_says(geometry, dtype):
    made = layer("Convolution", geometry, dtype)
    x, y = made.blobs["x"], made.blobs["y"]
    w, b = made.params["layer1"]
    want = np.zeros(y.shape) + b.data.reshape(-1, *[1] * (y.data.ndim - 2))
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for m, c, row, k, pixel, o in pairs(geometry, x.shape[2:], y.shape[2:]):
        want[(slice(None), m, *o)] += w.data[(m, row, *k)] * x.data[(slice(None), c, *pixel)].astype(float)
        dx[(slice(None), c, *pixel)] += w.data[(m, row, *k)] * y.diff[(slice(None), m, *o)].astype(float)
        dw[(m, row, *k)] += x.data[(slice(None), c, *pixel)].astype(float) @ y.diff[(slice(None), m, *o)]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(y.data, want, **tolerance)
    np.testing.assert_allclose(x.diff, dx, **tolerance)
    np.testing.assert_allclose(w.diff, dw, **tolerance)
    np.testing.assert_allclose(b.diff, y.diff.sum(axis=(0, *range(2, y.diff.ndim))), **tolerance)


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name != "pad_beyond_kernel"])
@dtypes
def test_deconvolution_is_the_transpose(name, dtype):
    """What a convolution of the top would multiply, the other way round."""
    image, channels, outputs, *rest = GEOMETRIES[name]
    made = layer("Deconvolution", GEOMETRIES[name], dtype, bias=False)
    x, y, (w,) = made.blobs["x"], made.blobs["y"], made.params["layer1"]
    want, dx, dw = np.zeros(y.shape), np.zeros(x.shape), np.zeros(w.shape)
    for c, m, row, k, pixel, o in pairs((image, outputs, channels, *rest), y.shape[2:], x.shape[2:]):
        want[(slice(None), m, *pixel)] += w.data[(c, row, *k)] * x.data[(slice(None), c, *o)].astype(float)
        dx[(slice(None), c, *o)] += w.data[(c, row, *k)] * y.diff[(slice(None), m, *pixel)].astype(float)
        dw[(c, row, *k)] += x.data[(slice(None), c, *o)].astype(float) @ y.diff[(slice(None), m, *pixel)]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(y.data, want, **tolerance)
    np.testing.assert_allclose(x.diff, dx, **tolerance)
    np.testing.assert_allclose(w.diff, dw, **tolerance)


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name != "point"])
def test_im2col_makes_convolution_a_matrix_product(name):
    geometry = GEOMETRIES[name]
    y = layer("Convolution", (*geometry[:3], 1, *geometry[4:]), np.float64)
    columns = layer("Im2col", geometry, np.float64)
    columns.blobs["x"].data[...] = y.blobs["x"].data
    columns.forward()
    w, b = (p.data for p in y.params["layer1"])
    product_ = np.einsum("mk,nk...->nm...", w.reshape(len(w), -1), columns.blobs["y"].data)
    product_ += b.reshape(-1, *[1] * len(geometry[0]))
    np.testing.assert_allclose(product_, y.blobs["y"].data, rtol=1e-12, atol=1e-13)


def test_the_image_may_change_between_passes():
    made = layer("Convolution", GEOMETRIES["rectangle"], np.float32)
    made.blobs["x"].reshape(1, 2, 11, 8)
    made.blobs["x"].data[...] = 1
    made.forward()
    assert made.blobs["y"].shape == (1, 3, 6, 3)


def test_a_bottom_may_need_no_gradient():
    text = """force_backward: true
    layer { type: "Convolution" bottom: "a" bottom: "b" top: "y" top: "z" propagate_down: false propagate_down: true
            convolution_param { num_output: 2 kernel_size: 2 weight_filler { type: "xavier" } } }"""
    made = fed(text, {"a": np.ones((1, 1, 3, 3)), "b": np.ones((2, 1, 2, 2))}, dtype=np.float64)
    made.forward()
    layer_ = made.layers[-1]
    made.tops[-1][0].diff[...] = made.tops[-1][1].diff[...] = 1
    layer_.backward(made.tops[-1], [False, True], made.bottoms[-1])
    assert not made.bottoms[-1][0].diff.any()
    np.testing.assert_allclose(made.bottoms[-1][1].diff[0, 0], layer_.blobs[0].data.sum(axis=(0, 1)), rtol=1e-6)


def test_cost_is_counted_in_multiply_adds():
    for kind, want in (("Convolution", 2 * 4 * 4 * 3 * 2 * 9), ("Deconvolution", 2 * 4 * 6 * 5 * 2 * 9)):
        made = layer(kind, ((6, 5), 4, 4, 2, "kernel_size: 3", (3, 3), (1, 1), (0, 0), (1, 1)), np.float32)
        assert made.layers[-1].macs([made.blobs["x"].shape], [made.blobs["y"].shape]) == want


REFUSED = {
    "kernel_size: 7": r"window \(7x7\) is larger than the image \(6x5, pad 0x0\)",
    "kernel_size: 3 dilation: 3": r"window \(7x7\) is larger",
    "kernel_size: 3 kernel_h: 3 kernel_w: 3": "both kernel_size and kernel_h",
    "kernel_h: 3": "has no kernel_size; want kernel_size, or both kernel_h and kernel_w",
    "": "has no kernel_size",
    "kernel_size: [3, 3, 3]": "has 3 kernel_size for 2 spatial axes",
    "kernel_size: 0": "kernel_size is 0x0; want at least 1",
    "kernel_size: 3 stride: 0": "stride is 0x0",
    "kernel_size: 3 group: 3": "group 3 does not divide the 4 channels",
    "kernel_size: 3 group: 4": "group 4 does not divide the 2 num_output",
    "kernel_size: 3 axis: 5": "axis is 5, the bottom has 4 axes",
    "kernel_h: 1 kernel_w: 1 axis: 0": "kernel_h and kernel_w are for 2 spatial axes, the bottom has 3",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_does_not_fit_is_refused(options):
    text = f'layer {{ type: "Convolution" bottom: "x" top: "y" convolution_param {{ num_output: 2 {options} }} }}'
    with pytest.raises(NetdefError, match=REFUSED[options]):
        fed(text, {"x": np.ones((2, 4, 6, 5))})


def test_deconvolution_refuses_pad_that_leaves_nothing():
    options = "num_output: 1 kernel_size: 2 pad: 3"
    text = f'layer {{ type: "Deconvolution" bottom: "x" top: "y" convolution_param {{ {options} }} }}'
    with pytest.raises(NetdefError, match="pad 3x3 leaves an output of -2x-1"):
        fed(text, {"x": np.ones((1, 1, 3, 4))})


def test_as_many_tops_as_bottoms():
    options = "num_output: 1 kernel_size: 1"
    text = f'layer {{ type: "Convolution" bottom: "x" top: "y" top: "z" convolution_param {{ {options} }} }}'
    with pytest.raises(NetdefError, match="has 1 bottoms for 2 tops"):
        fed(text, {"x": np.ones((1, 1, 3, 4))})
