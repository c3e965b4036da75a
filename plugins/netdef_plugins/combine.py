"""Layers that combine blobs of one shape, or a blob with factors and terms along some of its axes."""

import math

import numpy as np

from netdef.layer import Blob, Layer, LayerError, ParameterFree, Shape, hookimpl

from .axes import canonical, fold
from .elementwise import pieces, slabs

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

    def infer(self, *shapes):
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise LayerError(f"bottom {i} has shape {shape}, bottom 0 has {shapes[0]}; want equal shapes")
        return shapes[:1]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        combine = {PROD: np.multiply, SUM: np.add, MAX: np.maximum}[self.operation]
        for y, *xs in pieces(top[0].data, *(b.data for b in bottom)):
            terms = [x if c == 1 else c * x for x, c in zip(xs, self.coeff, strict=True)]
            combine(terms[0], terms[1], out=y)
            for term in terms[2:]:
                combine(y, term, out=y)

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


class Along(Layer):
    """A layer whose operand runs along some axes of its bottom: a parameter, or the second bottom.

    The parameter covers num_axes axes from axis on (-1: all that follow, 0: it is a single number).
    """

    bottoms = (1, 2)

    def parameter_shape(self, x: Shape) -> Shape:
        """What a parameter of this layer covers of a bottom of shape x."""
        start, n = canonical(self.param.axis, x), self.param.num_axes
        if n < -1 or start + n > len(x):
            raise LayerError(f"num_axes {n}: want 0 to {len(x) - start} from axis {start} of {x} on, or -1 for all")
        return x[start:] if n == -1 else x[start : start + n]

    def infer(self, *shapes):
        self.span(shapes[0], shapes[1] if len(shapes) > 1 else self.blobs[0].shape)
        return shapes[:1]

    def span(self, x: Shape, operand: Shape) -> tuple[int, int]:
        """The axes of x, from and to before, that the operand covers. Raises LayerError where it does not fit."""
        start = canonical(self.param.axis, x) if operand else 0
        stop = start + len(operand)
        if x[start:stop] != operand:
            raise LayerError(f"a {self.type.lower()} of shape {operand} does not fit shape {x} from axis {start} on")
        return start, stop

    def slabs(self, operand: Blob, *blobs: np.ndarray):
        """Pieces of arrays of the bottom's shape, as (outer, operand, inner)."""
        start, stop = self.span(blobs[0].shape, operand.shape)
        return slabs(*(fold(x, start, stop) for x in blobs))


class Scale(Along):
    """y = g * x + b, with g along some axes of x (the channels by default) and b, by bias_term, along the same.

    g is a parameter, 1 unless a filler is given, or the second bottom. In place, Caffe keeps a copy of x, and so does
    the net.
    """

    type = "Scale"
    options = "scale_param"

    def setup(self, bottom_shapes):
        shape = bottom_shapes[1] if len(bottom_shapes) > 1 else self.parameter_shape(bottom_shapes[0])
        if len(bottom_shapes) == 1:
            given, default = self.param.filler, type(self.param.filler)(type="constant", value=1)
            self.add_blob(shape, given if self.param.HasField("filler") else default)
        if self.param.bias_term:
            self.add_blob(shape, self.param.bias_filler)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        factor = bottom[1] if len(bottom) > 1 else self.blobs[0]
        g = factor.data.reshape(-1, 1)
        b = self.blobs[-1].data.reshape(-1, 1) if self.param.bias_term else None
        for x, y in self.slabs(factor, bottom[0].data, top[0].data):
            np.multiply(x, g, out=y)
            if b is not None:
                y += b

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        factor = bottom[1] if len(bottom) > 1 else self.blobs[0]
        if len(bottom) > 1 and propagate_down[1]:
            factor.diff[...] = 0
            self._add_factor_gradient(factor, top, bottom)
        if propagate_down[0]:
            g = factor.data.reshape(-1, 1)
            for dy, dx in self.slabs(factor, top[0].diff, bottom[0].diff):
                np.multiply(dy, g, out=dx)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        if len(bottom) == 1:
            self._add_factor_gradient(self.blobs[0], top, bottom)
        if self.param.bias_term:
            add_sums(self, self.blobs[-1], top)

    def _add_factor_gradient(self, factor: Blob, top: list[Blob], bottom: list[Blob]) -> None:
        dg = factor.diff.reshape(-1)
        for x, dy in self.slabs(factor, bottom[0].data, top[0].diff):
            dg += np.einsum("ods,ods->d", x, dy)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0])

    def to_onnx(self, graph, inputs):
        factor = inputs[1] if len(inputs) > 1 else graph.weight(self, 0)
        y = graph.op("Mul", [inputs[0], aligned(self, graph, inputs[0], factor)])
        if self.param.bias_term:
            y = graph.op("Add", [y, aligned(self, graph, inputs[0], graph.weight(self, len(self.blobs) - 1))])
        return [y]


class Bias(Along):
    """y = x + b, with b along some axes of x (the channels by default): a parameter, or the second bottom."""

    type = "Bias"
    options = "bias_param"
    in_place = True
    reads = ()

    def setup(self, bottom_shapes):
        if len(bottom_shapes) == 1:
            self.add_blob(self.parameter_shape(bottom_shapes[0]), self.param.filler)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        term = bottom[1] if len(bottom) > 1 else self.blobs[0]
        b = term.data.reshape(-1, 1)
        for x, y in self.slabs(term, bottom[0].data, top[0].data):
            np.add(x, b, out=y)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].diff[...] = 0
            add_sums(self, bottom[1], top)
        if propagate_down[0] and bottom[0] is not top[0]:
            np.copyto(bottom[0].diff, top[0].diff)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        if len(bottom) == 1:
            add_sums(self, self.blobs[0], top)

    def to_onnx(self, graph, inputs):
        term = inputs[1] if len(inputs) > 1 else graph.weight(self, 0)
        return [graph.op("Add", [inputs[0], aligned(self, graph, inputs[0], term)])]


def add_sums(layer: Along, term: Blob, top: list[Blob]) -> None:
    """Add to a term's diff the sums of the top's over all axes the term does not cover."""
    db = term.diff.reshape(-1)
    for (dy,) in layer.slabs(term, top[0].diff):
        db += dy.sum(axis=2).sum(axis=0)


def aligned(layer: Along, graph, x: str, operand: str) -> str:
    """The operand with axes of size 1 behind it, so that ONNX, which aligns last axes, broadcasts it along x."""
    shape = graph.shape(operand)
    after = len(graph.shape(x)) - layer.span(graph.shape(x), shape)[1]
    if not after:
        return operand
    axes = np.arange(len(shape), len(shape) + after, dtype=np.int64)
    return graph.op("Unsqueeze", [operand, graph.const(axes)])


@hookimpl
def netdef_layers() -> list[type]:
    return [Eltwise, Scale, Bias]
