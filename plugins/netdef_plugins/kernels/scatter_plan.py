"""When the results of a backward pass are added up tap by tap, and how that is cut."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .plan import BLOCK, ITEMS_PER_THREAD, Plan, apart, round_up, scratch
from .simd import VL
from .tile import NR

Pair = tuple[int, int]
# Products in a tile for each pixel: the taps of three channels or of one fill such tiles.
MR = 6 if VL == 8 else 9
# Channels of dy that are summed before products go back to memory.
DEPTH = 512
# Pixels of images that other ways keep in the caches: they gain the time of some products by it.
SMALL = 32 * 1024
# Floats of sums, at most; of products BLOCK.
SUMS = 2 * BLOCK
# Channels of dx that are not shared among items, and rows of an item at least, as what lies between is met twice.
FEW, LEAST = 8, 16


class Geometry(NamedTuple):
    """Everything an item needs to know."""

    groups: int
    channels: int  # of dy, in a group
    rows: int  # channels of dx, in a group
    part: int  # of them in an item
    parts: int
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
    dw: int
    band: int  # rows of dx in an item
    bands: int
    run: int  # rows of dy that are met at a time
    pitch: int  # floats of a row of sums that lie `sw` columns apart
    products_at: int  # where products and sums begin in the scratch, behind the weights
    sums_at: int
    length: int  # of a row of products
    work: int


def suits(kernel: Pair, stride: Pair, channels: int, rows: int, out: Pair, image: Pair) -> bool:
    """Whether a backward pass from `channels` of dy in a group to `rows` of dx gains by it, in products of which some
    are not used: other ways meet every place of dx with all taps, and with whole tiles of rows."""
    taps, pixels, places = kernel[0] * kernel[1], out[0] * out[1], -(-image[0] // stride[0]) * -(-image[1] // stride[1])
    if taps == 1 or pixels < NR or taps * round_up(out[1], NR) > BLOCK:
        return False
    adding = 30 if stride == (1, 1) and places < SMALL else 12
    return (1.1 * channels + adding) * rows * round_up(pixels, NR) < channels * round_up(rows, 8) * places


def _run(rows: int, oh: int, ow: int) -> int:
    """Rows of dy, so many that the last vectors are little wasted and the products stay in the cache."""
    most = max(1, min(oh, BLOCK // (rows * round_up(ow, NR))))
    least = min(oh, -(-NR // ow))
    return max(range(least, max(least, most) + 1), key=lambda n: (n * ow / round_up(n * ow, NR), n))


@lru_cache(maxsize=1024)
def plan(batch: int, groups: int, channels: int, rows: int, out: Pair, image: Pair, kernel: Pair, stride: Pair,
         pad: Pair, dilation: Pair, count: int) -> Plan:  # fmt: skip
    """The plan of a pass from dy[batch, groups * channels, *out] to dx[batch, groups * rows, *image]."""
    taps, wanted = kernel[0] * kernel[1], ITEMS_PER_THREAD * count
    pitch = max(out[1] + (kernel[1] - 1) * dilation[1] // stride[1], (image[1] + pad[1] - 1) // stride[1] + 1) + VL
    shared = wanted // (batch * groups) if rows > FEW else 1
    part = -(-rows // max(1, shared, -(-rows * taps * min(channels, DEPTH) // (BLOCK // 2))))
    parts = -(-rows // part)
    floats = image[0] * part * stride[1] * pitch
    bands = max(1, -(-floats // SUMS), min(wanted // (batch * groups * parts), image[0] // LEAST))
    band = -(-image[0] // bands)
    run = _run(part * taps, *out)
    length, products = round_up(run * out[1], NR), round_up(part * taps, MR)
    products_at = round_up(products * min(channels, DEPTH) + VL, 16)
    sums_at = products_at + round_up(products * length, 16)
    g = Geometry(
        groups=groups, channels=channels, rows=rows, part=part, parts=parts, h=image[0], w=image[1], oh=out[0],
        ow=out[1], kh=kernel[0], kw=kernel[1], sh=stride[0], sw=stride[1], ph=pad[0], pw=pad[1], dh=dilation[0],
        dw=dilation[1], band=band, bands=-(-image[0] // band), run=run, pitch=pitch, products_at=products_at,
        sums_at=sums_at, length=length, work=apart(sums_at + part * band * stride[1] * pitch + VL),
    )  # fmt: skip
    return Plan(np.array(g, np.int64), batch * groups * parts * g.bands, scratch(g.work))
