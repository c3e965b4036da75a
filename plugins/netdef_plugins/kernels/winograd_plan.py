"""When Winograd's convolution is worth its transforms, and how its work is cut."""

import numpy as np

from . import threads, winograd, winograd_weights
from .plan import ITEMS_PER_THREAD, PLAIN, End, Plan, round_up
from .simd import VL
from .winograd import APART, WM, WN
from .winograd_weights import RUN

# Squares in a block at most, and floats of products at a time.
SQUARES = 64
PRODUCTS = 80 * 1024


def pays(kernel: int, batch: int, channels: int, rows: int, out: tuple[int, int]) -> bool:
    """Whether the multiplications saved outweigh the transforms, in cycles of 16 multiply-adds measured on one core."""
    squares, points = batch * -(-out[0] // 4) * -(-out[1] // 4), (kernel + 3) ** 2
    direct = kernel**2 * channels * rows * batch * out[0] * out[1] / 14
    products = points * channels * round_up(rows, WM) * round_up(squares, WN) / 14
    transforms = points * ((channels + rows) * round_up(squares, WN) * 1.5 + channels * rows * 1.5)
    return products + transforms < direct


def correlation(kernel: int, batch: int, groups: int, channels: int, rows: int, image: tuple[int, int],
                out: tuple[int, int], pad: tuple[int, int], end: End = PLAIN) -> Plan:  # fmt: skip
    """The plan of kernel x kernel taps on x[batch, groups * channels, *image] into y[batch, groups * rows, *out]."""
    n, qh, qw, tiles = kernel + 3, -(-out[0] // 4), -(-out[1] // 4), -(-rows // WM)
    total = batch * qh * qw
    fair = round_up(-(-total * groups // (ITEMS_PER_THREAD * threads.count())), WN)
    size = min(round_up(total, WN), SQUARES, max(fair, 4 * WN))
    blocks, panels = -(-total // size), size // WN
    some = max(1, min(tiles, PRODUCTS // (size * n * n * WM)))
    pitch, tall = qw + 1, (qh - 1) * 4 + n
    lines, images = (size - 1) // qw + 2, (size - 1) // (qh * qw) + 2
    padded_at = round_up(6 * (size + 1), 16)
    packed_at = padded_at + round_up((4 * lines + (n - 4) * images + n) * 4 * pitch + 64, 16)
    room_at = packed_at + round_up(panels * n * n * WN + 64, 16)
    seen_at = room_at + 80 * VL + 16 * WN
    products_at = seen_at + n * n * (channels * size + WN) + 64
    work = round_up(products_at + some * panels * n * n * APART + 64, 16)
    geometry = winograd.Geometry(
        n=n, batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, tiles=tiles,
        qh=qh, qw=qw, oh=out[0], ow=out[1], tall=tall, top=-pad[0], left=-pad[1], pitch=pitch, size=size, blocks=blocks,
        some=some, padded_at=padded_at, packed_at=packed_at, room_at=room_at, seen_at=seen_at,
        products_at=products_at, work=work, **end._asdict(),
    )  # fmt: skip
    return Plan(np.array(geometry, np.int64), blocks * groups, work * threads.count(), tiles)


def suits(kernel, stride, dilation, batch: int, channels: int, rows: int, out: tuple[int, int]) -> bool:
    """Whether a convolution has a form that Winograd's serves, and gains by it."""
    square = kernel in ((3, 3), (5, 5)) and stride == dilation == (1, 1)
    return square and pays(kernel[0], batch, channels, rows, out)


def convolve(x, w, factor, bias, y, plan: Plan, rows: int, channels: int, groups: int, across: int, along: int,
             flip: bool) -> None:  # fmt: skip
    """Runs the plan; `across` and `along` are the strides of rows and channels in w, `flip` turns the taps around."""
    n = w.shape[2] + 3
    u = threads.scratch("weights", groups * n * n * (plan.tiles * channels + 1) * WM)
    work = threads.scratch("work", max(plan.scratch, 96 * VL * threads.count()))
    threads.run(winograd.transform_weights, groups * plan.tiles, w, u, work, n, rows, plan.tiles, channels,
                w.size // groups, across, along, flip)  # fmt: skip
    threads.run(winograd.convolve_block, plan.items, x, u, factor, bias, y, work, plan.table)


# Items that an update is cut into at least, whatever the thread count, and channels that an item takes at most.
SHARES, CHANNELS = 4, 64
# Squares times channels of a block.
UPDATED = 16 * 1024


def update(kernel: int, batch: int, groups: int, channels: int, rows: int, image: tuple[int, int],
           out: tuple[int, int], pad: tuple[int, int]) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of an update; then the items that add shares, and the floats that shares are kept in."""
    n, qh, qw, panels = kernel + 3, -(-out[0] // 4), -(-out[1] // 4), -(-rows // WN)
    tiles, total = -(-channels // WM), batch * qh * qw
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
    work = round_up(x_at + n * n * (some * size + 1) * WM + 64, 16)
    geometry = winograd_weights.Geometry(
        n=n, batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, panels=panels,
        qh=qh, qw=qw, oh=out[0], ow=out[1], top=-pad[0], left=-pad[1], size=size, blocks=blocks, shares=shares,
        some=some, parts=parts, turned_at=0, room_at=room_at, dy_at=dy_at, x_at=x_at, work=work,
    )  # fmt: skip
    items = shares * groups * parts
    kept = (items if shares > 1 else threads.count()) * n * n * some * panels * WM * WN
    plan = Plan(np.array(geometry, np.int64), items, work * threads.count(), shares)
    return plan, groups * parts, kept


def add_update(dy, x, dw, plan: Plan, sums: int, kept: int) -> None:
    """Runs the plan of an update."""
    work, shares = threads.scratch("work", plan.scratch), threads.scratch("weights", kept)
    threads.run(winograd_weights.sum_share, plan.items, x, dy, dw, shares, work, plan.table)
    if plan.tiles > 1:
        threads.run(winograd_weights.add_shares, sums, dw, shares, work, plan.table)
