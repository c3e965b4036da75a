"""Products of a batch with a matrix, which is read once and where it lies, or packed a cache at a time."""

import numpy as np

from . import threads
from .native import helper, task, unpack
from .simd import VL, ZERO, greater, load, load_first, shift, splat, store
from .tile import MR, NR, make_open_tile, make_row_tile, tile
from .turn import turn

row_tile, open_tile = make_row_tile(MR, 1), make_open_tile(VL, 1)
# Rows of w in an item of `dots`, at most, and numbers that are summed before they leave the registers.
ROWS, DEPTH = 8 * VL, 512
# Columns of w in an item of `mix`, at most, and rows that are met at a time: together they stay in a cache.
COLUMNS, STEPS = 16 * VL, 32
# The smallest batch that gains by it, the largest that meets the rows of w where they lie, and records met at a time.
LEAST, OPEN, MOST = 4, 3 * VL, 8 * VL
# Floats of a thread's scratch: in `dots` a tile may begin MR rows before an item's first and end MR behind its last.
SUMS, MIXED, OUTER = MR * VL + (ROWS + MR) * MOST, COLUMNS * (MOST + STEPS), (MOST + NR) * MR


def suits(x, w) -> bool:
    """Whether a product of x[N, ...] and a matrix w is quicker here than by BLAS."""
    return x.dtype == np.float32 and len(x) >= LEAST and len(w) >= MR and w.shape[1] >= VL and w.flags.c_contiguous


