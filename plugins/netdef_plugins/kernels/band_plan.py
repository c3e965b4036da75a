"""When a convolution is cut into bands, and how."""

import numpy as np

from . import band_weights, threads
from .bands import HALF, Geometry
from .dots import LINES
from .plan import ITEMS_PER_THREAD, PLAIN, End, Grid, Plan, apart, round_up, scratch
from .simd import VL
from .thin_plan import ROWS, SUMS
from .tile import MR, NR

# Taps of all channels that a result sums over at most, and four times as many where there is one tile of rows; channels
# and weights of a group that an update has at most.
DEPTH, CHANNELS, WEIGHTS = 256, 8, 4096
# Floats of copies that leave room in a second-level cache of 1 MB; an update keeps its sums there too. The larger a
# band, the longer are the rows in which results are written.
COPIED, COPIED_BY_UPDATE = 128 * 1024, 64 * 1024
# Results that are worth an item: what they meet above and below is copied by two.
LEAST = 512
# Results of a band in an update, and shares of the bands that are summed apart: both whatever the thread count is, so
# that it does not show in a sum.
RESULTS, SHARES = 4096, 8


def suits(channels: int, rows: int, grid: Grid) -> bool:
    """Whether a pass gains by bands: results leave the registers for good, but pixels are copied for each column, and
    those around a band twice. Where there is one tap, lanes that small images leave empty cost more."""
    copied, depth = channels * len(set(grid.dw)) * grid.qw, channels * len(grid.dh)
    few = depth <= (DEPTH if rows > MR else 4 * DEPTH) or rows <= HALF
    return few and len(grid.dh) > 1 and grid.qh * grid.qw >= 2 * VL and 8 * copied <= COPIED


def suits_update(channels: int, rows: int, grid: Grid) -> bool:
    """Whether an update gains by bands: dy is read as it lies, but pixels are copied; tiles of rows of dy may be less
    full otherwise."""
    full = round_up(rows, VL if rows <= VL else NR)
    few = channels <= CHANNELS or (len(grid.dh) > 1 and channels <= 3 * CHANNELS and 5 * rows < 4 * full)
    few = few and channels * len(grid.dh) * rows <= WEIGHTS
    return few and grid.qh * grid.qw >= max(2 * VL, 8 * channels)


def correlation(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], grid: Grid, across: int,
                along: int, end: End = PLAIN) -> Plan:  # fmt: skip
    """The plan of a pass over x[batch, groups * channels, *image] into y[batch, groups * rows, grid.qh, grid.qw];
    `across` and `along` are the strides of rows and channels in the weights."""
    wanted = -(-ITEMS_PER_THREAD * threads.count() // (batch * groups))
    tall = _tall(grid, channels, min(grid.qh, max(-(-grid.qh // wanted), LEAST // grid.qw)), COPIED)
    sizes = {"batch": batch, "groups": groups, "channels": channels, "rows": rows, "across": across, "images": 1}
    taps = [tap for tap, _ in grid.seen[0]] if grid.seen else range(len(grid.dh))
    at = [c * along + tap for c in range(channels) for tap in taps]
    g, table = _table(sizes, image, grid, tall, at, end)
    return Plan(table, batch * groups * g.bands, scratch(g.work))


def update(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], grid: Grid,
           biased: bool) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of an update, of the bias too if biased; then the items that add shares, and the floats of shares."""
    tall = _tall(grid, channels, max(1, min(grid.qh, RESULTS // grid.qw)), COPIED_BY_UPDATE)
    most = 1 if tall < grid.qh else min(batch, RESULTS // (tall * grid.qw) or 1)
    images = -(-batch // round_up(-(-batch // most), SHARES))  # shares are alike
    sizes = {"batch": batch, "groups": groups, "channels": channels, "rows": rows, "across": 0, "images": images}
    g, table = _table(sizes, image, grid, tall, [], End(biased=biased))
    parts, tiles = -(-rows // ROWS), -(-(channels * g.taps + biased) // LINES)
    kept = g.shares * groups * parts * tiles * SUMS
    return Plan(table, g.shares * groups, scratch(g.work)), groups * parts, kept


def add_update(dy, x, dw, db, plan: tuple[Plan, int, int]) -> None:
    """Runs the plan of an update."""
    (table, items, floats), sums, kept = plan
    work, shares = threads.scratch("work", floats), threads.scratch("weights", kept)
    threads.run(band_weights.sum_bands, items, x, dy, shares, work, table)
    threads.run(band_weights.add_bands, sums, dw, db, shares, table)


def _tall(grid: Grid, channels: int, most: int, copied: int) -> int:
    """Rows of results in a band: at most `most`, and no more than make `copied` floats of copies; bands are alike."""
    while most > 1 and _layout(grid, channels, most)[3]["step"] > copied:
        most -= 1
    return -(-grid.qh // -(-grid.qh // most))


def _layout(grid: Grid, channels: int, tall: int) -> tuple[list[int], list[int], list[int], dict[str, int]]:
    """The columns of taps, how far down each phase of rows begins, where the line of each tap of each channel begins in
    the copies, and the copies' sizes; the last line is that of ones."""
    columns, top, rows = sorted(set(grid.dw)), min(grid.dh), sorted(set(grid.dh))
    phases = min(grid.sh, rows[-1] - top + 1)
    downs, deep = [top + phase for phase in range(phases)], tall + (rows[-1] - top) // grid.sh
    if len(rows) * tall < phases * deep:
        downs, deep = rows, tall
        place = {h: i * tall for i, h in enumerate(rows)}
    else:
        place = {h: (h - top) % grid.sh * deep + (h - top) // grid.sh for h in rows}
    size = len(downs) * deep * grid.qw
    taps = list(zip(grid.dh, grid.dw, strict=True))
    lines = [
        (c * len(columns) + columns.index(w)) * size + place[h] * grid.qw for c in range(channels) for h, w in taps
    ]
    ones = channels * len(columns) * size
    step = round_up(ones + tall * grid.qw + VL, VL)
    return columns, downs, [*lines, ones], {"columns": len(columns), "phases": len(downs), "deep": deep, "step": step}


def _table(sizes: dict[str, int], image: tuple[int, int], grid: Grid, tall: int, at: list[int],
           end: End) -> tuple[Geometry, np.ndarray]:  # fmt: skip
    columns, downs, lines, found = _layout(grid, sizes["channels"], tall)
    parts = -(-grid.qh // tall)
    blocks = -(-sizes["batch"] // sizes["images"]) * parts
    g = Geometry(
        **sizes, **found, height=image[0], width=image[1], taps=len(grid.dh), qh=grid.qh, qw=grid.qw, sh=grid.sh,
        sw=grid.sw, tall=tall, bands=parts, shares=min(blocks, -(-SHARES // sizes["groups"])),
        work=apart(sizes["images"] * found["step"] + VL), **end._asdict(),
    )  # fmt: skip
    return g, np.array([*g, *columns, *downs, *at, *lines, *lines[-1:] * LINES], np.int64)
