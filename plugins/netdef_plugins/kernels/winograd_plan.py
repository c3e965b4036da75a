"""When Winograd's convolution is worth its transforms, and how its work is cut."""

import numpy as np

from . import threads, winograd, winograd_weights
from .plan import ITEMS_PER_THREAD, Plan, round_up
from .simd import VL
from .winograd import APART, WM, WN
from .winograd_weights import RUN

# Squares in a block at most, and floats of products at a time.
SQUARES = 64
PRODUCTS = 80 * 1024


def squares(out: tuple[int, int]) -> int:
    """Squares of 4 x 4 that cover an output."""
    return -(-out[0] // 4) * -(-out[1] // 4)


def pays(batch: int, channels: int, rows: int, out: tuple[int, int]) -> bool:
    """Whether the multiplications saved outweigh the transforms, by figures measured on one core (in cycles / 16)."""
    count = batch * squares(out)
    direct = 9 * channels * rows * batch * out[0] * out[1] / 14
    products = 36 * channels * round_up(rows, WM) * round_up(count, WN) / 14
    transforms = count * (channels * 320 + rows * 320) / 16 * 16 / 16 + 40 * channels * rows
    return products + transforms < direct


def correlation(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], out: tuple[int, int],
                pad: tuple[int, int], biased: bool, relu: bool) -> Plan:  # fmt: skip
    """The plan of a 3 x 3 convolution of x[batch, groups * channels, *image] into y[batch, groups * rows, *out]."""
    qh, qw, tiles = -(-out[0] // 4), -(-out[1] // 4), -(-rows // WM)
    total = batch * qh * qw
    fair = round_up(-(-total * groups // (ITEMS_PER_THREAD * threads.count())), WN)
    size = min(round_up(total, WN), SQUARES, max(fair, 4 * WN))
    blocks, panels = -(-total // size), size // WN
    some = max(1, min(tiles, PRODUCTS // (size * 36 * WM)))
    pitch, tall = qw + 1, (qh - 1) * 4 + 6
    lines, images = (size - 1) // qw + 2, (size - 1) // (qh * qw) + 2
    line_at = round_up(6 * (size + 1), 16)
    padded_at = line_at + round_up(4 * pitch + 64, 16)
    packed_at = padded_at + round_up((4 * lines + 2 * images + 6) * 4 * pitch + 64, 16)
    seen_at = packed_at + panels * 36 * WN + 64
    products_at = seen_at + 36 * (channels * size + WN) + 64
    work = round_up(products_at + some * panels * 36 * APART + 64, 16)
    geometry = winograd.Geometry(
        batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, tiles=tiles, qh=qh,
        qw=qw, oh=out[0], ow=out[1], tall=tall, top=-pad[0], left=-pad[1], pitch=pitch, size=size, blocks=blocks,
        some=some, line_at=line_at, padded_at=padded_at, packed_at=packed_at, seen_at=seen_at, products_at=products_at,
        work=work, biased=biased, relu=relu,
    )  # fmt: skip
    return Plan(np.array(geometry, np.int64), blocks * groups, work * threads.count(), tiles)


def suits(kernel, stride, dilation, batch: int, channels: int, rows: int, out: tuple[int, int]) -> bool:
    """Whether a convolution has the form that Winograd's serves, and gains by it."""
    return kernel == (3, 3) and stride == dilation == (1, 1) and pays(batch, channels, rows, out)


def convolve(x, w, bias, y, plan: Plan, rows: int, channels: int, groups: int, across: int, along: int,
             flip: bool) -> None:  # fmt: skip
    """Runs the plan; `across` and `along` are the strides of rows and channels in w, `flip` turns the taps around."""
    u = threads.scratch("weights", groups * 36 * (plan.tiles * channels + 1) * WM)
    work = threads.scratch("work", max(plan.scratch, 64 * VL * threads.count()))
    threads.run(winograd.transform_weights, groups * plan.tiles, w, u, work, rows, plan.tiles, channels,
                w.size // groups, across, along, flip)  # fmt: skip
    threads.run(winograd.convolve_block, plan.items, x, u, bias, y, work, plan.table)


# Items that an update is cut into at least, whatever the thread count, and channels that an item takes at most.
SHARES, CHANNELS = 4, 64
# Squares times channels of a block.
UPDATED = 16 * 1024


def update(batch: int, groups: int, channels: int, rows: int, image: tuple[int, int], out: tuple[int, int],
           pad: tuple[int, int]) -> tuple[Plan, int, int]:  # fmt: skip
    """The plan of an update; then the items that add shares, and the floats that shares are kept in."""
    qh, qw, panels = -(-out[0] // 4), -(-out[1] // 4), -(-rows // WN)
    tiles, total = -(-channels // WM), batch * qh * qw
    parts = -(-channels // CHANNELS)
    shares = max(1, min(SHARES // (parts * groups), total // 64))
    parts = min(tiles, max(parts, -(-2 * threads.count() // (shares * groups))))
    some = -(-tiles // parts)
    parts = -(-tiles // some)
    size = min(round_up(total, 4), max(32, UPDATED // max(panels * WN, min(channels, CHANNELS))))
    blocks = -(-total // size)
    shares = min(shares, blocks)
    square_at = 6 * (4 * RUN + 2) * VL
    dy_at = square_at + 64 * VL
    x_at = dy_at + 36 * (panels * size + 1) * WN
    work = round_up(x_at + 36 * (some * size + 1) * WM + 64, 16)
    geometry = winograd_weights.Geometry(
        batch=batch, groups=groups, channels=channels, height=image[0], width=image[1], rows=rows, panels=panels,
        qh=qh, qw=qw, oh=out[0], ow=out[1], top=-pad[0], left=-pad[1], size=size, blocks=blocks, shares=shares,
        some=some, parts=parts, turned_at=0, square_at=square_at, dy_at=dy_at, x_at=x_at, work=work,
    )  # fmt: skip
    items = shares * groups * parts
    kept = (items if shares > 1 else threads.count()) * 36 * some * panels * WM * WN
    plan = Plan(np.array(geometry, np.int64), items, work * threads.count(), shares)
    return plan, groups * parts, kept


def add_update(dy, x, dw, plan: Plan, sums: int, kept: int) -> None:
    """Runs the plan of an update."""
    work, shares = threads.scratch("work", plan.scratch), threads.scratch("weights", kept)
    threads.run(winograd_weights.sum_share, plan.items, x, dy, dw, shares, work, plan.table)
    if plan.tiles > 1:
        threads.run(winograd_weights.add_shares, sums, dw, shares, work, plan.table)
