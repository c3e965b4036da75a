"""Backward of strided convolutions: each phase of the stride sees some of the taps. Against the plain N-d path."""

import numpy as np
import pytest
from netdef_plugins.kernels import conv_nd, scatter_plan

conv2d = pytest.importorskip("netdef_plugins.kernels.conv2d")


def test_any_stride_kernel_pad_and_dilation() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        pick = lambda low, high: int(rng.integers(low, high))  # noqa: E731
        n, g = pick(1, 3), pick(1, 4)
        c, m, h, w = g * pick(1, 9), g * pick(1, 9), pick(1, 24), pick(1, 80)
        kernel, stride, pad, apart = ((pick(*r), pick(*r)) for r in ((1, 5), (1, 6), (0, 3), (1, 4)))
        ways = zip((h, w), kernel, stride, pad, apart, strict=True)
        out = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in ways]
        if min(out) < 1:
            continue
        check(rng, (n, m, *out), (m, c // g, *kernel), (n, c, h, w), stride, pad, apart, g)


def check(rng, given, weights, image, stride, pad, apart, group) -> None:
    dy, weight = (rng.standard_normal(shape).astype("f4") for shape in (given, weights))
    got, want = np.full(image, np.nan, "f4"), np.zeros(image)
    conv2d.backward(dy, weight, got, stride, pad, apart, group)
    conv_nd.backward(dy.astype("f8"), weight.astype("f8"), want, stride, pad, apart, group)
    np.testing.assert_allclose(
        got, want, atol=4e-6 * abs(want).max(), err_msg=f"{given, weights, image, stride, pad, apart, group}"
    )


@pytest.mark.parametrize(
    ("given", "weights", "image", "stride", "pad", "apart", "group"),
    [
        ((2, 64, 56, 60), (64, 3, 7, 7), (2, 3, 112, 120), (2, 2), (3, 3), (1, 1), 1),  # images, in bands
        ((1, 24, 21, 29), (24, 3, 11, 11), (1, 3, 95, 128), (4, 4), (2, 2), (1, 1), 1),  # pixels that no tap meets
        ((1, 12, 90, 30), (12, 1, 3, 16), (1, 1, 90, 43), (1, 1), (1, 1), (1, 1), 1),
        ((1, 48, 40, 33), (48, 4, 5, 3), (1, 4, 136, 100), (3, 3), (1, 2), (5, 2), 1),
        ((3, 40, 30, 31), (40, 2, 5, 5), (3, 4, 26, 27), (1, 1), (4, 4), (2, 2), 2),
        (
            (1, 600, 8, 8),
            (600, 40, 6, 6),
            (1, 40, 13, 13),
            (1, 1),
            (0, 0),
            (1, 1),
            1,
        ),  # more channels than meet at once
    ],
)
def test_tap_by_tap(given, weights, image, stride, pad, apart, group) -> None:
    """What a few channels, or few pixels, are spread by."""
    kernel, channels = weights[2:], given[1] // group
    assert scatter_plan.suits(kernel, stride, channels, weights[1], given[2:], image[2:])
    check(np.random.default_rng(0), given, weights, image, stride, pad, apart, group)
