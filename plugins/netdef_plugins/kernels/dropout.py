"""Dropout whose mask is computed from a key and an element's index, so that nothing is stored for the way back."""

import numpy as np

from .elementwise import run_chunks, span
from .native import helper, task, unpack
from .simd import shift

FIRST, SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)


@helper
def mixed(h):
    """A permutation of the 32-bit numbers in which every bit of h reaches every bit."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * FIRST)
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * SECOND)
    return np.uint32(h ^ (h >> np.uint32(16)))


@task
def _dropout(job, item, thread):
    n, chunk, x, y, low, high, below, factor = unpack(job, "iiaaiiir")
    first, n = span(item, n, chunk)
    x, y = shift(x, first), shift(y, first)
    # The index's upper half joins the key: chunks are far smaller than 2^32.
    key, other = np.uint32(low), mixed(np.uint32(high) + np.uint32(first >> 32))
    start, limit, zero = np.uint32(first & 0xFFFFFFFF), np.uint32(below), factor * 0
    for i in range(n):
        h = mixed(np.uint32(mixed(np.uint32(np.uint32(start + np.uint32(i)) ^ key)) + other))
        y[i] = x[i] * (factor if h >= limit else zero)


def apply(x, y, ratio: float, key: int) -> None:
    """y = x / (1 - ratio) with probability 1 - ratio, else 0; the choice is a function of the key and the index alone.

    Given dy and the same key it is the backward pass. `key` is a 64-bit number; y may be x; ratio is below 1.
    """
    below = min(int(ratio * 2**32), 2**32 - 1)
    run_chunks(_dropout, x, y, key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF, below, 1.0 / (1.0 - ratio))
