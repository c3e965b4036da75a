"""Layers that reduce many elements to one: sums, means, the largest and where it is."""

import math
from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, hookimpl

from .axes import canonical, fold
from .elementwise import by_slabs

SUM, ASUM, SUMSQ, MEAN = range(1, 5)


class Reduction(ParameterFree):
    """coeff times the sum (SUM), sum of magnitudes (ASUM), sum of squares (SUMSQ) or mean of all axes from axis on."""

    type = "Reduction"
    options = "reduction_param"

    def setup(self, bottom_shapes):
        self.operation = self.param.operation
        self.reads = ("bottom",) if self.operation in (ASUM, SUMSQ) else ()

    def infer(self, *shapes):
        axis = canonical(self.param.axis, shapes[0])
        if self.operation == MEAN and not math.prod(shapes[0][axis:]):
            raise LayerError(f"no elements in a bottom of shape {shapes[0]} from axis {axis} on: they have no mean")
        return [shapes[0][:axis]]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = rows(bottom[0].data, top[0].data)

        def slab(x: np.ndarray, y: np.ndarray) -> None:
            y[:, 0] = self._reduce(x)

        by_slabs(slab, x, y)
        y *= self._factor(x)

    def _reduce(self, x: np.ndarray) -> np.ndarray:
        if self.operation == SUMSQ:
            return np.einsum("nd,nd->n", x, x)
        return np.sum(np.abs(x) if self.operation == ASUM else x, axis=1)

    def _factor(self, x: np.ndarray) -> float:
        return self.param.coeff / (x.shape[1] if self.operation == MEAN else 1)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, dy = rows(bottom[0].diff, top[0].diff)
        dy = dy * self._factor(dx)
        if self.operation in (SUM, MEAN):
            np.copyto(dx, dy)
        elif self.operation == ASUM:
            np.multiply(np.sign(bottom[0].data.reshape(dx.shape)), dy, out=dx)
        else:
            np.multiply(bottom[0].data.reshape(dx.shape), 2 * dy, out=dx)

    def to_onnx(self, graph, inputs):
        x = graph.shape(inputs[0])
        axes = graph.const(np.arange(canonical(self.param.axis, x), len(x), dtype=np.int64))
        op = {SUM: "ReduceSum", ASUM: "ReduceL1", SUMSQ: "ReduceSumSquare", MEAN: "ReduceMean"}[self.operation]
        y = graph.op(op, [*inputs, axes], keepdims=0)
        coeff = self.param.coeff
        return [y if coeff == 1 else graph.op("Mul", [y, graph.const(np.float32(coeff))])]


def rows(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x as (outputs, elements of each) and y as (outputs, 1)."""
    return x.reshape(y.size, math.prod(x.shape[y.ndim :])), y.reshape(y.size, 1)


class ArgMax(ParameterFree):
    """The indices of the top_k largest, as floats, largest first; of equals the last index comes first.

    With axis: along that axis, (..., top_k, ...), or by out_max_val the values themselves. Without: of each item,
    flattened, (items, 1, top_k), or by out_max_val (items, 2, top_k) with the values second.
    """

    type = "ArgMax"
    options = "argmax_param"
    reads = ()
    no_gradient = "all"

    def setup(self, bottom_shapes):
        self.k, self.has_axis, self.values = self.param.top_k, self.param.HasField("axis"), self.param.out_max_val

    def infer(self, *shapes):
        x = shapes[0]
        if not x:
            raise LayerError("takes a bottom with axes, got a scalar")
        axis = canonical(self.param.axis, x) if self.has_axis else 1
        n = x[axis] if self.has_axis else int(np.prod(x[1:]))
        if not 1 <= self.k <= n:
            raise LayerError(f"top_k {self.k}: want 1 to {n} for a bottom of shape {x}")
        if self.has_axis:
            return [(*x[:axis], self.k, *x[axis + 1 :])]
        return [(x[0], 2 if self.values else 1, self.k, *(1,) * (len(x) - 3))]

    def _fold(self, x: np.ndarray) -> np.ndarray:
        """x as (outer, candidates, inner)."""
        axis = canonical(self.param.axis, x.shape) if self.has_axis else 1
        return fold(x, axis, axis + 1 if self.has_axis else x.ndim)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = self._fold(bottom[0].data)
        index = last_largest(x, self.k)
        y = top[0].data.reshape(len(x), 2 if self.values and not self.has_axis else 1, self.k, x.shape[2])
        if not (self.values and self.has_axis):
            y[:, 0] = index
        if self.values:
            y[:, -1] = np.take_along_axis(x, index, axis=1)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        bottom[0].diff[...] = 0

    def to_onnx(self, graph, inputs):
        x = graph.sizes(inputs[0])
        if self.has_axis:
            axis = canonical(self.param.axis, x)
            values, index = self._top_k(graph, inputs[0], axis, x[axis])
            return [values if self.values else index]
        flat = graph.op("Flatten", inputs, axis=1)
        values, index = self._top_k(graph, flat, 1, math.prod(x[1:]))
        both = graph.op("Concat", [index, values], axis=1) if self.values else index
        top = self.infer(graph.shape(inputs[0]))[0]
        return [graph.op("Reshape", [both, graph.joined([0, *top[1:]])])]

    def _top_k(self, graph, x: str, axis: int, n: Any) -> list[str]:
        """ONNX puts the first of equals first: so look from the end."""
        values, index = graph.op("TopK", [graph.cut(x, axis, step=-1), graph.joined([self.k])], outputs=2, axis=axis)
        index = graph.op("Sub", [graph.joined([n - 1]), index])
        return [values, graph.op("Cast", [index], to=1)]


def last_largest(x: np.ndarray, k: int) -> np.ndarray:
    """The indices along axis 1 of the k largest, largest first, and of equals the last first."""
    backwards = x[:, ::-1]
    order = np.argmax(backwards, axis=1)[:, None] if k == 1 else np.argsort(-backwards, axis=1, kind="stable")
    return x.shape[1] - 1 - order[:, :k]


@hookimpl
def netdef_layers() -> list[type]:
    return [Reduction, ArgMax]
