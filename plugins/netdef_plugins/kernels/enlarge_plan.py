"""When the results of a backward pass are spread place by place, and how that is cut."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .plan import BLOCK, ITEMS_PER_THREAD, Plan, apart, round_up, scratch
from .simd import VL
from .tile import MR, NR

Pair = tuple[int, int]
# Places whose results are written together, at most, if it is not a longer row.
RUN = 128


class Geometry(NamedTuple):
    """Everything an item needs to know; the panels and then the pieces follow it in memory."""

    groups: int
    channels: int  # of dy, in a group
    rows: int  # channels of dx, in a group
    h: int
    w: int
    oh: int
    ow: int
    kernel: int  # taps of a channel
    below: int  # in the weights, from a tap to the next that a result meets, down and right
    sh: int
    sw: int
    ph: int
    pw: int
    th: int  # taps that results meet at most
    tw: int
    top: int  # the first place that has results
    left: int
    qh: int  # places of an image
    qw: int
    places: int  # of all images, and of a block
    size: int
    blocks: int
    run: int  # places whose results are written together, row by row of dx
    panels: int
    part: int  # of them in an item
    parts: int
    at_at: int  # where what a panel meets, its weights, its results and the copy of dy begin in the scratch
    kept_at: int
    c_at: int
    copy_at: int
    work: int


class Panel(NamedTuple):
    """NR results of each place, or fewer, that meet as many pixels."""

    down: int
    across: int
    wide: int  # whether there are more than VL of them
    first: int  # piece, and last + 1
    last: int


class Piece(NamedTuple):
    """VL results in a row of dx, or fewer."""

    lane: int  # in the panel
    size: int
    source: int  # where their first taps lie in the weights of a channel of dy
    target: int  # where they lie in dx, from the first result of a place on, and how far down and right from it
    down: int
    right: int


def kinds(kernel: Pair, stride: Pair) -> list[tuple[range, range, int, int]]:
    """The results of a place by how many taps meet them: their rows and columns, and those taps down and right."""
    down, right = (_met(*axis) for axis in zip(kernel, stride, strict=True))
    return [(rows, columns, m, n) for rows, m in down for columns, n in right]


def _met(size: int, stride: int) -> list[tuple[range, int]]:
    """The results along one axis, and how many of `size` taps each meets."""
    most, more = -(-size // stride), (size - 1) % stride + 1
    return [(found, n) for found, n in ((range(more), most), (range(more, stride), most - 1)) if found]


def suits(kernel: Pair, stride: Pair, dilation: Pair, channels: int, rows: int) -> bool:
    """Whether a backward pass from so many channels of dy in a group to so many of dx gains by it, in cycles a place
    measured on one core: products of vectors, and the way into dx in pieces or merged by correlate."""
    if dilation != (1, 1) or stride == (1, 1):
        return False
    merged = 0.25 if stride[1] in (1, 2, 4) else 3 if stride[1] == 3 else 5
    products = sum(-(-rows * len(a) * len(b) // VL) * m * n for a, b, m, n in kinds(kernel, stride))
    pieces = sum(rows * len(a) * -(-len(b) // VL) for a, b, _, _ in kinds(kernel, stride))
    other = kernel[0] * kernel[1] * round_up(rows, MR) / VL
    return channels * products + 4 * pieces < channels * other + rows * stride[0] * stride[1] * merged


def _panels(rows: int, image: Pair, kernel: Pair, stride: Pair) -> tuple[list[Panel], list[Piece]]:
    panels, pieces = [], []
    for a, b, m, n in kinds(kernel, stride):
        results = [(c, i, j) for c in range(rows) for i in a for j in b]
        for first in range(0, len(results), NR):
            some, lane, begin = results[first : first + NR], 0, len(pieces)
            while lane < len(some):
                c, i, j = some[lane]
                size = min(VL, b[-1] + 1 - j, len(some) - lane)
                source, target = ((c * tall + i) * wide + j for tall, wide in (kernel, image))
                pieces.append(Piece(lane, size, source, target, i, j))
                lane += size
            panels.append(Panel(m, n, len(some) > VL, begin, len(pieces)))
    return panels, pieces


@lru_cache(maxsize=1024)
def plan(batch: int, groups: int, channels: int, rows: int, out: Pair, image: Pair, kernel: Pair, stride: Pair,
         pad: Pair, count: int) -> Plan:  # fmt: skip
    """The plan of a pass from dy[batch, groups * channels, *out] to dx[batch, groups * rows, *image]."""
    panels, pieces = _panels(rows, image, kernel, stride)
    top, left = (p // s for p, s in zip(pad, stride, strict=True))
    qh, qw = (-(-(image[i] + pad[i]) // stride[i]) - pad[i] // stride[i] for i in range(2))
    th, tw = (-(-k // s) for k, s in zip(kernel, stride, strict=True))
    places, wanted = batch * qh * qw, -(-ITEMS_PER_THREAD * count // groups)

    def copied(size):
        lines, images = (size - 1) // qw + 2, (size - 1) // (qh * qw) + 2
        return channels * (lines + images * (th - 1)) * (qw + tw - 1)

    depth, run = channels * th * tw, qw * max(1, RUN // qw)
    part = max(1, min(-(-len(panels) // wanted), BLOCK // 2 // (depth * NR)))
    parts = -(-len(panels) // part)
    size = round_up(-(-places // -(-wanted // parts)), run)
    while size > run and copied(size) + 12 * size > BLOCK:
        size -= run
    at_at = round_up(12 * (size + MR), 16)
    kept_at = at_at + round_up(2 * part * depth, 16)
    c_at = kept_at + round_up(part * depth * NR, 16)
    copy_at = c_at + round_up((run + MR) * NR + VL, 16)
    g = Geometry(
        groups=groups, channels=channels, rows=rows, h=image[0], w=image[1], oh=out[0], ow=out[1],
        kernel=kernel[0] * kernel[1], below=stride[0] * kernel[1], sh=stride[0], sw=stride[1], ph=pad[0], pw=pad[1],
        th=th, tw=tw, top=top, left=left, qh=qh, qw=qw, places=places, size=size, blocks=-(-places // size), run=run,
        panels=len(panels), part=part, parts=parts, at_at=at_at, kept_at=kept_at, c_at=c_at, copy_at=copy_at,
        work=apart(copy_at + copied(size)),
    )  # fmt: skip
    table = np.array([*g, *(n for one in (*panels, *pieces) for n in one)], np.int64)
    return Plan(table, groups * g.blocks * g.parts, scratch(g.work))
