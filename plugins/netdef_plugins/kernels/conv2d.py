"""Convolution of images: forward, backward (with respect to the images) and update (to the weights)."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from . import (
    band_plan,
    conv_nd,
    enlarge_plan,
    few_plan,
    forms,
    pointwise,
    scatter_plan,
    steps,
    thin_plan,
    threads,
    window_plan,
    winograd_plan,
)
from . import plan as planning
from .bands import correlate_band
from .correlate import correlate_block, pack_weights
from .native import Task
from .plan import End, Grid, Plan, correlation
from .weights import add_shares, sum_channels, sum_share

Pair = tuple[int, int]
Pass = Callable[..., None]  # of x, w, factor, bias and y; dy, w, None, None and dx; or dy, x, dw and db


def correlate(x, w, factor, bias, y, task: Task, plan: Plan) -> None:
    """Runs a plan of a direct convolution, by blocks of pixels or by bands."""
    work = threads.scratch("work", plan.scratch)
    threads.run(task, plan.items, x, w, factor, bias, y, work, plan.table)


def _correlate_blocks(x, w, factor, bias, y, plan: tuple[Plan, int, int]) -> None:
    """Packs the weights if the plan says so, and convolves by blocks of pixels."""
    blocks, items, floats = plan
    if floats:
        packed = threads.scratch("weights", floats)
        threads.run(pack_weights, items, w, packed, blocks.table)
        w = packed
    correlate(x, w, factor, bias, y, correlate_block, blocks)


def _taps(kernel: Pair, pad: Pair, dilation: Pair) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The offsets of a kernel's taps from the pixel of their output, down and right."""
    places = [(i * dilation[0] - pad[0], j * dilation[1] - pad[1]) for i in range(kernel[0]) for j in range(kernel[1])]
    return tuple(p[0] for p in places), tuple(p[1] for p in places)


def _check(channels: int, w: tuple[int, ...], outputs: int, groups: int, batches: Pair) -> tuple[Pair, int]:
    """The kernel's size and the outputs in a group; a ValueError where the shapes do not belong together."""
    if channels != w[1] * groups or outputs != w[0] or w[0] % groups or batches[0] != batches[1]:
        got = f"{channels} channels, {outputs} outputs, batches {batches}, {groups} groups, weights {w}"
        raise ValueError(f"convolution: got {got}; want batches alike and weights [outputs, channels / groups, h, w]")
    return w[2:], w[0] // groups


def _steps(kernel: Pair, stride: Pair, pad: Pair) -> bool:
    """Whether some pixels are never met, and the others each by one tap."""
    return kernel == (1, 1) and pad == (0, 0) and stride != (1, 1)


