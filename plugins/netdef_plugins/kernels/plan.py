"""Cutting a convolution into items: block sizes from the caches, the layout of a thread's scratch, taps' offsets."""

from typing import NamedTuple

import numpy as np

from . import threads, weights
from .correlate import Geometry
from .tile import MR, NR

# Floats of a block of packed pixels, and of a block of results: together they stay in a second-level cache of 1 MB.
BLOCK = 96 * 1024
# Products summed before results go back to memory.
DEPTH = 512
# Floats that nobody uses between what two threads do.
GAP = 16 * 1024
ITEMS_PER_THREAD = 4
# Weights are packed for as many pixels at least, and no more of them, as they take memory meanwhile.
PIXELS, WEIGHTS = 384, 8 * 1024 * 1024


class Grid(NamedTuple):
    """The results a pass computes: a grid of places that see the input `sh`, `sw` pixels apart through taps (offsets in
    the input), and at each place step_h * step_w results, its corners, that sum over some of the taps."""

    qh: int
    qw: int
    sh: int
    sw: int
    dh: tuple[int, ...]
    dw: tuple[int, ...]
    step_h: int = 1
    step_w: int = 1
    seen: tuple[tuple[tuple[int, int], ...], ...] = ()  # for each corner its taps, as (in the kernel, here); none: all


class End(NamedTuple):
    """What becomes of a sum of products: times a factor, plus a bias, rectified."""

    scaled: bool = False
    biased: bool = False
    relu: bool = False


PLAIN = End()


class Plan(NamedTuple):
    """What to run: the kernel's table, how many items, and floats of scratch."""

    table: np.ndarray
    items: int
    scratch: int


def round_up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def apart(floats: int) -> int:
    """Floats from a thread's scratch to the next's. Ahead of loops with long strides a core asks for lines far past the
    end: closer by, they are taken away from the core that is writing there, at up to a fifth of the time."""
    return round_up(floats + 64, 16) + GAP


def scratch(work: int) -> int:
    """Floats of all threads' scratch, `work` from one's to the next's."""
    return work * threads.count() - GAP


def in_place(grid: Grid, height: int, width: int) -> bool:
    """Whether no tap leaves the input."""
    below = (grid.qh - 1) * grid.sh + max(grid.dh) < height
    right = (grid.qw - 1) * grid.sw + max(grid.dw) < width
    return min(grid.dh) >= 0 and min(grid.dw) >= 0 and below and right


def copied_rows(size: int, grid: Grid, tall: int, rest: int) -> int:
    """The most virtual rows of the padded copy that `size` pixels meet."""
    rows, images = (size - 1) // grid.qw + 2, (size - 1) // (grid.qh * grid.qw) + 2
    return rows * grid.sh + images * max(0, tall - grid.qh * grid.sh) + rest


