"""Layers that change a blob's shape: seen differently, cut to size, repeated."""

import math

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, Shape, hookimpl

from .axes import canonical, fold


class View(ParameterFree):
    """The same data and gradient in another shape: the top shares the bottom's memory, nothing is computed."""

    shares = ("data", "diff")
    reads = ()

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        pass

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        pass

    def replaced(self, x: Shape) -> tuple[int, int, list[int]]:
        """Which axes of x go, first and past the last, and what comes for them: sizes, 0 to keep one, -1 for the rest.

        Raises LayerError for axes that x does not have.
        """
        raise NotImplementedError

    def to_onnx(self, graph, inputs):
        x = graph.sizes(inputs[0])
        start, stop, new = self.replaced(x)
        after = [0] * (len(x) - stop)
        if start + len(new) != stop:  # 0 keeps an axis that stays where it is; -1 once at most
            after = [-1, *x[stop + 1 :]] if after and -1 not in new else list(x[stop:])
        return [graph.op("Reshape", [*inputs, graph.joined([0] * start + new + after)])]


class Flatten(View):
    """The axes from axis to end_axis as one."""

    type = "Flatten"
    options = "flatten_param"

    def infer(self, *shapes):
        x = shapes[0]
        start, stop, _ = self.replaced(x)
        return [(*x[:start], math.prod(x[start:stop]), *x[stop:])]

    def replaced(self, x):
        start, end = canonical(self.param.axis, x), canonical(self.param.end_axis, x, "end_axis")
        if start > end:
            raise LayerError(f"axis {start} comes after end_axis {end} in shape {x}; want it before or equal")
        return start, end + 1, [-1]


class Reshape(View):
    """The axes from axis on (num_axes of them, -1 for all) replaced by shape: 0 keeps an axis, -1 is what is left.

    A negative axis counts from behind the last, so that axis: -1 with num_axes: 0 appends.
    """

    type = "Reshape"
    options = "reshape_param"

    def infer(self, *shapes):
        x = shapes[0]
        start, stop, wanted = self.replaced(x)
        new = [self._kept(x, start + i) if d == 0 else d for i, d in enumerate(wanted)]
        if new.count(-1) > 1 or min(new, default=0) < -1:
            raise LayerError(f"shape {tuple(wanted)}: want sizes, 0 to keep an axis, and -1 once at most")
        y = [*x[:start], *new, *x[stop:]]
        if -1 in new:
            known = math.prod(d for d in y if d != -1)
            y[start + new.index(-1)] = math.prod(x) // known if known else 0
        if math.prod(y) != math.prod(x):
            raise LayerError(
                f"cannot make shape {x} of {math.prod(x)} elements {tuple(y)} by shape {tuple(wanted)}; "
                "dim: 0 keeps an axis, dim: -1 takes what is left"
            )
        return [tuple(y)]

    def replaced(self, x):
        axis, n, ndim = self.param.axis, self.param.num_axes, len(x)
        start = axis if axis >= 0 else ndim + axis + 1
        if not 0 <= start <= ndim:
            raise LayerError(f"axis {axis} is out of range for shape {x}; want {-ndim - 1} to {ndim}")
        if n < -1 or start + n > ndim:
            raise LayerError(f"num_axes {n}: want 0 to {ndim - start} from axis {axis} of shape {x} on, or -1 for all")
        return start, ndim if n == -1 else start + n, list(self.param.shape.dim)

    def _kept(self, x: Shape, i: int) -> int:
        if i >= len(x):
            raise LayerError(f"shape {tuple(self.param.shape.dim)} keeps axis {i}, which a bottom of shape {x} lacks")
        return x[i]


class Crop(ParameterFree):
    """The part of the first bottom, from axis on, that has the second's size and starts at offset (0, one or one each).

    The second bottom gives its shape alone; its gradient is 0.
    """

    type = "Crop"
    options = "crop_param"
    bottoms = 2
    reads = ()

    def infer(self, *shapes):
        x, reference = shapes
        start, offset = self._offset(x)
        if len(reference) != len(x):
            raise LayerError(f"the bottoms' shapes {x} and {reference} differ in their number of axes")
        for i, at in enumerate(offset, start):
            if at + reference[i] > x[i]:
                raise LayerError(
                    f"axis {i}: {reference[i]} from offset {at} on reach past {x[i]} (bottoms {x}, {reference})"
                )
        return [(*x[:start], *reference[start:])]

    def _offset(self, x: Shape) -> tuple[int, list[int]]:
        """The first axis to crop and the offset in each from there on."""
        start = canonical(self.param.axis, x)
        given, want = list(self.param.offset) or [0], len(x) - start
        if len(given) not in (1, want):
            raise LayerError(f"has {len(given)} offsets for {want} axes, {start} to {len(x) - 1}; want 1 or {want}")
        return start, given if len(given) == want else given * want

    def _window(self, x: Shape, y: Shape) -> tuple[slice, ...]:
        start, offset = self._offset(x)
        return (slice(None),) * start + tuple(slice(at, at + n) for at, n in zip(offset, y[start:], strict=True))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        np.copyto(top[0].data, bottom[0].data[self._window(bottom[0].shape, top[0].shape)])

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for blob, down in zip(bottom, propagate_down, strict=True):
            if down:
                blob.diff[...] = 0
        if propagate_down[0]:
            bottom[0].diff[self._window(bottom[0].shape, top[0].shape)] = top[0].diff

    def to_onnx(self, graph, inputs):
        x, wanted = map(graph.sizes, inputs)
        start, offset = self._offset(x)
        ends = [n + at for at, n in zip(offset, wanted[start:], strict=True)]
        return [graph.cut(inputs[0], range(start, len(x)), offset, ends)]


class Tile(ParameterFree):
    """The bottom repeated `tiles` times along axis."""

    type = "Tile"
    options = "tile_param"
    reads = ()

    def setup(self, bottom_shapes):
        if self.param.tiles < 1:
            raise LayerError(f"tiles {self.param.tiles}: want 1 or more")

    def infer(self, *shapes):
        x = list(shapes[0])
        x[canonical(self.param.axis, shapes[0])] *= self.param.tiles
        return [tuple(x)]

    def _tiles(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x as (outer, 1, a tile) and y as (outer, tiles, a tile)."""
        axis = canonical(self.param.axis, x.shape)
        x = fold(x, axis, axis)
        return x, y.reshape(len(x), self.param.tiles, x.shape[2])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = self._tiles(bottom[0].data, top[0].data)
        np.copyto(y, x)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, dy = self._tiles(bottom[0].diff, top[0].diff)
        np.sum(dy, axis=1, keepdims=True, out=dx)

    def to_onnx(self, graph, inputs):
        x = graph.shape(inputs[0])
        repeats = np.ones(len(x), np.int64)
        repeats[canonical(self.param.axis, x)] = self.param.tiles
        return [graph.op("Tile", [*inputs, graph.const(repeats)])]


@hookimpl
def netdef_layers() -> list[type]:
    return [Flatten, Reshape, Crop, Tile]