@task
def turn_batch(job, item, thread):
    """out[panel, k, VL] = VL records of x[N, K] side by side, for one run of k; the last panel repeats its last."""
    x, out, n, width, run = unpack(job, "aaiii")
    first = item * run
    for p in range(0, n, VL):
        for k in range(first, min(width, first + run), VL):
            count = min(VL, width - k)
            turn(shift(x, p * width + k), width, n - p, count, shift(out, (p // VL * width + k) * VL), VL, VL)


@helper
def finish(part, rows, bias, biased, relu):
    """part[rows, VL] + bias[rows], then, where relu is set, the larger of that and 0; NaN stays NaN."""
    for i in range(rows):
        v = load(shift(part, i * VL))
        if biased:
            v = v + splat(bias[i])
        store(shift(part, i * VL), greater(splat(ZERO), v) if relu else v)


@task
def dot_rows(job, item, thread):
    """y[N, M] = x w^T + bias for some rows of w[M, K]; x comes as turn_batch leaves it."""
    x, w, bias, y, work, n, m, width, some, biased, relu = unpack(job, "aaaaaiiiiii")
    first = item * some
    last = min(m, first + some)
    sums = shift(work, thread * SUMS + MR * VL)
    for p in range(0, n, VL):
        part = shift(sums, p * (ROWS + MR))
        for row in range(first, last, MR):
            begin = min(row, m - MR)  # the last tile computes some rows again
            at = shift(part, (begin - first) * VL)
            for k in range(0, width, DEPTH):
                panel, depth = shift(x, (p // VL * width + k) * VL), min(DEPTH, width - k)
                row_tile(shift(w, begin * width + k), panel, width, at, depth, VL, k > 0)
        if biased or relu:
            finish(part, last - first, shift(bias, first), biased, relu)
        for row in range(first, last, VL):
            rows = min(VL, last - row)
            turn(shift(part, (row - first) * VL), VL, rows, min(VL, n - p), shift(y, p * m + row), m, rows)


@helper
def pack_block(w, rows, width, first, last, out):
    """out[columns / VL, STEPS, VL] = columns first .. last - 1 of some rows; the last VL may stand there twice."""
    for r in range(rows):
        for k in range(first, last, VL):
            store(shift(out, (k - first) * STEPS + r * VL), load(shift(w, r * width + min(k, width - VL))))


@task
def mix_columns(job, item, thread):
    """y[N, K] = x w for some columns of w[M, K]; x[N, M] comes as turn_batch leaves it."""
    x, w, y, work, n, m, width, some = unpack(job, "aaaaiiii")
    first = item * some
    last = min(width, first + some)
    sums = shift(work, thread * MIXED)
    packed = shift(sums, COLUMNS * MOST)
    for row in range(0, m, STEPS):
        rows, lines = min(STEPS, m - row), shift(w, row * width)
        if n > OPEN:
            pack_block(lines, rows, width, first, last, packed)
        for p in range(0, n, VL):
            for k in range(first, last, VL):
                panel, at = shift(x, (p // VL * m + row) * VL), shift(sums, p * COLUMNS + (k - first) * VL)
                if n > OPEN:
                    open_tile(panel, shift(packed, (k - first) * STEPS), VL, at, rows, VL, row > 0)
                else:  # the last tile meets some columns again
                    open_tile(panel, shift(lines, min(k, width - VL)), width, at, rows, VL, row > 0)
    for p in range(0, n, VL):
        for k in range(first, last, VL):
            at = shift(sums, p * COLUMNS + (k - first) * VL)
            for i in range(min(VL, n - p)):
                store(shift(y, (p + i) * width + min(k, width - VL)), load(shift(at, i * VL)))


@task
def pack_batch(job, item, thread):
    """out[panel, N, NR] from x[N, K], for one panel; zeros past the last column."""
    x, out, n, width = unpack(job, "aaii")
    count = min(NR, width - item * NR)
    for i in range(n):
        source, target = shift(x, i * width + item * NR), shift(out, (item * n + i) * NR)
        for j in range(0, NR, VL):
            store(shift(target, j), load_first(shift(source, j), count - j))


@task
def add_outer(job, item, thread):
    """dw[M, K] += dy^T x for MR rows; x comes as pack_batch leaves it."""
    dy, x, dw, work, n, m, width = unpack(job, "aaaaiii")
    first = item * MR
    rows = min(MR, m - first)
    a = shift(work, thread * OUTER)
    c = shift(a, MOST * MR)
    for i in range(n):
        for j in range(MR):
            a[i * MR + j] = dy[i * m + first + j] if j < rows else ZERO
    for k in range(0, width, NR):
        out, count = shift(dw, first * width + k), min(NR, width - k)
        panel = shift(x, k * n)
        if rows == MR and count == NR:
            tile(a, panel, out, n, width, True)
        else:
            tile(a, panel, c, n, NR, False)
            for i in range(rows):
                for j in range(count):
                    out[i * width + j] += c[i * NR + j]


def _turned(x):
    n, width = x.shape
    out, run = threads.scratch("weights", -(-n // VL) * VL * width), 16 * VL
    threads.run(turn_batch, -(-width // run), x, out, n, width, run)
    return out


def _some(size: int, unit: int, most: int) -> int:
    """How much of `size` an item takes, in units, for all threads to have as much to do."""
    share = 2 * threads.count()
    items = -(-size // (most * share)) * share
    return min(most, -(-size // (items * unit)) * unit)


def _chunks(n: int):
    return (slice(i, i + MOST) for i in range(0, n, MOST))


def dots(x, w, y, bias=None, relu: bool = False) -> None:
    """y[N, M] = x[N, K] w[M, K]^T + bias (or None), rectified where relu is set; NaN stays NaN."""
    work, some = threads.scratch("work", SUMS * threads.count()), _some(len(w), MR, ROWS)
    for part in _chunks(len(x)):
        arrays = _turned(x[part]), w, bias, y[part], work
        threads.run(dot_rows, -(-len(w) // some), *arrays, len(x[part]), *w.shape, some, bias is not None, relu)


def mix(x, w, y) -> None:
    """y[N, K] = x[N, M] w[M, K]."""
    work, some = threads.scratch("work", MIXED * threads.count()), _some(w.shape[1], VL, COLUMNS)
    for part in _chunks(len(x)):
        arrays = _turned(x[part]), w, y[part], work
        threads.run(mix_columns, -(-w.shape[1] // some), *arrays, len(x[part]), *w.shape, some)


def update(dy, x, dw) -> None:
    """dw[M, K] += dy[N, M]^T x[N, K]."""
    panels, work = -(-x.shape[1] // NR), threads.scratch("work", OUTER * threads.count())
    packed = threads.scratch("weights", panels * min(MOST, len(x)) * NR)
    for part in _chunks(len(x)):
        n, width = x[part].shape
        threads.run(pack_batch, panels, x[part], packed, n, width)
        threads.run(add_outer, -(-len(dw) // MR), dy[part], packed, dw, work, n, *dw.shape)
