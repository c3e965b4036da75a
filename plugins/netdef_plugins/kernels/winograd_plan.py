"""When Winograd's convolution is worth its transforms, and how its work is cut."""

from typing import NamedTuple

import numpy as np

from . import threads, winograd, winograd_weights
from .native import Task
from .plan import ITEMS_PER_THREAD, PLAIN, End, Plan, apart, round_up, scratch
from .simd import VL
from .tile import NR
from .winograd import APART, WM, WN, convolve_block, transform_weights
from .winograd_few import convolve_rows, see_part
from .winograd_weights import RUN

# Points of all squares in a block at most, and floats of products at a time, where weights are transformed first.
POINTS = 64 * 36
PRODUCTS = 80 * 1024
# Squares in a block at most, and channels of the weights met at a time, where squares are seen first.
SEEN, DEEP = 128, 64


def squares(batch: int, out: tuple[int, int]) -> int:
    """Of 4 x 4 results."""
    return batch * -(-out[0] // 4) * -(-out[1] // 4)


def are_few(total: int, rows: int) -> bool:
    """Whether squares, seen from the points, take less room than weights do."""
    return round_up(total, WN) < round_up(rows, WM)


def pays(kernel: int, batch: int, channels: int, rows: int, out: tuple[int, int], update: bool = False,
         groups: int = 1) -> bool:  # fmt: skip
    """Whether the multiplications saved outweigh the transforms, in cycles of 16 multiply-adds measured on one core.

    Updates of groups transform whole vectors of channels, and share nothing with other threads; without it they are
    slow, as each group has few sums.
    """
    total, points = squares(batch, out), (kernel + 3) ** 2
    weights = 0.5 if are_few(total, rows) and not update else 1.5
    seen, rate = (channels + rows) * 1.5, 14
    if update and groups > 1:
        seen, rate = (round_up(channels, WM) + round_up(rows, WN)) * 0.87, 12
    direct = kernel**2 * channels * rows * round_up(batch * out[0] * out[1], NR) / rate
    products = points * channels * round_up(rows, WM) * round_up(total, WN) / 14
    transforms = points * (seen * round_up(total, WN) + channels * rows * weights)
    return products + transforms < direct


def suits(kernel, stride, dilation, batch: int, channels: int, rows: int, out: tuple[int, int], update=False,
          groups: int = 1) -> bool:  # fmt: skip
    """Whether a convolution, or its update, has a form that Winograd's serves, and gains by it."""
    square = kernel in ((3, 3), (5, 5)) and stride == dilation == (1, 1)
    return square and pays(kernel[0], batch, channels, rows, out, update, groups)


def shrinks(kernel: int, batch: int, rows: int, given: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether a backward pass from `given` to `image` gains by squares of gradients, each of which costs as much as one
    of pixels; items have whole images."""
    mine, theirs = squares(1, given), squares(1, image)
    return 4 * mine <= 3 * theirs and mine * (kernel + 3) ** 2 <= POINTS and not are_few(batch * mine, rows)


class Steps(NamedTuple):
    """A convolution in two steps: one side is transformed for all threads, then the other meets it."""

    few: bool  # whether squares are the first side, not weights
    first: Task
    firsts: int  # its items
    second: Task
    seconds: int
    kept: int  # floats that the first leaves
    size: int  # squares in a block
    some: int  # tiles of rows that are multiplied at a time, or channels of an item that sees squares
    deep: int  # channels of the second side at a time
    side: int  # floats of that
    products: int  # tiles of products at a time, at each point


class Halves(NamedTuple):
    """What to run: the kernels' table, the steps, and floats of scratch."""

    table: np.ndarray
    steps: Steps
    floats: int


def _weights_first(points: int, total: int, groups: int, channels: int, tiles: int) -> Steps:
    fair = round_up(-(-total * groups // (ITEMS_PER_THREAD * threads.count())), WN)
    most = max(1, POINTS // (points * WN)) * WN
    size = min(round_up(total, WN), most, max(fair, 4 * WN))
    blocks, some = -(-total // size), max(1, min(tiles, PRODUCTS // (size * points * WM)))
    kept = groups * points * (tiles * channels + 1) * WM
    return Steps(False, transform_weights, groups * tiles, convolve_block, groups * blocks, kept, size, some, channels,
                 points * (channels * size + WN), some * size // WN)  # fmt: skip


def _squares_first(points: int, total: int, groups: int, channels: int, tiles: int) -> Steps:
    size = round_up(-(-total // -(-total // SEEN)), WN)
    blocks, deep = groups * -(-total // size), min(channels, DEEP)
    some = -(-channels // -(-ITEMS_PER_THREAD * threads.count() // blocks))
    kept = blocks * points * (size * channels + WN)
    return Steps(True, see_part, blocks * -(-channels // some), convolve_rows, blocks * tiles, kept, size, some, deep,
                 points * (deep + 1) * WM, size // WN)  # fmt: skip


def correlation(kernel: int, batch: int, groups: int, channels: int, rows: int, image: tuple[int, int],
                out: tuple[int, int], pad: tuple[int, int], flip: bool, end: End = PLAIN) -> Halves:  # fmt: skip
    """The plan of kernel x kernel taps on x[batch, groups * channels, *image] into y[batch, groups * rows, *out]; where
    `flip` is set they are met backwards, and lie as w[groups * channels, rows, ...]."""
    n, qh, qw, tiles, taps = kernel + 3, -(-out[0] // 4), -(-out[1] // 4), -(-rows // WM), kernel * kernel
    total = squares(batch, out)
    steps = (_squares_first if are_few(total, rows) else _weights_first)(n * n, total, groups, channels, tiles)
    size, pitch, tall = steps.size, qw + 1, (qh - 1) * 4 + n
    lines, images = (size - 1) // qw + 2, (size - 1) // (qh * qw) + 2
    padded_at = round_up(6 * (size + 1), 16)
    packed_at = padded_at + round_up((4 * lines + (n - 4) * images + n) * 4 * pitch + 64, 16)
    room_at = packed_at + round_up(size * n * n + 64, 16)
    side_at = room_at + 96 * VL + 16 * WN
    products_at = side_at + round_up(steps.side + 64, 16)
    work = apart(products_at + steps.products * n * n * APART)
    across, along = (taps, rows * taps) if flip else (channels * taps, taps)
    geometry = winograd.Geometry(
        n=n, batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, tiles=tiles,
        qh=qh, qw=qw, oh=out[0], ow=out[1], tall=tall, top=-pad[0], left=-pad[1], pitch=pitch, across=across,
        along=along, flip=flip, size=size, blocks=-(-total // size), some=steps.some, deep=steps.deep,
        padded_at=padded_at, packed_at=packed_at, room_at=room_at, side_at=side_at, products_at=products_at, work=work,
        **end._asdict(),
    )  # fmt: skip
    return Halves(np.array(geometry, np.int64), steps, scratch(work))


def convolve(x, w, factor, bias, y, plan: Halves) -> None:
    """Runs the plan."""
    table, steps, floats = plan
    kept, work = threads.scratch("weights", steps.kept), threads.scratch("work", floats)
    one, other = (x, w) if steps.few else (w, x)
    threads.run(steps.first, steps.firsts, one, kept, work, table)
    threads.run(steps.second, steps.seconds, other, kept, factor, bias, y, work, table)


# Items that an update is cut into at least, whatever the thread count, and channels that an item takes at most.
SHARES, CHANNELS = 4, 64
# Squares times channels of a block.
UPDATED = 16 * 1024


def update(kernel: int, batch: int, groups: int, channels: int, rows: int, image: tuple[int, int],
           out: tuple[int, int], pad: tuple[int, int]) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of an update; then the items that add shares (0 where there is one), and the floats they are kept in."""
    n, qh, qw, panels = kernel + 3, -(-out[0] // 4), -(-out[1] // 4), -(-rows // WN)
    tiles, total = -(-channels // WM), squares(batch, out)
    parts = -(-channels // CHANNELS)
    shares = max(1, min(SHARES // (parts * groups), total // 64))
    parts = min(tiles, max(parts, -(-2 * threads.count() // (shares * groups))))
    some = -(-tiles // parts)
    parts = -(-tiles // some)
    size = min(round_up(total, 4), max(32, UPDATED // max(panels * WN, min(channels, CHANNELS))))
    blocks = -(-total // size)
    shares = min(shares, blocks)
    room_at = n * (4 * RUN + n) * VL
    dy_at = room_at + (128 + 25) * VL
    x_at = dy_at + n * n * (panels * size + 1) * WN
    work = apart(x_at + n * n * (some * size + 1) * WM)
    geometry = winograd_weights.Geometry(
        n=n, batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, panels=panels,
        qh=qh, qw=qw, oh=out[0], ow=out[1], top=-pad[0], left=-pad[1], size=size, blocks=blocks, shares=shares,
        some=some, parts=parts, turned_at=0, room_at=room_at, dy_at=dy_at, x_at=x_at, work=work,
    )  # fmt: skip
    items = shares * groups * parts
    kept = (items if shares > 1 else threads.count()) * n * n * some * panels * WM * WN
    plan = Plan(np.array(geometry, np.int64), items, scratch(work))
    return plan, groups * parts if shares > 1 else 0, kept


def add_update(dy, x, dw, plan: Plan, sums: int, kept: int) -> None:
    """Runs the plan of an update."""
    work, shares = threads.scratch("work", plan.scratch), threads.scratch("weights", kept)
    threads.run(winograd_weights.sum_share, plan.items, x, dy, dw, shares, work, plan.table)
    if sums:
        threads.run(winograd_weights.add_shares, sums, dw, shares, work, plan.table)
