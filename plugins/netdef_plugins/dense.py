"""Layers whose parameter is a whole matrix: inner products, embeddings, and the bare parameter."""

import math

import numpy as np

from netdef.layer import Blob, Layer, LayerError, Shape, hookimpl

from .axes import canonical
from .rows import add_at, indices


class InnerProduct(Layer):
    """y = W x + b for each item, which is all axes from axis on, flattened.

    W is (num_output, inputs), or with transpose (inputs, num_output).
    """

    type = "InnerProduct"
    options = "inner_product_param"
    absorbs = ("rectified",)

    def setup(self, bottom_shapes):
        n, x = self.param.num_output, bottom_shapes[0]
        if n < 1:
            raise LayerError("num_output is 0 or missing; want 1 or more")
        k = math.prod(x[canonical(self.param.axis, x) :])
        if k < 1:
            raise LayerError(f"an item of a bottom of shape {x} has no elements; want 1 or more")
        self.add_blob((k, n) if self.param.transpose else (n, k), self.param.weight_filler)
        if self.param.bias_term:
            self.add_blob((n,), self.param.bias_filler)

    def infer(self, *shapes):
        x = shapes[0]
        axis, n = canonical(self.param.axis, x), self.param.num_output
        k = self.blobs[0].count // n
        if math.prod(x[axis:]) != k:
            said = f"the weights take {k} inputs an item; a bottom of shape {x} has {math.prod(x[axis:])}"
            more = "; `netdef weights convolve` makes a convolution of it, for images of any size"
            raise LayerError(said + more * (len(x) > axis + 1))
        return [(*x[:axis], n)]

    def _matrix(self) -> np.ndarray:
        """W as (outputs, inputs)."""
        w = self.blobs[0].data
        return w.T if self.param.transpose else w

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.forward_then(bottom, top, None, False)

    def forward_then(self, bottom, top, affine, rectified):
        from .kernels import products

        w, b = self._matrix(), self.blobs[1].data if self.param.bias_term else None
        x, y = as_rows(bottom[0].data, w.shape[1]), as_rows(top[0].data, w.shape[0])
        products.multiply(x, w.T, y, b, rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        from .kernels import products

        w = self._matrix()
        products.multiply(as_rows(top[0].diff, w.shape[0]), w, as_rows(bottom[0].diff, w.shape[1]))

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        from .kernels import products

        dw, n = self.blobs[0].diff, self.param.num_output
        x, dy = as_rows(bottom[0].data, dw.size // n), as_rows(top[0].diff, n)
        products.update(*((x, dy) if self.param.transpose else (dy, x)), dw)
        if self.param.bias_term:
            self.blobs[1].diff[...] += dy.sum(axis=0)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(top_shapes[0]) * (self.blobs[0].count // self.param.num_output)

    def absorbed(self, g, b):
        if self.param.axis != 1:
            return None
        bias = g * self.blobs[1].data if self.param.bias_term else np.zeros_like(g)
        changed = type(self.layer_param)()
        changed.CopyFrom(self.layer_param)
        changed.inner_product_param.ClearField("bias_term")
        w = self.blobs[0].data * (g if self.param.transpose else np.reshape(g, (-1, 1)))
        return changed, [w, np.broadcast_to(bias + b, self.param.num_output)]

    def as_convolution(self, bottom):
        if self.param.axis != 1 or len(bottom) != 4:
            return None
        p, old = self.param, self.layer_param
        changed = type(old)(name=old.name, type="Convolution", bottom=old.bottom, top=old.top, param=old.param)
        new = changed.convolution_param
        new.num_output, new.kernel_h, new.kernel_w = p.num_output, bottom[2], bottom[3]
        if not p.bias_term:
            new.bias_term = False
        w = self._matrix().reshape(p.num_output, *bottom[1:])
        return changed, [w, *(blob.data for blob in self.blobs[1:])]

    def to_onnx(self, graph, inputs):
        x = graph.shape(inputs[0])
        axis = canonical(self.param.axis, x)
        weights = [graph.weight(self, i) for i in range(len(self.blobs))]
        flat = inputs[0] if (axis, len(x)) == (1, 2) else graph.op("Flatten", inputs, axis=axis)
        y = graph.op("Gemm", [flat, *weights], transB=int(not self.param.transpose))
        if axis == 1:
            return [y]
        shape = (-1, *graph.sizes(inputs[0])[1:axis], self.param.num_output) if axis else (self.param.num_output,)
        return [graph.op("Reshape", [y, graph.joined(shape)])]


def as_rows(x: np.ndarray, width: int) -> np.ndarray:
    return x.reshape(x.size // width, width)


class Embed(Layer):
    """y = W[x] + b: for each number x, which is an index, the row of W it names. Has no gradient for the indices."""

    type = "Embed"
    options = "embed_param"
    no_gradient = "all"

    def setup(self, bottom_shapes):
        n, k = self.param.num_output, self.param.input_dim
        if n < 1 or k < 1:
            raise LayerError(f"num_output {n} and input_dim {k}: want both, 1 or more")
        self.add_blob((k, n), self.param.weight_filler)
        if self.param.bias_term:
            self.add_blob((n,), self.param.bias_filler)

    def infer(self, *shapes):
        return [(*shapes[0], self.param.num_output)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        w, y = self.blobs[0].data, top[0].data
        np.take(w, indices(bottom[0].data, len(w)), axis=0, out=y, mode="clip")
        if self.param.bias_term:
            y += self.blobs[1].data

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        for b in bottom:
            b.diff[...] = 0

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        dw = self.blobs[0].diff
        dy = as_rows(top[0].diff, dw.shape[1])
        add_at(dw, indices(bottom[0].data, len(dw)).reshape(-1), dy)
        if self.param.bias_term:
            self.blobs[1].diff[...] += dy.sum(axis=0)

    def sample(self, j, bottom_shapes, rng):
        return rng.integers(0, self.param.input_dim, bottom_shapes[j])

    def to_onnx(self, graph, inputs):
        y = graph.op("Gather", [graph.weight(self, 0), graph.op("Cast", inputs, to=7)], axis=0)
        return [graph.op("Add", [y, graph.weight(self, 1)]) if self.param.bias_term else y]


class Parameter(Layer):
    """A parameter of the given shape as a top, for other layers to compute with; zero before training.

    Caffe lets the top be the parameter's own memory; here it is a copy, so that a layer in place leaves the parameter
    alone and iter_size sums its gradients.
    """

    type = "Parameter"
    role = "parameter"
    options = "parameter_param"
    bottoms = 0
    reads = ()

    def setup(self, bottom_shapes):
        self.add_blob(tuple(self.param.shape.dim))

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [self.blobs[0].shape]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        np.copyto(top[0].data, self.blobs[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        pass

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        self.blobs[0].diff[...] += top[0].diff

    def to_onnx(self, graph, inputs):
        return [graph.weight(self, 0)]


@hookimpl
def netdef_layers() -> list[type]:
    return [InnerProduct, Embed, Parameter]
