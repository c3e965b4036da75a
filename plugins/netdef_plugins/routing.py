"""Layers that move data unchanged: joined, cut, copied, chosen, dropped."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, hookimpl

from .axes import fold, named
from .rows import add_at, indices


class Split(ParameterFree):
    """Every top is the bottom; the bottom's gradient is the sum of theirs. The tops' data is the bottom's memory."""

    type = "Split"
    role = "split"
    tops = (1, None)
    shares = ("data",)
    reads = ()

    def infer(self, *shapes):
        return list(shapes) * len(self.layer_param.top)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        pass

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx = bottom[0].diff
        if len(top) == 1:
            np.copyto(dx, top[0].diff)
            return
        from .kernels import combine

        combine.weighted_sum([t.diff for t in top], [1.0] * len(top), dx)

    def to_onnx(self, graph, inputs):
        return inputs * len(self.layer_param.top)


class Concat(ParameterFree):
    """The bottoms one after another along axis (once called concat_dim)."""

    type = "Concat"
    options = "concat_param"
    bottoms = (1, None)
    reads = ()

    def infer(self, *shapes):
        first = shapes[0]
        axis = named(self.param, "concat_dim", first)
        for i, other in enumerate(shapes[1:], 1):
            if len(other) != len(first) or any(a != b for j, (a, b) in enumerate(zip(first, other)) if j != axis):
                raise LayerError(
                    f"bottom {i} has shape {other}, bottom 0 has {first}: only axis {axis}, along which they are "
                    "joined, may differ"
                )
        return [(*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from .kernels import blocks

        axis = named(self.param, "concat_dim", top[0].shape)
        for whole, begin, part in along(axis, top[0].data, [b.data for b in bottom]):
            blocks.put(part, whole, begin)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import blocks

        axis = named(self.param, "concat_dim", top[0].shape)
        parts = along(axis, top[0].diff, [b.diff for b in bottom])
        for (whole, begin, part), down in zip(parts, propagate_down, strict=True):
            if down:
                blocks.take(whole, begin, part)

    def to_onnx(self, graph, inputs):
        return [graph.op("Concat", inputs, axis=named(self.param, "concat_dim", graph.shape(inputs[0])))]


class Slice(ParameterFree):
    """The bottom cut along axis (once called slice_dim) before each slice_point, or into equal parts without any."""

    type = "Slice"
    options = "slice_param"
    tops = (1, None)
    reads = ()

    def infer(self, *shapes):
        x = shapes[0]
        axis = named(self.param, "slice_dim", x)
        return [(*x[:axis], n, *x[axis + 1 :]) for n in self._sizes(x[axis], axis)]

    def _sizes(self, size: int, axis: int) -> list[int]:
        points, tops = list(self.param.slice_point), len(self.layer_param.top)
        if not points:
            if size % tops:
                raise LayerError(
                    f"axis {axis} of size {size} is not divisible into {tops} equal tops; give slice_point"
                )
            return self._cut(size)
        if len(points) != tops - 1:
            raise LayerError(f"has {len(points)} slice_point for {tops} tops; want {tops - 1}")
        if min(b - a for a, b in pairwise([0, *points, size])) < 1:
            raise LayerError(f"slice_point {points}: want them to grow from 1 to at most {size - 1} (axis {axis})")
        return self._cut(size)

    def _cut(self, size: Any) -> list[Any]:
        """The parts of an axis, by arithmetic alone."""
        points, tops = list(self.param.slice_point), len(self.layer_param.top)
        return [b - a for a, b in pairwise([0, *points, size])] if points else [size // tops] * tops

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from .kernels import blocks

        axis = named(self.param, "slice_dim", bottom[0].shape)
        for whole, begin, part in along(axis, bottom[0].data, [t.data for t in top]):
            blocks.take(whole, begin, part)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import blocks

        axis = named(self.param, "slice_dim", bottom[0].shape)
        for whole, begin, part in along(axis, bottom[0].diff, [t.diff for t in top]):
            blocks.put(part, whole, begin)

    def to_onnx(self, graph, inputs):
        x = graph.sizes(inputs[0])
        axis = named(self.param, "slice_dim", x)
        sizes = self._cut(x[axis])
        parts = graph.op("Split", [*inputs, graph.joined(sizes)], outputs=len(sizes), axis=axis)
        return [parts] if len(sizes) == 1 else parts


class Silence(ParameterFree):
    """Takes any bottoms, so that nobody prints them as outputs of the net; their gradient is 0."""

    type = "Silence"
    bottoms = (1, None)
    tops = 0
    reads = ()

    def infer(self, *shapes):
        return []

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        pass

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for b, down in zip(bottom, propagate_down, strict=True):
            if down:
                b.diff[...] = 0

    def to_onnx(self, graph, inputs):
        return []


class Filter(ParameterFree):
    """Of every bottom but the last, the items whose entry in the last bottom is not 0: tops of a size the data decides.

    The tops have the bottoms' size until the first pass, and none of the items where nothing is selected.
    """

    type = "Filter"
    no_onnx = "the data decides its tops' sizes"
    bottoms = (2, None)
    tops = (1, None)
    reads = ()

    def setup(self, bottom_shapes):
        tops, want = len(self.layer_param.top), len(bottom_shapes) - 1
        if tops != want:
            raise LayerError(f"has {tops} tops for {want + 1} bottoms; want {want}, one for each but the selector")
        self.no_gradient = (want,)

    def infer(self, *shapes):
        *xs, selector = shapes
        if not selector or any(n != 1 for n in selector[1:]):
            raise LayerError(
                f"the selector (the last bottom) has shape {selector}; want one number an item, (items, 1...)"
            )
        for i, x in enumerate(xs):
            if x[:1] != selector[:1]:
                raise LayerError(f"bottom {i} has shape {x}, the selector {selector}: want as many items in both")
        return xs

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.chosen = np.flatnonzero(bottom[-1].data)
        for b, t in zip(bottom[:-1], top, strict=True):
            t.reshape(len(self.chosen), *b.shape[1:])
            np.take(b.data, self.chosen, axis=0, out=t.data, mode="clip")  # "raise" would buffer

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for b, t, down in zip(bottom[:-1], top, propagate_down[:-1], strict=True):
            if down:
                b.diff[...] = 0
                b.diff[self.chosen] = t.diff


class BatchReindex(ParameterFree):
    """The items of the first bottom that the second names by index, in its order; an item may come often or never."""

    type = "BatchReindex"
    bottoms = 2
    no_gradient = (1,)
    reads = ()

    def infer(self, *shapes):
        x, index = shapes
        if not x or len(index) != 1:
            raise LayerError(f"bottoms have shapes {x} and {index}; want items and, of one axis, their indices")
        return [(*index, *x[1:])]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.index = indices(bottom[1].data, bottom[0].shape[0])
        np.take(bottom[0].data, self.index, axis=0, out=top[0].data, mode="clip")

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            add_at(bottom[0].diff, self.index, top[0].diff)

    def sample(self, j, bottom_shapes, rng):
        return rng.integers(0, bottom_shapes[0][0], bottom_shapes[1]) if j == 1 else None

    def to_onnx(self, graph, inputs):
        return [graph.op("Gather", [inputs[0], graph.op("Cast", inputs[1:], to=7)], axis=0)]


def along(axis: int, whole: np.ndarray, parts: list[np.ndarray]) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Each of the parts, one after another along an axis of the whole: the whole, where it begins there, and the part;
    the axes before and after are folded to one."""
    begin = 0
    for part in parts:
        yield fold(whole, axis, axis + 1), begin, fold(part, axis, axis + 1)
        begin += part.shape[axis]


@hookimpl
def netdef_layers() -> list[type]:
    return [Split, Concat, Slice, Silence, Filter, BatchReindex]
