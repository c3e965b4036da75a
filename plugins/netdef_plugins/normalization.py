"""Normalization: by neighbouring channels or pixels, by the batch's statistics, by each image's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import TEST, Blob, LayerError, ParameterFree, Shape, hookimpl
from netdef_plugins.pooling_onnx import OnnxPooling
from netdef_plugins.windows import Window, volume

Array = np.ndarray
WITHIN_CHANNEL = 1


class LRN(ParameterFree):
    """y = x * s^-beta; ACROSS_CHANNELS: s = k + alpha * the mean of x^2 over local_size channels around each.

    WITHIN_CHANNEL: s = 1 + alpha * the mean of x^2 over local_size x local_size pixels; k is not used. What lies
    beyond the edge counts as zero.
    """

    type = "LRN"
    options = "lrn_param"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if self.param.local_size % 2 == 0:
            raise LayerError(f"local_size is {self.param.local_size}; want an odd number, as many before as behind")

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want (number, channels, height, width)")
        return [shapes[0]]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from netdef_plugins.kernels import lrn

        p, x, y = self.param, bottom[0].data, top[0].data
        if p.norm_region == WITHIN_CHANNEL:
            lrn.within(x, y, p.local_size, p.alpha, p.beta)
        else:
            lrn.across(x, y, p.local_size, p.alpha, p.beta, p.k)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """dx = dy * s^-beta - 2 alpha beta x * mean(dy * x * s^(-beta - 1)); s is computed again."""
        from netdef_plugins.kernels import lrn

        p, x, dx, dy = self.param, bottom[0].data, bottom[0].diff, top[0].diff
        if p.norm_region == WITHIN_CHANNEL:
            lrn.within_backward(dy, x, dx, p.local_size, p.alpha, p.beta)
        else:
            lrn.across_backward(dy, x, dx, p.local_size, p.alpha, p.beta, p.k)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        p, x = self.param, inputs[0]
        if p.norm_region != WITHIN_CHANNEL:
            return [graph.op("LRN", [x], size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)]
        shape = graph.shape(x)
        around = min(p.local_size // 2, max(shape[2:]))  # more pixels are not to be seen
        n = 2 * around + 1
        window = Window((n, n), (1, 1), (around, around), (1, 1))
        mean = OnnxPooling(graph, x, window, shape).average(graph.op("Mul", [x, x]))
        alpha = constant(graph, p.alpha * (n / p.local_size) ** 2)
        s = graph.op("Add", [graph.op("Mul", [mean, alpha]), constant(graph, 1)])
        return [graph.op("Mul", [x, graph.op("Pow", [s, constant(graph, -p.beta)])])]


def constant(graph: Any, value: float) -> str:
    return graph.const(np.float32(value))


class BatchNorm(ParameterFree):
    """y = (x - mean) / sqrt(variance + eps), per channel (axis 1).

    TRAIN takes mean and variance from the batch and adds them, and a 1, to the blobs: mean, variance (as m / (m - 1)
    of m numbers) and factor, each first multiplied by moving_average_fraction. TEST takes mean / factor and
    variance / factor, 0 while the factor is 0. use_global_stats decides in place of the phase. No scale and no bias: a
    Scale layer follows.
    """

    type = "BatchNorm"
    options = "batch_norm_param"
    in_place = True

    @property
    def reads(self) -> tuple[str, ...]:
        return () if self.fixed else ("top",)

    @property
    def fixed(self) -> bool:
        """Whether mean and variance are the blobs'."""
        p = self.param
        return bool(p.use_global_stats) if p.HasField("use_global_stats") else self.phase == TEST

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        for shape in (channels(bottom_shapes[0]), channels(bottom_shapes[0]), (1,)):
            self.add_blob(shape, learns=False)

    def infer(self, *shapes: Shape) -> list[Shape]:
        if channels(shapes[0]) != self.blobs[0].shape:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want {self.blobs[0].count} channels on axis 1")
        return [shapes[0]]

    def moving(self) -> tuple[Array, Array]:
        """The moving averages of mean and variance."""
        mean, variance, factor = (blob.data for blob in self.blobs)
        weight = 0 if factor[0] == 0 else 1 / factor[0]
        return mean * weight, variance * weight

    def as_affine(self) -> tuple[Array, Array] | None:
        mean, variance = self.moving()
        factor = 1 / np.sqrt(variance + self.param.eps)
        return (factor, -mean * factor) if self.fixed else None

    def absorbed(self, g: Array, b: Array) -> tuple[Any, list[Array]] | None:
        """A Scale: what takes a BatchNorm's Scale where no convolution before it could."""
        own = self.as_affine()
        if own is None:
            return None
        p = self.layer_param
        changed = type(p)(name=p.name, type="Scale", bottom=p.bottom, top=p.top)
        changed.scale_param.bias_term = True
        return changed, [g * own[0], g * own[1] + b]

    @property
    def absorbs(self) -> tuple[str, ...]:
        return ("affine", "rectified") if self.fixed else ("gradients",)

    def remember(self, mean: Array, variance: Array, m: int) -> None:
        fraction = self.param.moving_average_fraction
        for blob, new in zip(self.blobs, (mean, variance * (m / max(m - 1, 1)), 1), strict=True):
            blob.data[...] = blob.data * fraction + new

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from netdef_plugins.kernels import norm

        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        if not x.size:
            return
        if self.fixed:
            self.forward_then(bottom, top, None, False)
        else:
            mean, self.variance = np.empty((2, x.shape[1]), x.dtype)
            norm.batch(x, y, mean, self.variance, self.param.eps)
            self.remember(mean, self.variance, x.size // x.shape[1])

    def forward_then(
        self, bottom: list[Blob], top: list[Blob], affine: tuple[Array, Array] | None, rectified: bool
    ) -> None:
        from netdef_plugins.kernels import norm

        if not bottom[0].count:
            return
        mean, variance = self.moving()
        self.factor = 1 / np.sqrt(variance + self.param.eps)
        g, b = self.factor, -mean * self.factor
        if affine is not None:
            factor, added = (np.broadcast_to(v, g.shape).astype(g.dtype) for v in affine)
            g, b = factor * g, factor * b + added
        norm.scale(by_channel(bottom[0].data), g, b, by_channel(top[0].data), relu=rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """dx = (dy - mean(dy) - y mean(dy y)) / deviation where the statistics are the batch's, else dy / deviation."""
        from netdef_plugins.kernels import norm

        dx, dy = by_channel(bottom[0].diff), by_channel(top[0].diff)
        if not dx.size:
            return
        if self.fixed:
            norm.scale(dy, self.factor, None, dx)
        else:
            norm.batch_backward(dy, by_channel(top[0].data), self.variance, dx, self.param.eps)

    def backward_then(
        self, behind: Blob, top: list[Blob], bottom: list[Blob], g: Array | None, rectified: bool
    ) -> tuple[Array, Array]:
        from netdef_plugins.kernels import norm

        dz, y, dx = by_channel(behind.diff), by_channel(top[0].data), by_channel(bottom[0].diff)
        if not dx.size:
            return np.zeros_like(self.blobs[0].data), np.zeros_like(self.blobs[0].data)
        g = g if g is None else np.broadcast_to(g, self.blobs[0].shape).astype(y.dtype)
        z = by_channel(behind.data) if rectified else None
        return norm.batch_backward(dz, y, self.variance, dx, self.param.eps, g, z)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        x, shape = inputs[0], graph.shape(inputs[0])
        if not self.fixed:
            return [standardized(graph, x, [0, *range(2, len(shape))], eps_inside=self.param.eps)]
        if len(shape) == 1:
            x = graph.op("Reshape", [x, graph.const(np.array([-1, 1]))])
        n = self.blobs[0].count
        one, zero = graph.const(np.ones(n), "one"), graph.const(np.zeros(n), "zero")
        moving = [graph.const(v, hint) for v, hint in zip(self.moving(), ("mean", "variance"), strict=True)]
        y = graph.op("BatchNormalization", [x, one, zero, *moving], epsilon=self.param.eps)
        return [y if len(shape) > 1 else graph.op("Reshape", [y, graph.const(np.array([-1]))])]


class MVN(ParameterFree):
    """y = (x - mean) / (deviation + eps), over each channel of each image; with across_channels over each image.

    Without normalize_variance only the mean is taken away. eps stands outside the square root; Caffe's gradient treats
    it as if it stood inside, this one does not, which matters only where eps is not small beside the deviation.
    """

    type = "MVN"
    options = "mvn_param"
    in_place = True

    @property
    def reads(self) -> tuple[str, ...]:
        return ("top",) if self.param.normalize_variance else ()

    def rows(self, x: Array) -> Array:
        """A view with a row for each mean."""
        axes = 1 if self.param.across_channels else 2
        return x.reshape(volume(x.shape[:axes]), volume(x.shape[axes:]))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = self.rows(bottom[0].data), self.rows(top[0].data)
        np.subtract(x, x.mean(axis=1, keepdims=True), out=y)
        if self.param.normalize_variance:
            self.deviation = np.sqrt((y * y).mean(axis=1, keepdims=True))
            y /= self.deviation + self.param.eps

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """dx = (dy - mean(dy) - y mean(dy y) (deviation + eps) / deviation) / (deviation + eps)."""
        dx, dy, y = self.rows(bottom[0].diff), self.rows(top[0].diff), self.rows(top[0].data)
        along = (dy * y).mean(axis=1, keepdims=True) if self.param.normalize_variance else 0
        np.subtract(dy, dy.mean(axis=1, keepdims=True), out=dx)
        if self.param.normalize_variance:
            divisor = self.deviation + self.param.eps
            dx -= y * (along * divisor / np.where(self.deviation == 0, 1, self.deviation))
            dx /= divisor

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        axes = list(range(1 if self.param.across_channels else 2, len(graph.shape(inputs[0]))))
        return [standardized(graph, inputs[0], axes, self.param.normalize_variance, eps_outside=self.param.eps)]


def standardized(
    graph: Any, x: str, axes: list[int], variance: bool = True, eps_inside: float = 0, eps_outside: float = 0
) -> str:
    """x - mean, divided by sqrt(variance + eps_inside) + eps_outside, in ONNX; over no axes each x is its own mean."""
    along = graph.const(np.array(axes, np.int64))
    y = graph.op("Sub", [x, graph.op("ReduceMean", [x, along], noop_with_empty_axes=1)])
    if not variance:
        return y
    spread = graph.op("ReduceMean", [graph.op("Mul", [y, y]), along], noop_with_empty_axes=1)
    deviation = graph.op("Sqrt", [graph.op("Add", [spread, constant(graph, eps_inside)])])
    return graph.op("Div", [y, graph.op("Add", [deviation, constant(graph, eps_outside)])])


def channels(shape: Shape) -> Shape:
    """What a statistic per channel looks like; a bottom of one axis has one channel."""
    if not shape:
        raise LayerError("the bottom is a single number; want at least one axis")
    return shape[1:2] or (1,)


def by_channel(x: Array) -> Array:
    """A view with an axis of channels."""
    return x if x.ndim > 1 else x[:, None]


@hookimpl
def netdef_layers() -> list[type]:
    return [LRN, BatchNorm, MVN]
