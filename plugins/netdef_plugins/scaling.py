"""A blob times factors, plus terms, that run along some of its axes."""

import math
from functools import partial

import numpy as np

from netdef.layer import Blob, Layer, LayerError, Shape, hookimpl

from .axes import canonical, fold
from .elementwise import by_slabs


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

    def operand(self, bottom: list[Blob]) -> Blob:
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

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

    def per_channel(self) -> bool:
        """Whether it is a parameter for each channel, axis 1."""
        return len(self.layer_param.bottom) == 1 and self.param.axis == 1 and len(self.blobs[0].shape) == 1

    def fold(self, operand: Blob, x: np.ndarray) -> np.ndarray:
        """An array of the bottom's shape as (outer, operand, inner)."""
        return fold(x, *self.span(x.shape, operand.shape))

    def aligned(self, graph, x: str, operand: str) -> str:
        """The operand with axes of size 1 behind it: ONNX, which aligns last axes, then broadcasts it along x."""
        shape = graph.shape(operand)
        after = len(graph.shape(x)) - self.span(graph.shape(x), shape)[1]
        if not after:
            return operand
        axes = np.arange(len(shape), len(shape) + after, dtype=np.int64)
        return graph.op("Unsqueeze", [operand, graph.const(axes)])


class Scale(Along):
    """y = g * x + b, with g along some axes of x (the channels by default) and b, by bias_term, along the same.

    g is a parameter, 1 unless a filler is given, or the second bottom. In place, Caffe keeps a copy of x, and so does
    the net.
    """

    type = "Scale"
    options = "scale_param"
    absorbs = ("rectified",)

    def setup(self, bottom_shapes):
        shape = bottom_shapes[1] if len(bottom_shapes) > 1 else self.parameter_shape(bottom_shapes[0])
        if len(bottom_shapes) == 1:
            given, default = self.param.filler, type(self.param.filler)(type="constant", value=1)
            self.add_blob(shape, given if self.param.HasField("filler") else default)
        if self.param.bias_term:
            self.add_blob(shape, self.param.bias_filler)

    def as_affine(self):
        if not self.per_channel():
            return None
        g = self.blobs[0].data
        return g, self.blobs[1].data if self.param.bias_term else np.zeros_like(g)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.forward_then(bottom, top, None, False)

    def forward_then(self, bottom, top, affine, rectified):
        g = self.operand(bottom)
        b = self.blobs[-1].data if self.param.bias_term else None
        scale(self.fold(g, bottom[0].data), g.data, b, self.fold(g, top[0].data), rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        g = self.operand(bottom)
        dy = self.fold(g, top[0].diff)
        if len(bottom) > 1 and propagate_down[1]:
            g.diff[...] = 0
            add_products(self.fold(g, bottom[0].data), dy, g.diff)
        if propagate_down[0]:
            scale(dy, g.data, None, self.fold(g, bottom[0].diff))

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        g = self.operand(bottom)
        dy = self.fold(g, top[0].diff)
        db = self.blobs[-1].diff if self.param.bias_term else None
        if len(bottom) == 1:
            add_products(self.fold(g, bottom[0].data), dy, g.diff, db)
        elif db is not None:
            add_sums(dy, db)

    def update_affine(self, dg, db):
        for blob, gradient in zip(self.blobs, (dg, db), strict=False):
            blob.diff[...] += gradient

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0])

    def to_onnx(self, graph, inputs):
        g = inputs[1] if len(inputs) > 1 else graph.weight(self, 0)
        y = graph.op("Mul", [inputs[0], self.aligned(graph, inputs[0], g)])
        if self.param.bias_term:
            y = graph.op("Add", [y, self.aligned(graph, inputs[0], graph.weight(self, len(self.blobs) - 1))])
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

    def as_affine(self):
        b = self.blobs[0].data if self.per_channel() else None
        return None if b is None else (np.ones_like(b), b)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        b = self.operand(bottom)
        added = b.data.reshape(-1, 1)
        by_slabs(lambda x, y: np.add(x, added, out=y), self.fold(b, bottom[0].data), self.fold(b, top[0].data))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].diff[...] = 0
            add_sums(self.fold(bottom[1], top[0].diff), bottom[1].diff)
        if propagate_down[0] and bottom[0] is not top[0]:
            np.copyto(bottom[0].diff, top[0].diff)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        if len(bottom) == 1:
            add_sums(self.fold(self.blobs[0], top[0].diff), self.blobs[0].diff)

    def update_affine(self, dg, db):
        self.blobs[0].diff[...] += db

    def to_onnx(self, graph, inputs):
        b = inputs[1] if len(inputs) > 1 else graph.weight(self, 0)
        return [graph.op("Add", [inputs[0], self.aligned(graph, inputs[0], b)])]


def scale(x: np.ndarray, g: np.ndarray, b: np.ndarray | None, y: np.ndarray, relu: bool = False) -> None:
    """y = g * x + b for x and y of shape (outer, operand, inner), rectified where relu is set."""
    if has_rows(x):
        from .kernels import norm

        norm.scale(x, g, b, y, x.shape[2], relu)
        return

    def slab(x: np.ndarray, y: np.ndarray) -> None:
        np.multiply(x, g.reshape(-1, 1), out=y)
        if b is not None:
            y += b.reshape(-1, 1)
        if relu:
            np.maximum(y, 0, out=y)

    by_slabs(slab, x, y)


def add_products(x: np.ndarray, dy: np.ndarray, dg: np.ndarray, db: np.ndarray | None = None) -> None:
    """dg += x * dy and db (or None) += dy, summed over outer and inner."""
    if has_rows(x):
        from .kernels import norm

        norm.scale_update(dy, x, dg, db, x.shape[2])
        return
    for part in by_slabs(partial(np.einsum, "ods,ods->d"), x, dy):
        dg += part.reshape(dg.shape)
    if db is not None:
        add_sums(dy, db)


def add_sums(dy: np.ndarray, db: np.ndarray) -> None:
    """db += dy, summed over outer and inner."""
    for part in by_slabs(lambda dy: dy.sum(axis=2).sum(axis=0), dy):
        db += part.reshape(db.shape)


def has_rows(x: np.ndarray) -> bool:
    """Whether the kernels pay: they share the operand's entries among threads, and run along the inner axis."""
    return x.shape[1] > 1 and x.shape[2] > 1


@hookimpl
def netdef_layers() -> list[type]:
    return [Scale, Bias]
