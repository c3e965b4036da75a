"""The update of many weights from few pixels, such as those of a net that was turned fully convolutional: each is read
and written once. A row of them is what a row of dy makes of the windows it meets, laid side by side."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from . import threads
from .gather import clear
from .interleave import split1
from .native import fields, helper, task, unpack
from .plan import Plan
from .pointwise import row_places
from .simd import I64, VL, ZERO, first_lanes, masked_load, masked_store, shift
from .tile import MR, NR, NV, Loop, multiply_add, prefetch, zeros
from .turn import turn
from .window_plan import Geometry

geometry = fields(Geometry)


def _vectors(bld, p):
    return [bld.gep(p, [ir.Constant(I64, v * VL)]) for v in range(NV)]


@intrinsic
def add_tile(typingctx, dy, plane, rows, images, step, windows, pitch, dw, depth, lines):
    """dw[i, j] += the sum over the pixels of all images, `step` apart, of dy[i, p] * windows[p, j] for i < rows and
    j < lines, at most MR and NR. Rows of dw are `depth` floats apart; they come nearer while the sums are made."""

    def codegen(context, bld, signature, args):
        dy, plane, rows, images, step, windows, pitch, dw, depth, lines = args
        masks = [first_lanes(bld, bld.sub(lines, ir.Constant(I64, v * VL))) for v in range(NV)]
        begins, places = row_places(bld, dy, plane, rows, MR), row_places(bld, dw, depth, rows, MR)
        for place in places:
            for p in [*_vectors(bld, place), bld.gep(place, [bld.sub(lines, ir.Constant(I64, 1))])]:
                prefetch(bld, p, written=1)
        image = Loop(bld, images, zeros(MR * NV))
        given, seen = bld.mul(step, image.index), bld.gep(windows, [bld.mul(bld.mul(plane, pitch), image.index)])
        begins = [bld.gep(p, [given]) for p in begins]
        loop = Loop(bld, plane, image.carried)
        pixels = _vectors(bld, bld.gep(seen, [bld.mul(pitch, loop.index)]))
        pixels = [masked_load(bld, p, mask) for p, mask in zip(pixels, masks, strict=True)]
        sums = loop.end(multiply_add(bld, [bld.gep(p, [loop.index]) for p in begins], pixels, loop.carried))
        sums = image.end(sums)
        for i, place in enumerate(places):
            known = bld.icmp_signed("<", ir.Constant(I64, i), rows)
            for v, p in enumerate(_vectors(bld, place)):
                mask = bld.select(known, masks[v], ir.Constant(masks[v].type, None))
                found = bld.fadd(masked_load(bld, p, mask), sums[i * NV + v])
                masked_store(bld, p, found, mask)
        return context.get_dummy_value()

    p, i = types.CPointer(types.float32), types.intp
    return types.void(p, i, i, i, i, p, i, p, i, i), codegen


@helper
def lay_rows(g, x, o, tap, n, out):
    """out[pixel, pitch]: the n pixels of one channel that some taps of a row of the kernel meet, from `tap` on, for a
    row of results; zeros beside the image."""
    i, j = tap // g.kw, tap % g.kw
    h = o * g.sh - g.ph + i * g.dh
    for q in range(g.ow):
        target, at = shift(out, q * g.pitch), q * g.sw - g.pw + j
        for k in range(0, n, VL):
            if 0 <= h < g.h:
                split1(shift(x, h * g.w + at + k), -at - k, g.w - at - k, ZERO, shift(target, k), 0, 1, n - k)
            else:
                clear(shift(target, k), min(VL, n - k), ZERO)


@helper
def lay(g, x, line, lines, out):
    """out[pixel, lines]: what the weights from `line` on meet at each pixel of an image's results."""
    taps, done, plane = g.kh * g.kw, 0, g.h * g.w
    while taps > 1 and done < lines:
        c, tap = (line + done) // taps, (line + done) % taps
        n = min(g.kw - tap % g.kw, lines - done)
        for o in range(g.oh):
            lay_rows(g, shift(x, c * plane), o, tap, n, shift(out, o * g.ow * g.pitch + done))
        done += n
    if taps == 1:
        for c in range(0, lines, VL):
            for q in range(0, plane, VL):
                source, target = shift(x, (line + c) * plane + q), shift(out, q * g.pitch + c)
                turn(source, plane, lines - c, min(VL, plane - q), target, g.pitch, VL)


@task
def add_windows(job, item, thread):
    """Some weights of some rows of one group."""
    x, dy, dw, work, table = unpack(job, "aaaan")
    g = geometry(table)
    band, part, group = item % g.bands, item // g.bands % g.parts, item // (g.bands * g.parts)
    m0, line, plane = band * g.some, part * g.lines, g.oh * g.ow
    rows, lines, step = min(g.some, g.rows - m0), min(g.lines, g.depth - line), g.groups * g.rows * plane
    windows, dw = shift(work, thread * g.work), shift(dw, (group * g.rows + m0) * g.depth + line)
    for image in range(g.batch):
        source = shift(x, (image * g.groups + group) * g.channels * g.h * g.w)
        lay(g, source, line, lines, shift(windows, image * plane * g.pitch))
    for m in range(0, rows, MR):
        given, some = shift(dy, (group * g.rows + m0 + m) * plane), min(MR, rows - m)
        for k in range(0, lines, NR):
            place, n = shift(dw, m * g.depth + k), min(NR, lines - k)
            add_tile(given, plane, some, g.batch, step, shift(windows, k), g.pitch, place, g.depth, n)


def add_update(dy, x, dw, plan: Plan) -> None:
    """Runs the plan."""
    work = threads.scratch("work", plan.scratch)
    threads.run(add_windows, plan.items, x, dy, dw, work, plan.table)
