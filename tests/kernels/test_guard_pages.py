"""Kernels on arrays that end where memory ends: whoever reads or writes past one is killed."""

import os
import subprocess
import sys

import pytest
from netdef_plugins.kernels import host

RUN = """
import ctypes, mmap, sys
import numpy as np
from netdef_plugins.kernels import conv2d, inner, lrn, norm, pool2d, rules, softmax, thin_plan, threads, window_plan

libc, page, known = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []
rng = np.random.default_rng(0)

def empty(shape, dtype="f4", value=np.nan):
    # Pages of its own, full of `value`, and the first byte behind the array in one that nobody may touch.
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = -(-size // page) * page
    memory = mmap.mmap(-1, whole + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + whole), ctypes.c_size_t(page), 0) == 0
    known.append(memory)
    array = np.frombuffer(memory, np.uint8, size, whole - size).view(dtype).reshape(shape)
    array.fill(0 if array.dtype == np.uint8 else value)
    return array

def full(*shape):
    array = empty(shape)
    array[...] = rng.standard_normal(shape)
    return array

threads.scratch = lambda name, floats: empty(floats)

def convolve(x, w, pad, stride, group):
    shape = [-(-(x[2 + i] + 2 * pad - w[2 + i] + 1) // stride) for i in range(2)]
    images, taps, bias, y = full(*x), full(*w), full(w[0]), empty((x[0], w[0], *shape))
    how = (stride, stride), (pad, pad), (1, 1), group
    conv2d.forward(images, taps, bias, y, *how)
    dx, dw, db = empty(x), full(*w), full(w[0])
    conv2d.backward(y, taps, dx, *how)
    conv2d.update(y, images, dw, db, *how)
    return y, dx, dw, db

def dilated(x, w, pad, dilation):
    shape = [x[2 + i] + 2 * pad - dilation * (w[2 + i] - 1) for i in range(2)]
    images, taps, y, dx, dw = full(*x), full(*w), empty((x[0], w[0], *shape)), empty(x), full(*w)
    how = (1, 1), (pad, pad), (dilation, dilation), 1
    conv2d.forward(images, taps, None, y, *how)
    conv2d.backward(y, taps, dx, *how)
    conv2d.update(y, images, dw, full(w[0]), *how)
    return y, dx, dw

def many(*case):
    window_plan.SOME, thin_plan.FEW = 1, 0
    return convolve(*case)

def pool(x, kernel, stride, pad):
    shape = [-(-(x[2 + i] + 2 * pad[i] - kernel[i]) // stride[i]) + 1 for i in range(2)]
    images, y, means = full(*x), empty((*x[:2], *shape)), empty((*x[:2], *shape))
    winner, dx, other = empty(y.shape, "u1"), empty(x), empty(x)
    pool2d.max_forward(images, y, winner, kernel, stride, pad)
    pool2d.average_forward(images, means, kernel, stride, pad)
    pool2d.max_backward(y, winner, dx, kernel, stride, pad)
    pool2d.average_backward(means, other, kernel, stride, pad)
    return y, means, dx, other

def multiply(n, m, k):
    x, w, y, dx, dw = full(n, k), full(m, k), empty((n, m)), empty((n, k)), full(m, k)
    inner.dots(x, w, y, full(m), relu=True)
    inner.mix(y, w, dx)
    inner.update(y, x, dw)
    return y, dx, dw

def pointwise(*shape):
    x, y, dx = full(*shape), empty(shape), [empty(shape) for _ in range(3)]
    lrn.across(x, y, 5, 0.1, 0.75)
    lrn.across_backward(y, x, dx[0], 5, 0.1, 0.75)
    lrn.within(x, y, 3, 0.1, 0.75)
    lrn.within_backward(y, x, dx[1], 3, 0.1, 0.75)
    softmax.forward(x.reshape(*shape[:2], -1), y.reshape(*shape[:2], -1))
    g, b, w, memory = full(shape[1]), full(shape[1]), full(*shape), full(*shape)
    norm.batch(x, y, g, b, 1e-5)
    norm.scale(x, g, b, y, relu=True)
    norm.batch_backward(x, y, b, dx[2], 1e-5)
    rules.sgd(w, x, memory, (1.0, 0.1, 0.0), 0.1, 0.9)
    return y, *dx, w, memory

for call, *given in CASES:
    for result in globals()[call](*given):
        assert np.isfinite(result).all(), (call, given)
"""
CASES = {
    "odd convolutions": [
        ("convolve", (2, 3, 7, 5), (5, 3, 3, 2), 0, 2, 1), ("convolve", (1, 17, 13, 19), (18, 17, 3, 3), 1, 1, 1),
        ("convolve", (2, 6, 9, 11), (6, 3, 5, 5), 2, 1, 2), ("convolve", (3, 5, 6, 35), (7, 5, 1, 1), 0, 1, 1),
        ("convolve", (1, 9, 10, 37), (9, 1, 3, 3), 1, 2, 9), ("convolve", (1, 33, 15, 14), (20, 33, 5, 5), 2, 1, 1),
        ("convolve", (1, 2, 23, 70), (3, 2, 7, 7), 3, 4, 1), ("convolve", (2, 33, 14, 13), (70, 33, 3, 3), 1, 1, 1),
        ("convolve", (1, 40, 9, 13), (13, 40, 3, 3), 1, 2, 1), ("convolve", (2, 12, 19, 37), (9, 4, 3, 3), 1, 1, 3),
        ("convolve", (4, 50, 17, 16), (300, 50, 1, 1), 0, 1, 1), ("convolve", (3, 69, 13, 11), (21, 23, 1, 1), 0, 1, 3),
        ("convolve", (1, 4, 9, 18), (8, 1, 3, 3), 1, 1, 4), ("convolve", (2, 6, 16, 35), (6, 2, 5, 5), 2, 2, 3),
        ("convolve", (2, 6, 9, 35), (4, 3, 1, 1), 0, 2, 2),
        ("convolve", (2, 3, 7, 37), (3, 1, 5, 5), 2, 1, 3), ("convolve", (1, 3, 41, 29), (3, 1, 13, 12), 4, 8, 3),
        ("convolve", (1, 3, 18, 35), (6, 1, 4, 4), 1, 2, 3), ("convolve", (2, 8, 17, 35), (12, 4, 3, 3), 1, 1, 2),
        ("convolve", (2, 24, 15, 19), (24, 12, 3, 3), 1, 2, 2), ("convolve", (1, 3, 7, 7), (3, 1, 3, 3), 1, 1, 3),
        ("convolve", (2, 6, 6, 7), (12, 2, 3, 3), 1, 1, 3), ("convolve", (2, 8, 17, 35), (12, 4, 3, 3), 1, 2, 2),
        ("convolve", (2, 6, 41, 29), (4, 3, 13, 12), 4, 8, 2), ("convolve", (3, 3, 40, 43), (5, 3, 11, 11), 2, 4, 1),
        ("convolve", (1, 5, 14, 14), (5, 1, 5, 5), 2, 2, 5), ("convolve", (9, 33, 12, 13), (34, 33, 5, 5), 0, 1, 1),
        ("convolve", (1, 3, 25, 23), (17, 3, 3, 3), 1, 1, 1), ("convolve", (2, 2, 47, 30), (30, 2, 7, 5), 3, 3, 1),
    ],
    "packed weights": [
        ("convolve", (2, 70, 25, 23), (21, 70, 4, 4), 1, 1, 1), ("convolve", (2, 38, 31, 30), (19, 38, 3, 3), 1, 2, 1),
        ("convolve", (2, 42, 43, 40), (38, 21, 3, 3), 0, 2, 2), ("convolve", (1, 21, 64, 67), (37, 21, 2, 2), 0, 3, 1),
        ("convolve", (3, 78, 13, 15), (260, 39, 1, 1), 0, 1, 2),
        ("convolve", (2, 70, 29, 33), (150, 70, 1, 1), 0, 2, 1),
    ],
    "few outputs": [
        ("convolve", (1, 130, 9, 70), (2, 130, 3, 3), 1, 1, 1), ("convolve", (2, 96, 70, 69), (3, 96, 2, 4), 0, 1, 1),
    ],
    "few pixels": [
        ("many", (1, 9, 12, 11), (21, 9, 4, 5), 0, 1, 1), ("many", (3, 6, 9, 10), (10, 3, 4, 3), 2, 2, 2),
        ("many", (2, 35, 7, 9), (19, 35, 1, 1), 0, 1, 1), ("many", (1, 2, 5, 40), (5, 2, 2, 18), 1, 1, 1),
    ],
    "far taps": [("dilated", (1, 11, 60, 33), (13, 11, 3, 3), 16, 16), ("dilated", (2, 3, 20, 19), (4, 3, 3, 2), 5, 6)],
    "odd poolings": [
        ("pool", (2, 3, 7, 5), (3, 3), (2, 2), (0, 0)), ("pool", (1, 3, 9, 66), (2, 3), (4, 4), (0, 1)),
        ("pool", (1, 2, 10, 40), (3, 2), (2, 3), (1, 0)), ("pool", (3, 1, 13, 35), (3, 3), (1, 1), (1, 1)),
        ("pool", (1, 1, 1, 1), (1, 1), (1, 1), (0, 0)), ("pool", (1, 3, 7, 7), (3, 3), (1, 1), (1, 1)),
        ("pool", (1, 3, 14, 16), (3, 3), (2, 2), (0, 0)), ("pool", (1, 3, 6, 8), (2, 2), (2, 2), (0, 0)),
        ("pool", (1, 1, 9, 67), (3, 3), (2, 2), (0, 0)), ("pool", (1, 2, 6, 38), (2, 2), (2, 2), (0, 0)),
    ],
    "small batches": [("multiply", 4, 67, 131), ("multiply", 23, 49, 67), ("multiply", 24, 65, 64)],
    "larger batches": [("multiply", 49, 67, 131), ("multiply", 130, 8, 16), ("multiply", 64, 33, 257)],
    "every element": [("pointwise", 2, 7, 5, 9), ("pointwise", 1, 33, 3, 61), ("pointwise", 3, 2, 1, 2)],
}  # fmt: skip


HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+lzcnt"}


def check(name: str, **processor: str) -> None:
    """On one thread: another's scratch would only hide what passes the end of its own."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NETDEF_NUM_THREADS": "1"} | processor
    code = [sys.executable, "-X", "faulthandler", "-c", f"CASES = {CASES[name]!r}\n{RUN}"]
    run = subprocess.run(code, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", CASES)
def test_kernels_stay_within_their_arrays_and_read_nothing_that_was_not_written(name):
    check(name)


@pytest.mark.parametrize("name", ["small batches", "odd convolutions", "packed weights"])
def test_kernels_for_eight_lanes_do_so_too(name):
    """Tiles of six rows do not divide an item's there, and taps outnumber the registers."""
    able = set(host.features().split(","))
    if not able >= {"+avx2", "+fma", "+bmi2"}:
        pytest.skip("a processor without AVX2")
    check(name, **HASWELL)
