"""When an update is scalar products of planes, as one side has few channels, and how that is cut."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .plan import Plan, round_up
from .simd import VL
from .tile import NR

# Rows of the wider side in a tile, and lines of the thinner one: as few are wasted as may be. The products and one side
# stay in registers.
ROWS, SIZES = (3, (3,)) if VL == 8 else (4, (4, 5, 6))
# Floats from the sums of a tile to those of the next.
SUMS = round_up(ROWS * SIZES[-1], VL)
# Channels of the thinner side at most, and pixels of an image at least.
FEW, LEAST = 40, 8 * VL
# Floats of the thinner side that all rows of the other meet before the next are read: they stay near.
CLOSE = 16 * 1024
# Shares of the pixels times parts of the wider side, whatever the thread count is, so that it does not show in a sum;
# and rows of a part, about.
SHARES, PART = 8, 64


class Geometry(NamedTuple):
    """What an item needs to know."""

    batch: int
    groups: int
    wide: int  # channels in a group of the wider side
    thin: int
    plane: int
    size: int  # pixels of a block
    images: int  # of a block
    blocks: int
    shares: int  # of the blocks, each summed apart
    some: int  # rows of the wider side in an item
    parts: int
    lines: int  # in a tile
    turned: int  # 1: the wider side is x; 0: dy
    biased: int


def suits(kernel, stride, pad, channels: int, rows: int, plane: int) -> bool:
    """Whether an update gains: planes are long enough for a sum over them to be worth its end, and tiles of rows of dy
    would be less full, or turned for few channels."""
    if kernel != (1, 1) or pad != (0, 0) or stride != (1, 1) or plane < LEAST or min(channels, rows) > FEW:
        return False
    full = round_up(rows, VL if rows <= VL else NR)
    return channels < FEW or 4 * channels <= rows or 5 * rows < 4 * full


@lru_cache(maxsize=1024)
def plan(batch: int, groups: int, channels: int, rows: int, plane: int, biased: bool) -> tuple[Plan, int, int, int]:
    """The plan of an update; then the items that add shares, the floats of shares, and the lines of a tile."""
    thin, wide = min(channels, rows), max(channels, rows)
    lines = min(SIZES, key=lambda n: (-(-thin // n) * (ROWS * n + n + ROWS), -n))
    most = max(VL, CLOSE // thin // VL * VL)
    size = min(plane, -(-plane // -(-plane // most) // VL) * VL)
    parts = max(1, min(SHARES // 2, -(-SHARES // groups), wide // PART))
    shares = max(1, SHARES // (parts * groups))
    images = max(1, min(most // plane, -(-batch // shares)))
    blocks = -(-batch // images) * -(-plane // size)
    some = -(-wide // (parts * ROWS)) * ROWS
    table = Geometry(batch=batch, groups=groups, wide=wide, thin=thin, plane=plane, size=size, images=images,
                     blocks=blocks, shares=min(blocks, shares), some=some, parts=-(-wide // some), lines=lines,
                     turned=channels > rows, biased=biased)  # fmt: skip
    items = table.shares * table.parts * groups
    tiles = some // ROWS
    kept = tiles * -(-thin // lines) * SUMS + max(some, thin)
    return Plan(np.array(table, np.int64), items, 0), tiles * table.parts * groups, items * kept, lines
