"""Vectors of which some lanes are stored, on processors that can do so in one instruction and on those that cannot."""

import os
import subprocess
import sys

import pytest
from netdef_plugins.kernels import host

RUN = """
import ctypes
import numpy as np
from numba import cfunc, types
from netdef_plugins.kernels.interleave import merge1
from netdef_plugins.kernels.simd import VL, load, store_first
from netdef_plugins.kernels.turn import turn_bytes

floats, number = types.CPointer(types.float32), types.intp

@cfunc(types.void(floats, floats, number, number))
def between(src, dst, low, high):
    merge1(dst, low, high, (load(src),))

@cfunc(types.void(floats, floats, number))
def begin(src, dst, n):
    store_first(dst, load(src), n)

@cfunc(types.void(floats, types.CPointer(types.uint8), number, number))
def turned(src, dst, n, lanes):
    turn_bytes(src, VL, VL, n, dst, VL, lanes)

def call(function, source, target, *numbers):
    kinds = [ctypes.c_void_p] * 2 + [ctypes.c_ssize_t] * len(numbers)
    ctypes.CFUNCTYPE(None, *kinds)(function.address)(source.ctypes.data, target.ctypes.data, *numbers)

assert VL == WIDTH
x, lane = np.arange(1, VL + 1, dtype=np.float32), np.arange(VL)
for low in range(-1, VL + 2):
    y = np.zeros(VL, np.float32)
    call(begin, x, y, low)
    np.testing.assert_array_equal(y, np.where(lane < low, x, 0))
    for high in range(-1, VL + 2):
        y = np.zeros(VL, np.float32)
        call(between, x, y, low, high)
        np.testing.assert_array_equal(y, np.where((low <= lane) & (lane < high), x, 0))
square = np.arange(-1, VL * VL - 1, dtype=np.float32).reshape(VL, VL) % 255
for n in range(VL + 1):
    for lanes in range(VL + 1):
        y, want = np.full((VL, VL), 7, np.uint8), np.full((VL, VL), 7, np.uint8)
        want[:n, :lanes] = square.T[:n, :lanes].astype(np.int64) & 255
        call(turned, square, y, n, lanes)
        np.testing.assert_array_equal(y, want)
"""
HASWELL = "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+lzcnt"


@pytest.mark.parametrize("width,name,features", [(4, "x86-64", "+sse,+sse2"), (8, "haswell", HASWELL), (0, "", "")])
def test_lanes_that_a_mask_lacks_are_left_alone(width, name, features):
    """For every place where a row can begin and end; a vector of any width, this processor's own last."""
    if not set(features.split(",")) <= {"", *host.features().split(",")}:
        pytest.skip(f"a processor without {features}")
    chosen = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features} if name else {}
    code = RUN.replace("WIDTH", str(width or host.width()))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | chosen
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
