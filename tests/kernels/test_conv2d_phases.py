"""Backward of strided convolutions: each phase of the stride sees some of the taps. Against the plain N-d path."""

import numpy as np
import pytest
from netdef_plugins.kernels import conv_nd

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
        dy = rng.standard_normal((n, m, *out)).astype("f4")
        weight = rng.standard_normal((m, c // g, *kernel)).astype("f4")
        got, want = np.full((n, c, h, w), np.nan, "f4"), np.zeros((n, c, h, w))
        conv2d.backward(dy, weight, got, stride, pad, apart, g)
        conv_nd.backward(dy.astype("f8"), weight.astype("f8"), want, stride, pad, apart, g)
        np.testing.assert_allclose(got, want, atol=1e-4, err_msg=f"{(n, c, h, w, m, g, kernel, stride, pad, apart)}")
