"""The update of a convolution of few channels: dw[m, line] += the scalar product of dy[m] and the line, the pixels that
a tap of a channel meets, which stand side by side as bands.lay leaves them."""

from .bands import geometry, lay
from .dots import LINES, dot_tile
from .gather import clear
from .native import task, unpack
from .simd import ONE, ZERO, shift
from .thin_plan import ROWS, SUMS


@task
def sum_bands(job, item, thread):
    """kept[share, group, rows / ROWS, lines / LINES, ROWS, LINES]: the products of one share of the bands."""
    x, dy, kept, work, table = unpack(job, "aaaan")
    g = geometry(table)
    columns, depth, plane = shift(table, len(g)), g.channels * g.taps, g.qh * g.qw
    downs, share, group = shift(columns, g.columns), item // g.groups, item % g.groups
    lines = shift(downs, g.phases)
    tiles, copies = (depth + g.biased + LINES - 1) // LINES, shift(work, thread * g.work)
    sums = shift(kept, item * ((g.rows + ROWS - 1) // ROWS) * tiles * SUMS)
    blocks = (g.batch + g.images - 1) // g.images * g.bands
    begun = share * blocks // g.shares
    for block in range(begun, (share + 1) * blocks // g.shares):
        image, first = block // g.bands * g.images, block % g.bands * g.tall
        count, size = min(g.images, g.batch - image), min(g.tall, g.qh - first) * g.qw
        for i in range(count):
            mine = shift(copies, i * g.step)
            source = ((image + i) * g.groups + group) * g.channels * g.height * g.width
            lay(g, shift(x, source), first, columns, downs, mine)
            if g.biased:
                clear(shift(mine, lines[depth]), size, ONE)
        for m in range(0, g.rows, ROWS):
            d = shift(dy, ((image * g.groups + group) * g.rows + m) * plane + first * g.qw)
            for k in range(tiles):
                at = shift(sums, (m // ROWS * tiles + k) * SUMS)
                later = shift(d, (ROWS + k) * plane) if k < ROWS and m + ROWS + k < g.rows else d
                dot_tile(d, plane, min(ROWS, g.rows - m), g.groups * g.rows * plane, copies, shift(lines, k * LINES),
                         g.step, size, count, later, at, block > begun)  # fmt: skip


@task
def add_bands(job, item, thread):
    """dw[m, line] += the sums of all shares for ROWS rows of one group, and db[m] those of the line of ones."""
    dw, db, kept, table = unpack(job, "aaan")
    g = geometry(table)
    depth, parts = g.channels * g.taps, (g.rows + ROWS - 1) // ROWS
    tiles, part, group = (depth + g.biased + LINES - 1) // LINES, item % parts, item // parts
    row0 = group * g.rows + part * ROWS
    for i in range(min(ROWS, g.rows - part * ROWS)):
        for k in range(depth + g.biased):
            total = ZERO
            for share in range(g.shares):
                mine = ((share * g.groups + group) * parts + part) * tiles + k // LINES
                total += kept[mine * SUMS + i * LINES + k % LINES]
            if k < depth:
                dw[(row0 + i) * depth + k] += total
            else:
                db[row0 + i] += total
