"""Convolution, its transpose, and the columns that older Caffe makes it of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, Shape, hookimpl
from netdef_plugins.filters import Filters, attributes, geometry, kernels, unfolded
from netdef_plugins.windows import volume

Array = np.ndarray


class Convolution(Filters):
    """y[m, o] = b[m] + sum over c, k of w[m, c, k] x[c, o * stride - pad + k * dilation].

    w[num_output, channels / group, ...]; the window moves along as many axes as the bottom has after `axis`: two for
    images, three for volumes, even none. The g-th group of outputs sees the g-th group of channels. engine and
    force_nd_im2col choose between equal results and are ignored.
    """

    type = "Convolution"
    onnx = "Conv"

    def rows_and_columns(self) -> tuple[int, int]:
        return self.param.num_output, self.channels

    def moved(self, image: Shape) -> Shape:
        return self.window.steps(image)

    def scaled(self, w: Array, g: Array) -> Array:
        return w * g.reshape(-1, *[1] * (w.ndim - 1))

    def forward_then(
        self, bottom: list[Blob], top: list[Blob], affine: tuple[Array, Array] | None, rectified: bool
    ) -> None:
        w, (factor, bias) = self.blobs[0].data, self.ending(affine)
        for x, y in zip(bottom, top, strict=True):
            kernels(w).forward(self.images(x.data), w, bias, self.images(y.data), *self.how, rectified, factor)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        w = self.blobs[0].data
        for x, y, down in zip(bottom, top, propagate_down, strict=True):
            if down:
                kernels(w).backward(self.images(y.diff), w, self.images(x.diff), *self.how)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        dw = self.blobs[0].diff
        db = self.blobs[1].diff if self.param.bias_term else None
        for x, y in zip(bottom, top, strict=True):
            kernels(dw).update(self.images(y.diff), self.images(x.data), dw, db, *self.how)

    def macs(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> int:
        return sum(volume(shape) for shape in top_shapes) * volume(self.blobs[0].shape[1:])


def finish(y: Array, factor: Array | None, bias: Array | None, rectified: bool) -> None:
    """y[N, C, ...] = factor[C] * y + bias[C] in place, 1 and 0 where they are None, rectified where that is set."""
    from netdef_plugins.kernels import norm

    norm.scale(y, np.ones(y.shape[1], y.dtype) if factor is None else factor, bias, y, relu=rectified)


def add_sums(dy: Array, db: Array) -> None:
    """db[C] += the sum of dy[N, C, ...] over all but C."""
    from netdef_plugins.kernels import conv2d

    conv2d.add_bias(dy, db)


class Deconvolution(Filters):
    """The transpose of Convolution: forward is its backward, w[channels, num_output / group, ...]; then b is added.

    The top's sizes are stride * (n - 1) + dilation * (kernel - 1) + 1 - 2 pad. With group = num_output = channels,
    kernel 2 f - f % 2, stride f, pad (f - 1) / 2 rounded up and the bilinear filler it enlarges an image by f.
    """

    type = "Deconvolution"
    onnx = "ConvTranspose"

    def rows_and_columns(self) -> tuple[int, int]:
        return self.channels, self.param.num_output

    def moved(self, image: Shape) -> Shape:
        return self.window.spread(image)

    def scaled(self, w: Array, g: Array) -> Array:
        groups, outputs = self.param.group, w.shape[1]
        by_group = w.reshape(groups, -1, *w.shape[1:])
        return (by_group * g.reshape(groups, 1, outputs, *[1] * (w.ndim - 2))).reshape(w.shape)

    def forward_then(
        self, bottom: list[Blob], top: list[Blob], affine: tuple[Array, Array] | None, rectified: bool
    ) -> None:
        w, (factor, bias) = self.blobs[0].data, self.ending(affine)
        for x, y in zip(bottom, top, strict=True):
            out = self.images(y.data)
            kernels(w).backward(self.images(x.data), w, out, *self.how)
            if out.size and (bias is not None or rectified):
                finish(out, factor, bias, rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        w = self.blobs[0].data
        for x, y, down in zip(bottom, top, propagate_down, strict=True):
            if down:
                kernels(w).forward(self.images(y.diff), w, None, self.images(x.diff), *self.how)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        dw = self.blobs[0].diff
        for x, y in zip(bottom, top, strict=True):
            dy = self.images(y.diff)
            kernels(dw).update(self.images(x.data), dy, dw, None, *self.how)
            if self.param.bias_term and dy.size:
                add_sums(dy, self.blobs[1].diff)

    def macs(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> int:
        return sum(volume(shape) for shape in bottom_shapes) * volume(self.blobs[0].shape[1:])


class Im2col(ParameterFree):
    """y[c * K + k, o] = x[c, o * stride - pad + k * dilation], 0 in the padding: what a window meets becomes channels.

    K is the number of positions in the kernel. Only kernel, stride, pad, dilation and axis of convolution_param matter.
    """

    type = "Im2col"
    options = "convolution_param"
    reads = ()

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.axis, self.window = geometry(self.param, bottom_shapes[0])

    def infer(self, *shapes: Shape) -> list[Shape]:
        shape, axes = shapes[0], len(self.window.kernel)
        if len(shape) - self.axis - 1 != axes:
            raise LayerError(f"the bottom's shape is {shape}; want {axes} axes after axis {self.axis}")
        channels = shape[self.axis] * volume(self.window.kernel)
        return [(*shape[: self.axis], channels, *self.window.steps(shape[self.axis + 1 :]))]

    def _split(self, x: Array, columns: Array) -> tuple[Array, Array]:
        """Views [N, C, ...] and [N, C, K, ...]."""
        x = x.reshape(volume(x.shape[: self.axis]), *x.shape[self.axis :])
        return x, columns.reshape(*x.shape[:2], volume(self.window.kernel), *columns.shape[self.axis + 1 :])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, columns = self._split(bottom[0].data, top[0].data)
        columns.fill(0)
        for tap, pixels, places in self.window.taps(x.shape[2:], columns.shape[3:]):
            columns[(slice(None), slice(None), tap, *places)] = x[(..., *pixels)]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, columns = self._split(bottom[0].diff, top[0].diff)
        dx.fill(0)
        for tap, pixels, places in self.window.taps(dx.shape[2:], columns.shape[3:]):
            dx[(..., *pixels)] += columns[(slice(None), slice(None), tap, *places)]

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        """A convolution of each channel by itself, with one filter for each position."""
        shape = graph.shape(inputs[0])
        channels, positions = shape[self.axis], volume(self.window.kernel)
        w = np.tile(np.eye(positions, dtype=np.float32), (channels, 1))
        w = graph.const(w.reshape(-1, 1, *(self.window.kernel or (1,))), "w")
        image = graph.sizes(inputs[0])[self.axis + 1 :] or (1,)
        x = graph.op("Reshape", [inputs[0], graph.joined([-1, channels, *image])])
        y = graph.op("Conv", [x, w], group=channels, **attributes(self.window))
        return [unfolded(graph, inputs[0], y, self.axis, self.infer(shape)[0])]


@hookimpl
def netdef_layers() -> list[type]:
    return [Convolution, Deconvolution, Im2col]