@lru_cache(maxsize=4096)
def _forward(shape, weights, given, stride, pad, dilation, groups, end, count) -> Pass:
    n, c, h, w = shape
    out, (kernel, rows) = given[2:], _check(c, weights, given[1], groups, (n, given[0]))
    if forms.is_product((h, w), kernel, out, pad, groups):
        return partial(forms.forward, relu=end.relu)
    if winograd_plan.suits(kernel, stride, dilation, n, c // groups, rows, out):
        sizes = kernel[0], n, groups, c // groups, rows, (h, w), out, pad
        return partial(winograd_plan.convolve, plan=winograd_plan.correlation(*sizes, False, end))
    if pointwise.suits(kernel, pad, stride, n, c // groups, rows, out):
        plan = pointwise.plan(n, groups, c // groups, rows, (h, w), out, stride, False, end)
        return partial(pointwise.multiply, plan=plan)
    if _steps(kernel, stride, pad):
        then = _forward((n, c, *out), weights, given, (1, 1), pad, dilation, groups, end, count)
        return partial(steps.forward, then=then, steps=stride)
    grid, taps = Grid(*out, *stride, *_taps(kernel, pad, dilation)), kernel[0] * kernel[1]
    if band_plan.suits(c // groups, rows, grid):
        plan = band_plan.correlation(n, groups, c // groups, rows, (h, w), grid, c // groups * taps, taps, end)
        return partial(correlate, task=correlate_band, plan=plan)
    if few_plan.suits(kernel, stride, pad, dilation, c // groups, rows, (h, w), out):
        from . import few

        plan = few_plan.forward(n, groups, c // groups, rows, (h, w), out, kernel, pad, dilation, count)
        return partial(few.forward, groups=groups, relu=end.relu, plan=plan)
    plan = correlation(n, groups, c // groups, rows, (h, w), out, grid, c // groups * taps, taps, end)
    return partial(_correlate_blocks, plan=plan)


def forward(x, w, b, y, stride: Pair = (1, 1), pad: Pair = (0, 0), dilation: Pair = (1, 1), group: int = 1,
            relu: bool = False, factor=None) -> None:  # fmt: skip
    """y[N, M, OH, OW] = factor[M] * (x[N, C, H, W] * w[M, C / group, KH, KW]) + b[M], rectified where relu is set.

    factor and b may be None. A NaN stays one.
    """
    if x.dtype != np.float32 or not x.size:
        return conv_nd.forward(x, w, b, y, stride, pad, dilation, group, relu, factor)
    x, w, y, stride, pad, dilation = forms.laid(x, w, y, stride, pad, dilation)
    if who := _of_few(w.shape, stride, dilation, group, y.shape[3], "forward"):
        _check(x.shape[1], w.shape, y.shape[1], group, (x.shape[0], y.shape[0]))
        return who.forward(x, conv_nd.scaled(w, factor), b, y, stride, pad, dilation, relu)
    end = End(factor is not None, b is not None, relu)
    one = _forward(x.shape, w.shape, y.shape, stride, pad, dilation, group, end, threads.count())
    one(x, w, factor, b, y)


def _reached(size: int, pad: int, dilation: int, stride: int) -> list[list[tuple[int, int]]]:
    """The taps k along one axis that lead from inputs at phase + stride * i to outputs, as (output - i, k), by phase;
    from the last output back, which is the order of the taps."""
    ways = [(phase + pad - k * dilation, phase, k) for phase in range(stride) for k in range(size)]
    return [[(d // stride, k) for d, phase, k in ways if phase == p and d % stride == 0] for p in range(stride)]


def _corners(kernel: Pair, pad: Pair, dilation: Pair, stride: Pair, image: Pair) -> Grid:
    """The grid of a backward pass: its corners are the phases of the stride."""
    ways = [_reached(*axis) for axis in zip(kernel, pad, dilation, stride, strict=True)]
    down, right = ({d: None for phase in axis for d, _ in phase} for axis in ways)
    taps = [(h, w) for h in down for w in right]
    corners = ([(a, b) for a in rows for b in columns] for rows in ways[0] for columns in ways[1])
    seen = tuple(tuple((k * kernel[1] + q, taps.index((h, w))) for (h, k), (w, q) in corner) for corner in corners)
    size = (-(-image[i] // stride[i]) for i in range(2))
    return Grid(*size, 1, 1, *zip(*taps, strict=True), *stride, seen)


@lru_cache(maxsize=4096)
def _backward(shape, weights, given, stride, pad, dilation, groups, count) -> Pass:
    n, m, oh, ow = shape
    image, channels, (kernel, _) = given[2:], weights[1], _check(given[1], weights, m, groups, (n, given[0]))
    if forms.is_product(image, kernel, (oh, ow), pad, groups):
        return forms.backward
    if forms.reads_along(kernel, stride, pad, groups, m * channels, n * oh * ow):
        return forms.backward_along
    if winograd_plan.suits(kernel, stride, dilation, n, m // groups, channels, image):
        if winograd_plan.shrinks(kernel[0], n, channels, (oh, ow), image):
            from . import winograd_back

            sizes = kernel[0], n, groups, m // groups, channels, (oh, ow), image, pad
            return partial(winograd_back.spread, plan=winograd_back.plan(*sizes))
        around = kernel[0] - 1 - pad[0], kernel[1] - 1 - pad[1]
        sizes = kernel[0], n, groups, m // groups, channels, (oh, ow), image, around
        return partial(winograd_plan.convolve, plan=winograd_plan.correlation(*sizes, True))
    if pointwise.suits(kernel, pad, stride, n, m // groups, channels, (oh, ow)):
        plan = pointwise.plan(n, groups, m // groups, channels, image, (oh, ow), stride, True)
        return partial(pointwise.multiply, plan=plan)
    if _steps(kernel, stride, pad):
        then = _backward(shape, weights, (n, given[1], oh, ow), (1, 1), pad, dilation, groups, count)
        return partial(steps.backward, then=then, steps=stride)
    if scatter_plan.suits(kernel, stride, m // groups, channels, (oh, ow), image):
        from . import scatter

        sizes = n, groups, m // groups, channels, (oh, ow), image, kernel, stride, pad, dilation, count
        return partial(scatter.backward, plan=scatter_plan.plan(*sizes))
    if enlarge_plan.suits(kernel, stride, dilation, m // groups, channels):
        from . import enlarge

        sizes = n, groups, m // groups, channels, (oh, ow), image, kernel, stride, pad, count
        return partial(enlarge.backward, plan=enlarge_plan.plan(*sizes))
    grid, taps = _corners(kernel, pad, dilation, stride, image), kernel[0] * kernel[1]
    if stride == (1, 1) and band_plan.suits(m // groups, channels, grid):
        plan = band_plan.correlation(n, groups, m // groups, channels, (oh, ow), grid, taps, channels * taps)
        return partial(correlate, task=correlate_band, plan=plan)
    plan = correlation(n, groups, m // groups, channels, (oh, ow), image, grid, taps, channels * taps)
    return partial(_correlate_blocks, plan=plan)


def backward(dy, w, dx, stride: Pair = (1, 1), pad: Pair = (0, 0), dilation: Pair = (1, 1), group: int = 1) -> None:
    """dx[N, C, H, W] from dy[N, M, OH, OW]; pixels that no output has read get zero."""
    if dy.dtype != np.float32 or not dy.size:
        return conv_nd.backward(dy, w, dx, stride, pad, dilation, group)
    dx, w, dy, stride, pad, dilation = forms.laid(dx, w, dy, stride, pad, dilation)
    if who := _of_few(w.shape, stride, dilation, group, dy.shape[3], "backward"):
        _check(dx.shape[1], w.shape, dy.shape[1], group, (dx.shape[0], dy.shape[0]))
        return who.backward(dy, w, dx, stride, pad, dilation)
    one = _backward(dy.shape, w.shape, dx.shape, stride, pad, dilation, group, threads.count())
    one(dy, w, None, None, dx)


@lru_cache(maxsize=4096)
def _update(shape, weights, given, stride, pad, dilation, groups, biased, count) -> Pass:
    n, c, h, w = shape
    out, (kernel, rows) = given[2:], _check(c, weights, given[1], groups, (n, given[0]))
    if forms.is_product((h, w), kernel, out, pad, groups):
        return forms.update
    if winograd_plan.suits(kernel, stride, dilation, n, c // groups, rows, out, True, groups):
        plan = winograd_plan.update(kernel[0], n, groups, c // groups, rows, (h, w), out, pad)
        return partial(_update_by_squares, plan=plan)
    if thin_plan.suits(kernel, stride, pad, c // groups, rows, out[0] * out[1]):
        from . import thin

        plan = thin_plan.plan(n, groups, c // groups, rows, out[0] * out[1], biased)
        return partial(thin.add_update, plan=plan)
    if window_plan.suits(kernel, stride, pad, dilation, n, c // groups, rows, out):
        sizes = n, groups, c // groups, rows, (h, w), out, kernel, stride, pad, dilation, count
        return partial(_update_by_windows, plan=window_plan.plan(*sizes))
    grid = Grid(*out, *stride, *_taps(kernel, pad, dilation))
    if band_plan.suits_update(c // groups, rows, grid):
        plan = band_plan.update(n, groups, c // groups, rows, (h, w), grid, biased)
        return partial(band_plan.add_update, plan=plan)
    if few_plan.suits_update(kernel, stride, c // groups, rows, h * w):
        from . import few

        plan = few_plan.update(groups, c // groups, rows * kernel[0] * kernel[1], h * w)
        return partial(few.update, pad=pad, dilation=dilation, plan=plan)
    return partial(_update_by_pixels, plan=planning.update(n, groups, c // groups, rows, (h, w), grid, biased))


def _update_by_squares(dy, x, dw, db, plan) -> None:
    winograd_plan.add_update(dy, x, dw, *plan)
    add_bias(dy, db)


def _update_by_windows(dy, x, dw, db, plan) -> None:
    from . import windows

    windows.add_update(dy, x, dw, plan)
    add_bias(dy, db)


def _update_by_pixels(dy, x, dw, db, plan: tuple[Plan, int, int]) -> None:
    """Shares of the pixels, then the sum of the shares where there are several."""
    (table, items, floats), sums, kept = plan
    work, shares = threads.scratch("work", floats), threads.scratch("weights", kept)
    threads.run(sum_share, items, x, dy, dw, db, shares, work, table)
    if kept:
        threads.run(add_shares, sums, dw, db, shares, work, table)


def update(dy, x, dw, db, stride: Pair = (1, 1), pad: Pair = (0, 0), dilation: Pair = (1, 1), group: int = 1) -> None:
    """Adds the gradient with respect to w to dw[M, C / group, KH, KW], and the one for b to db[M] (or None)."""
    if dy.dtype != np.float32 or not dy.size:
        return conv_nd.update(dy, x, dw, db, stride, pad, dilation, group)
    x, dw, dy, stride, pad, dilation = forms.laid(x, dw, dy, stride, pad, dilation)
    if who := _of_few(dw.shape, stride, dilation, group, dy.shape[3], "update"):
        _check(x.shape[1], dw.shape, dy.shape[1], group, (x.shape[0], dy.shape[0]))
        return who.update(dy, x, dw, db, stride, pad, dilation)
    one = _update(x.shape, dw.shape, dy.shape, stride, pad, dilation, group, db is not None, threads.count())
    one(dy, x, dw, db)


def add_bias(dy, db) -> None:
    """db[M] (or None) += the sum of dy[N, M, ...], not empty, over all but M, for any float type."""
    if db is not None:
        n, m = dy.shape[:2]
        threads.run(sum_channels, m, dy, db, n, m, dy.size // (n * m), dtype=dy.dtype)


@lru_cache(maxsize=4096)
def _of_few(weights, stride: Pair, dilation: Pair, group: int, columns: int, part: str):
    """Who does a pass over groups of few channels, which tiles of registers would be wasted on; None for others."""
    if group == 1:
        return None
    from . import depthwise, direct_plan

    if direct_plan.suits(weights, stride, dilation, group, columns, part):
        return direct_plan
    return depthwise if weights[1] == 1 and weights[0] <= 4 * group else None
