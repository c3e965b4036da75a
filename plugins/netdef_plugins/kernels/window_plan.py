"""When an update goes weight by weight, as there are many for few pixels, and how that is cut."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .plan import BLOCK, Plan, apart, round_up, scratch
from .tile import MR, NR

Pair = tuple[int, int]
# Pixels of all images at least, at most where weights do not stay in a cache for which `MANY` are too many, and where
# `SOME` do not stay beside sums of them.
LEAST, MOST, FEW = 32, 512, 256
MANY, SOME = 4 * 1024 * 1024, 512 * 1024
# Rows of dy that windows are laid out for.
ROWS = 512


class Geometry(NamedTuple):
    """Everything an item needs to know."""

    batch: int
    groups: int
    channels: int  # of x, in a group
    rows: int  # of dy, in a group
    depth: int  # weights of a row
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    lines: int  # weights of a row in an item, and how many such parts there are
    parts: int
    some: int  # rows of dy in an item, and how many such bands there are
    bands: int
    pitch: int  # floats from the windows of a pixel to those of the next
    work: int


def suits(kernel: Pair, stride: Pair, pad: Pair, dilation: Pair, batch: int, channels: int, rows: int,
          out: Pair) -> bool:  # fmt: skip
    """Whether an update gains: a row of weights is a row of windows, whose pixels follow each other."""
    taps, pixels = kernel[0] * kernel[1], batch * out[0] * out[1]
    follows = dilation[1] == 1 and kernel[1] > 2 if taps > 1 else stride == (1, 1) and pad == (0, 0)
    return follows and channels * taps * rows >= (SOME if pixels <= FEW else MANY) and LEAST <= pixels <= MOST


@lru_cache(maxsize=1024)
def plan(batch: int, groups: int, channels: int, rows: int, image: Pair, out: Pair, kernel: Pair, stride: Pair,
         pad: Pair, dilation: Pair, count: int) -> Plan:  # fmt: skip
    """The plan of an update from x[batch, groups * channels, *image] and dy[batch, groups * rows, *out]."""
    depth, pixels = channels * kernel[0] * kernel[1], batch * out[0] * out[1]
    lines = max(NR, BLOCK // (2 * pixels) // NR * NR)
    lines = min(lines, round_up(-(-depth // -(-depth // lines)), NR))
    some = min(ROWS, round_up(-(-rows * -(-depth // lines) * groups // (4 * count)), MR))
    pitch = lines + NR + 16  # an odd number of lines of the cache
    g = Geometry(
        batch=batch, groups=groups, channels=channels, rows=rows, depth=depth, h=image[0], w=image[1], oh=out[0],
        ow=out[1], kh=kernel[0], kw=kernel[1], sh=stride[0], sw=stride[1], ph=pad[0], pw=pad[1], dh=dilation[0],
        lines=lines, parts=-(-depth // lines), some=some, bands=-(-rows // some), pitch=pitch,
        work=apart(pixels * pitch),
    )  # fmt: skip
    return Plan(np.array(g, np.int64), groups * g.parts * g.bands, scratch(g.work))
