"""Blobs of one shape combined element by element."""

import math

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, hookimpl

from .elementwise import pieces

PROD, SUM, MAX = range(3)


class Eltwise(ParameterFree):
    """The sum (each bottom times its coeff), the product or the maximum of bottoms of one shape.

    A maximum's gradient goes to one bottom; where the first two are equal, to the second. stable_prod_grad: false
    asks Caffe for y / x_i as the product of the others, which is NaN at 0; here it is always their product.
    """

    type = "Eltwise"
    options = "eltwise_param"
    bottoms = (2, None)
    in_place = True

    def setup(self, bottom_shapes):
        self.operation, given = self.param.operation, list(self.param.coeff)
        if given and self.operation != SUM:
            raise LayerError(f"coeff {given} is for operation SUM alone")
        if given and len(given) != len(bottom_shapes):
            raise LayerError(f"has {len(given)} coeff for {len(bottom_shapes)} bottoms; want one for each, or none")
        self.coeff = given or [1.0] * len(bottom_shapes)
        self.in_place = self.operation == SUM
        self.reads = () if self.operation == SUM else ("bottom",)
        self.absorbs = ("rectified",) if self.operation == SUM else ()

    def infer(self, *shapes):
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise LayerError(f"bottom {i} has shape {shape}, bottom 0 has {shapes[0]}; want equal shapes")
        return shapes[:1]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.operation == SUM:
            self.forward_then(bottom, top, None, False)
            return
        combine = np.multiply if self.operation == PROD else np.maximum
        for y, *xs in pieces(top[0].data, *(b.data for b in bottom)):
            combine(xs[0], xs[1], out=y)
            for x in xs[2:]:
                combine(y, x, out=y)

    def forward_then(self, bottom, top, affine, rectified):
        from .kernels import elementwise

        elementwise.weighted_sum([b.data for b in bottom], self.coeff, top[0].data, rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        # From the last on: in place, dx of bottom 0 is written over dy.
        for i in reversed(range(len(bottom))):
            if propagate_down[i]:
                self._backward(i, top[0].diff, bottom)

    def _backward(self, i: int, dy: np.ndarray, bottom: list[Blob]) -> None:
        if self.operation == SUM:
            np.multiply(dy, self.coeff[i], out=bottom[i].diff)
            return
        slope = product_but if self.operation == PROD else is_largest
        for dyp, dx, *xs in pieces(dy, bottom[i].diff, *(b.data for b in bottom)):
            np.multiply(dyp, slope(xs, i), out=dx)

    def to_onnx(self, graph, inputs):
        if self.operation == PROD:
            y = inputs[0]
            for x in inputs[1:]:
                y = graph.op("Mul", [y, x])
            return [y]
        scaled = [
            x if c == 1 else graph.op("Mul", [x, graph.const(np.float32(c))])
            for x, c in zip(inputs, self.coeff, strict=True)
        ]
        return [graph.op("Sum" if self.operation == SUM else "Max", scaled)]


def product_but(xs: list[np.ndarray], i: int) -> np.ndarray:
    """The product of all but the i-th."""
    others = [x for j, x in enumerate(xs) if j != i]
    return math.prod(others[1:], start=others[0])


def is_largest(xs: list[np.ndarray], i: int) -> np.ndarray:
    """1 where the i-th is the one that Caffe takes for the largest, else 0; of equals it takes 1 before 0 before 2."""

    def precedes(j: int) -> bool:
        return (i, j) == (1, 0) or (i < j and (i, j) != (0, 1))

    wins = [(xs[i] >= x) if precedes(j) else (xs[i] > x) for j, x in enumerate(xs) if j != i]
    return np.logical_and.reduce(wins).astype(xs[0].dtype)


@hookimpl
def netdef_layers() -> list[type]:
    return [Eltwise]