def block_size(pixels: int, groups: int, depth: int, tiles: int, most: int, per_thread: int) -> int:
    """Pixels of a block: as many as the cache holds, but enough blocks for all threads."""
    size = min(most, max(NR, BLOCK // max(depth, tiles * MR) // NR * NR))
    fair = round_up(-(-pixels * groups // (per_thread * threads.count())), NR)
    return min(size, fair)


def correlation(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], out: tuple[int, int],
                grid: Grid, across: int, along: int, end: End = PLAIN) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of one correlate pass over x[batch, groups * channels, *image] into y[batch, groups * rows, *out];
    `across` and `along` are the strides of rows and channels in the weights. Then the items that pack these before, and
    the floats they take (0 where they are read where they lie)."""
    (height, width), taps, tiles = image, len(grid.dh), -(-rows // MR)
    seen = grid.seen or (tuple((t, t) for t in range(taps)),)
    corners, used = len(seen), sum(map(len, seen))
    plain = grid.sw == 1 and in_place(grid, height, width)
    if plain and taps == corners == 1 and (grid.qh, grid.qw) == image == out:
        height, width, out = 1, height * width, (1, height * width)
        grid = grid._replace(qh=1, qw=width)
    some = -(-channels // -(-channels * taps // DEPTH))
    size = block_size(batch * grid.qh * grid.qw, groups, some * taps, corners * tiles, 1024, ITEMS_PER_THREAD)
    blocks = -(-batch * grid.qh * grid.qw // size)
    parts = max(-(-2 * threads.count() // (blocks * groups)), corners * tiles * MR * size // (2 * BLOCK))
    part = -(-tiles // parts)
    spread_h, spread_w = max(grid.dh) - min(grid.dh), max(grid.dw) - min(grid.dw)
    tall = (grid.qh - 1) * grid.sh + spread_h + 1
    phases, pitch = min(grid.sw, spread_w + 1), grid.qw + spread_w // grid.sw
    lines_at = round_up(10 * (size + 1), 16)
    b_at = lines_at + round_up(2 * (2 * some * used + MR), 16)
    c_at = b_at + some * taps * size + NR
    padded_at = c_at + corners * part * MR * size
    copy = 0 if plain else some * copied_rows(size, grid, tall, spread_h + 1) * phases * pitch
    work = apart(padded_at + copy)
    floats = groups * tiles * MR * channels * used
    packed = batch * grid.qh * grid.qw >= PIXELS and floats <= WEIGHTS
    geometry = Geometry(
        batch=batch, groups=groups, channels=channels, height=height, width=width, rows=rows, across=across,
        along=along, tiles=tiles, taps=taps, qh=grid.qh, qw=grid.qw, sh=grid.sh, sw=grid.sw, oh=out[0], ow=out[1],
        step_h=grid.step_h, step_w=grid.step_w, used=used, plain=plain, tall=tall, top=min(grid.dh),
        left=min(grid.dw), phases=phases, pitch=pitch, size=size, blocks=blocks, part=part, packed=packed,
        some=some, lines_at=lines_at, b_at=b_at, c_at=c_at, padded_at=padded_at, work=work, **end._asdict(),
    )  # fmt: skip
    known = [n for k, one in enumerate(seen) for n in (len(one), sum(map(len, seen[:k])))]
    offsets = tap_offsets(grid, plain, width, phases, pitch)
    table = np.array([*geometry, *offsets, *known, *(place for one in seen for tap in one for place in tap)], np.int64)
    plan = Plan(table, blocks * groups * -(-tiles // part), scratch(work))
    return plan, groups * tiles, floats if packed else 0


# Shares of the pixels that are summed apart where there are few weights: fixed, so that no thread count shows in a sum.
SHARES = 8
# Floats of a block of turned gradients, and pixels of one at least and at most.
TURNED, LEAST, MOST = 64 * 1024, 256, 1024


def update(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], grid: Grid,
           biased: bool) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of the sums of dy[batch, groups * rows, qh, qw] and x[batch, groups * channels, *image]; then the
    items that add shares, and the floats they are kept in (0 where there is one share)."""
    (height, width), taps, panels = image, len(grid.dh), -(-rows // NR)
    plain = in_place(grid, height, width)
    depth, pixels = channels * taps, batch * grid.qh * grid.qw
    shares = max(1, min(SHARES // max(1, min(channels, depth // 128)), pixels // 256))
    span = min(panels, TURNED // (LEAST * NR))
    bands = -(-panels // span)
    wanted = -(-2 * threads.count() // (shares * groups * bands))
    some = -(-channels // min(channels, max(1, wanted, span * NR * depth // BLOCK)))
    parts, lines = -(-channels // some), round_up(some * taps, MR)
    most = max(LEAST, min(MOST, TURNED // (span * NR))) if plain else LEAST
    size = round_up(-(-pixels // (shares * -(-pixels // (shares * most)))), 16)
    blocks = -(-pixels // size)
    shares = min(shares, blocks)
    spread_h, spread_w = max(grid.dh) - min(grid.dh), max(grid.dw) - min(grid.dw)
    tall, pitch = (grid.qh - 1) * grid.sh + spread_h + 1, (grid.qw - 1) * grid.sw + 1 + spread_w
    lines_at = round_up(6 * (size + 1), 16)
    dy_at = round_up(lines_at + 2 * lines, 16)
    sums_at = dy_at + span * NR * size
    kept = span * NR * (lines + 1)
    padded_at = sums_at + (kept if shares == 1 else 0)
    copy = 0 if plain else some * copied_rows(size, grid, tall, spread_h + 1) * pitch
    work = apart(max(padded_at + copy, span * MR * NR))
    geometry = weights.Geometry(
        batch=batch, groups=groups, channels=channels, height=height, width=width, rows=rows, span=span, bands=bands,
        taps=taps, qh=grid.qh, qw=grid.qw, sh=grid.sh, sw=grid.sw, plain=plain, tall=tall, top=min(grid.dh),
        left=min(grid.dw), pitch=pitch, size=size, blocks=blocks, shares=shares, some=some, parts=parts,
        lines_at=lines_at, dy_at=dy_at, sums_at=sums_at, padded_at=padded_at, work=work, biased=biased,
    )  # fmt: skip
    offsets = tap_offsets(grid._replace(sw=1), plain, width, 1, pitch)
    places = groups * bands * parts
    plan = Plan(np.array([*geometry, *offsets], np.int64), shares * places, scratch(work))
    return plan, places * lines // MR, shares * places * kept if shares > 1 else 0


def tap_offsets(grid: Grid, plain: bool, width: int, phases: int, pitch: int) -> list[int]:
    """How far each tap lies from its pixel in the input, or in the padded copy."""
    if plain:
        return [h * width + w for h, w in zip(grid.dh, grid.dw, strict=True)]
    top, left, step = min(grid.dh), min(grid.dw), grid.sw
    return [
        (h - top) * phases * pitch + (w - left) % step * pitch + (w - left) // step
        for h, w in zip(grid.dh, grid.dw, strict=True)
    ]
