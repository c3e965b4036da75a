"""The update of convolutions with one tap where one side has few channels: dw[m, c] += the scalar product of planes m
of dy and c of x, both read where they lie. Register tiles that hold one side's channels in vectors would be wasted."""

from . import threads
from .dots import make_open
from .gather import summed
from .native import fields, helper, task, unpack
from .plan import Plan
from .simd import ZERO, shift
from .thin_plan import ROWS, SIZES, SUMS, Geometry
from .weights import add_up

geometry = fields(Geometry)
FIRST, LATER = ({n: make_open(n, fetched) for n in SIZES} for fetched in (True, False))


@helper
def add_sums(p, apart, rows, n, images, step, sums, more):
    """sums[i] (+)= the sum of row i, over n pixels of some images."""
    for i in range(rows):
        s = ZERO
        for k in range(images):
            s += summed(shift(p, i * apart + k * step), n)
        sums[i] = sums[i] + s if more else s


@helper
def kept_floats(g):
    """Of the sums of an item: tiles, and then the bias's."""
    tiles = (g.some + ROWS - 1) // ROWS * ((g.thin + g.lines - 1) // g.lines)
    return tiles * SUMS + max(g.some, g.thin)


def make_sum(n):
    first_tile, later_tile = FIRST[n], LATER[n]

    def sum_thin(job, item, thread):
        """kept[share, group, part, wide / ROWS, thin / lines, ROWS, lines], and then sums of rows of dy."""
        x, dy, kept, table = unpack(job, "aaan")
        g = geometry(table)
        part, group, share = item % g.parts, item // g.parts % g.groups, item // (g.parts * g.groups)
        rows = min(g.some, g.wide - part * g.some)
        wide, thin = (x, dy) if g.turned else (dy, x)
        wide = shift(wide, (group * g.wide + part * g.some) * g.plane)
        thin = shift(thin, group * g.thin * g.plane)
        wide_step, thin_step = g.groups * g.wide * g.plane, g.groups * g.thin * g.plane
        across = (g.plane + g.size - 1) // g.size
        kept = shift(kept, item * kept_floats(g))
        own = shift(kept, kept_floats(g) - max(g.some, g.thin))
        begun = share * g.blocks // g.shares
        for block in range(begun, (share + 1) * g.blocks // g.shares):
            image, q, more = block // across * g.images, block % across * g.size, block > begun
            images, size = min(g.images, g.batch - image), min(g.size, g.plane - q)
            a, b = shift(wide, image * wide_step + q), shift(thin, image * thin_step + q)
            if g.biased and g.turned and part == 0:
                add_sums(b, g.plane, g.thin, size, images, thin_step, own, more)
            for m in range(0, rows, ROWS):
                p = shift(a, m * g.plane)
                later, sums = shift(p, ROWS * g.plane), shift(kept, m // ROWS * ((g.thin + n - 1) // n) * SUMS)
                some = min(ROWS, rows - m)
                first_tile(p, some, wide_step, b, g.thin, thin_step, g.plane, size, images, later, sums, more)
                for k in range(n, g.thin, n):
                    c, sums = shift(b, k * g.plane), shift(sums, SUMS)
                    later_tile(p, some, wide_step, c, g.thin - k, thin_step, g.plane, size, images, later, sums, more)
                if g.biased and not g.turned:
                    add_sums(p, g.plane, some, size, images, wide_step, shift(own, m), more)

    sum_thin.__name__ = sum_thin.__qualname__ = f"sum_thin{n}"
    return task(sum_thin)


TASKS = {n: make_sum(n) for n in SIZES}
# Other processes find a task by its name in this module.
globals().update((t.function.__name__, t) for t in TASKS.values())


@helper
def add_own(own, apart, shares, n, db):
    """db[i] += the sum of all shares' sums of row i."""
    for i in range(n):
        for share in range(shares):
            db[i] += own[share * apart + i]


@task
def add_thin(job, item, thread):
    """dw += the sums of all shares for ROWS rows of the wider side in one group, and db those of the rows of dy."""
    dw, db, kept, table = unpack(job, "aaan")
    g = geometry(table)
    across, tiles = (g.some + ROWS - 1) // ROWS, (g.thin + g.lines - 1) // g.lines
    part, group = item // across % g.parts, item // (across * g.parts)
    row, floats = item % across * ROWS, kept_floats(g)
    apart, first = g.parts * g.groups * floats, part * g.some + row
    kept = shift(kept, (group * g.parts + part) * floats)
    sums, own = shift(kept, item % across * tiles * SUMS), shift(kept, floats - max(g.some, g.thin))
    add_up(sums, apart, g.shares, tiles * SUMS, sums)
    dw, rows = shift(dw, group * g.wide * g.thin), min(ROWS, g.wide - first, g.some - row)
    for k in range(0, g.thin, g.lines):
        for i in range(rows):
            for j in range(min(g.lines, g.thin - k)):
                at = (k + j) * g.wide + first + i if g.turned else (first + i) * g.thin + k + j
                dw[at] += sums[k // g.lines * SUMS + i * g.lines + j]
    if g.biased and not g.turned:
        add_own(shift(own, row), apart, g.shares, rows, shift(db, group * g.wide + first))
    elif g.biased and first == 0:
        add_own(own, apart, g.shares, g.thin, shift(db, group * g.thin))


def add_update(dy, x, dw, db, plan: tuple[Plan, int, int, int]) -> None:
    """Runs the plan."""
    (table, items, _), sums, kept, lines = plan
    shares = threads.scratch("weights", kept)
    threads.run(TASKS[lines], items, x, dy, shares, table)
    threads.run(add_thin, sums, dw, db, shares, table)
