"""Products of a small batch with a large matrix, which is read once and where it lies; BLAS would pack it first."""

import numpy as np

from . import threads
from .native import task, unpack
from .simd import VL, ZERO, load, shift, store
from .tile import MR, NR, make_open_tile, make_row_tile, tile
from .turn import turn

row_tile, open_tile = make_row_tile(MR, 1), make_open_tile(VL, 1)
# Rows of w in an item of `dots`, and numbers that are summed before they leave the registers.
ROWS, DEPTH = 8 * VL, 512
# Columns of w in an item of `mix`, and rows that are met at a time: together they stay in a first-level cache.
COLUMNS, STEPS = 16 * VL, 32
# The batches that gain by it.
LEAST, MOST = 4, 3 * VL
# Floats of a thread's scratch in `dots`: a tile may begin MR rows before an item's first and end MR behind its last.
SUMS = MR * VL + (ROWS + MR) * MOST


def suits(x, w) -> bool:
    """Whether a product of x[N, ...] and a matrix w is quicker here than by BLAS."""
    return x.dtype == np.float32 and LEAST <= len(x) <= MOST and min(w.shape) >= 2 * VL and w.flags.c_contiguous


@task
def turn_batch(job, item, thread):
    """out[panel, k, VL] = VL records of x[N, K] side by side, for one run of k; the last panel repeats its last."""
    x, out, n, width, run = unpack(job, "aaiii")
    first = item * run
    for p in range(0, n, VL):
        for k in range(first, min(width, first + run), VL):
            count = min(VL, width - k)
            turn(shift(x, p * width + k), width, n - p, count, shift(out, (p // VL * width + k) * VL), VL, VL)


@task
def dot_rows(job, item, thread):
    """y[N, M] = x w^T for ROWS rows of w[M, K]; x comes as turn_batch leaves it."""
    x, w, y, work, n, m, width = unpack(job, "aaaaiii")
    first = item * ROWS
    last = min(m, first + ROWS)
    sums = shift(work, thread * SUMS + MR * VL)
    for p in range(0, n, VL):
        part = shift(sums, p * (ROWS + MR))
        for row in range(first, last, MR):
            begin = min(row, m - MR)  # the last tile computes some rows again
            at = shift(part, (begin - first) * VL)
            for k in range(0, width, DEPTH):
                panel, depth = shift(x, (p // VL * width + k) * VL), min(DEPTH, width - k)
                row_tile(shift(w, begin * width + k), panel, width, at, depth, VL, k > 0)
        for row in range(first, last, VL):
            rows = min(VL, last - row)
            turn(shift(part, (row - first) * VL), VL, rows, min(VL, n - p), shift(y, p * m + row), m, rows)


@task
def mix_columns(job, item, thread):
    """y[N, K] = x w for COLUMNS columns of w[M, K]; x[N, M] comes as turn_batch leaves it."""
    x, w, y, work, n, m, width = unpack(job, "aaaaiii")
    first = item * COLUMNS
    last = min(width, first + COLUMNS)
    sums = shift(work, thread * COLUMNS * MOST)
    for row in range(0, m, STEPS):
        rows = min(STEPS, m - row)
        for p in range(0, n, VL):
            for k in range(first, last, VL):
                begin = min(k, width - VL)  # the last tile meets some columns again
                at = shift(sums, p * COLUMNS + (k - first) * VL)
                open_tile(
                    shift(x, (p // VL * m + row) * VL), shift(w, row * width + begin), width, at, rows, VL, row > 0
                )
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
        for j in range(NR):
            target[j] = source[j] if j < count else ZERO


@task
def add_outer(job, item, thread):
    """dw[M, K] += dy^T x for MR rows; x comes as pack_batch leaves it."""
    dy, x, dw, work, n, m, width = unpack(job, "aaaaiii")
    first = item * MR
    rows = min(MR, m - first)
    a = shift(work, thread * (MOST + NR) * MR)
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


def dots(x, w, y) -> None:
    """y[N, M] = x[N, K] w[M, K]^T."""
    work = threads.scratch("work", SUMS * threads.count())
    threads.run(dot_rows, -(-len(w) // ROWS), _turned(x), w, y, work, len(x), *w.shape)


def mix(x, w, y) -> None:
    """y[N, K] = x[N, M] w[M, K]."""
    work = threads.scratch("work", COLUMNS * MOST * threads.count())
    threads.run(mix_columns, -(-w.shape[1] // COLUMNS), _turned(x), w, y, work, len(x), *w.shape)


def update(dy, x, dw) -> None:
    """dw[M, K] += dy[N, M]^T x[N, K]."""
    n, width = x.shape
    panels = -(-width // NR)
    packed, work = (
        threads.scratch("weights", panels * n * NR),
        threads.scratch("work", (MOST + NR) * MR * threads.count()),
    )
    threads.run(pack_batch, panels, x, packed, n, width)
    threads.run(add_outer, -(-len(dw) // MR), dy, packed, dw, work, n, *dw.shape)
