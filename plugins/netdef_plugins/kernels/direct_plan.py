"""Who is convolved plane by plane, in items of how many planes, and what they are told."""

from functools import lru_cache

import numpy as np

from . import threads
from .direct import BACKWARD, FORWARD, SIZES, Geometry, rows_of
from .direct_weights import BOTH, UPDATE
from .simd import VL
from .strips import ROWS

# Floats of the planes of an item, about: long ways through memory for whoever fetches ahead. An item of weights goes
# through all images for them, and has sums to keep.
LONG, SHORT = 128 * 1024, 8 * 1024
# Channels times outputs of a group at most, by kind, and where two planes share a vector: beyond, bands or Winograd's
# form measured faster. With a stride, pixels are sorted anew for every output, which bands do once.
MOST = {
    "forward": dict(zip(SIZES, ((256, 1024), (64, 64), (64, 64), (64, 64), (64, 64)), strict=True)),
    "backward": dict(zip(SIZES, ((256, 1024), (1024, 1024), (64, 64), (64, 64), (64, 64)), strict=True)),
    "update": dict(zip(SIZES, ((128, 64), (64, 64), (64, 64), (16, 16), (4, 16)), strict=True)),
}
# The most of them for half as many registers, which hold fewer rows: bands are sooner better.
FEW = 64 if VL == 8 else 1024
# Floats of bands that stay in the first cache, beside results and what is on its way.
CLOSE = 1536
# Floats of images and results that do not stay in the last cache.
MANY = 4 * 1024 * 1024


def suits(weights, stride, dilation, group: int, columns: int, part: str) -> bool:
    """Whether a pass ("forward", "backward", "update") of so many columns of results is done here: groups are small,
    and there is a kernel for weights [M, C / group, K, K]."""
    kind = weights[2], stride[0]
    square = weights[2] == weights[3] and stride[0] == stride[1] and dilation == (1, 1)
    most = MOST[part][kind][parts(columns) - 1] if kind in SIZES else 0
    return square and weights[1] * weights[0] <= min(FEW, most) * group


def parts(columns: int) -> int:
    """How many planes share a vector."""
    return 2 if 2 * columns <= VL else 1


@lru_cache(maxsize=1024)
def _table(planes, most, x, y, channels, size, pad, order, rows, together, both, biased, relu, count):
    """The geometry, how many items there are, and floats of scratch: from shapes of x and y, the channels of a group,
    the order of weights, how many rows of x a band moves on, and how many planes are met together."""
    (batch, every, *image), (_, outputs, *out), groups = x, y, x[1] // channels
    some = max(1, min(most, planes // (4 * count)))
    some += some % together
    ahead = batch * (every * image[0] * image[1] + outputs * out[0] * out[1]) > MANY
    bands, work = max(1, CLOSE // (rows * image[1])), (some * both * size * size + 1) * VL
    counts = planes, some, batch, groups, channels, outputs // groups
    sizes = *counts, *image, *out, *pad, *order, bands, ahead, work, biased, relu
    return np.array(Geometry(*sizes), np.int64), -(-planes // some), work * count


def _fitting(floats: int, x, y) -> int:
    """Planes of so many floats, about."""
    return floats // max(x.shape[2] * x.shape[3], y.shape[2] * y.shape[3])


def forward(x, w, b, y, stride, pad, dilation, relu) -> None:
    """As conv2d.forward, where it suits."""
    (_, channels, size, _), step, n = w.shape, stride[0], parts(y.shape[3])
    order, planes, ends = (channels * size**2, size**2, 0, 1), y.shape[0] * y.shape[1], (b is not None, relu)
    kind, outputs = (size, step, n, channels == 1), w.shape[0] * channels // x.shape[1]
    both = 2 if (*kind, 2) in FORWARD and outputs % 2 == 0 else 1
    sizes = channels, size, tuple(pad), order, rows_of(both) * step * channels, max(n, both), 1, *ends, threads.count()
    table, items, _ = _table(planes, _fitting(LONG, x, y), x.shape, y.shape, *sizes)
    threads.run(FORWARD[(*kind, both)], items, x, w, b, y, table)


def backward(dy, w, dx, stride, pad, dilation) -> None:
    """As conv2d.backward, where it suits: without a stride, a forward pass with kernels turned around."""
    (_, channels, size, _), step, planes = w.shape, stride[0], dx.shape[0] * dx.shape[1]
    taps, ends, most = size**2, (1, False, False, threads.count()), _fitting(LONG, dx, dy)
    outputs = w.shape[0] * channels // dx.shape[1]
    if step == 1:
        n, around = parts(dx.shape[3]), tuple(size - 1 - p for p in pad)
        order, rows = (taps, channels * taps, taps - 1, -1), ROWS * outputs
        table, items, _ = _table(planes, most, dy.shape, dx.shape, outputs, size, around, order, rows, n, *ends)
        threads.run(FORWARD[size, step, n, outputs == 1, 1], items, dy, w, None, dx, table)
    else:
        n, order = parts(-(-(dx.shape[3] + pad[1]) // step) - pad[1] // step), (channels * taps, taps, 0, 1)
        sizes = channels, size, tuple(pad), order, ROWS // 2 * step * outputs, n, *ends
        table, items, _ = _table(planes, most, dx.shape, dy.shape, *sizes)
        threads.run(BACKWARD[size, step, n, outputs == 1, 1], items, dy, w, dx, table)


def update(dy, x, dw, db, stride, pad, dilation) -> None:
    """As conv2d.update, where it suits."""
    (_, channels, size, _), step, n = dw.shape, stride[0], parts(dy.shape[3])
    outputs = dw.shape[0] * channels // x.shape[1]
    both = BOTH.get((size, step), 1) if channels > 1 and outputs % 2 == 0 else 1
    group, order = outputs // both * channels, (channels * size**2, size**2, 0, 1)
    most = max(_fitting(SHORT, x, dy), group if channels > 1 else 1)
    sizes = channels, size, tuple(pad), order, ROWS * step, n, both, db is not None, False, threads.count()
    table, items, floats = _table(dw.shape[0] // both * channels, most, x.shape, dy.shape, *sizes)
    threads.run(UPDATE[size, step, n, both], items, dy, x, dw, db, threads.scratch("work", floats), table)
