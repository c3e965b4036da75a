"""Pooling whose windows have a size of their own along each axis."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Enum, Field, LayerError, ParameterFree, Shape
from netdef_volume.windows import Windows

Array = np.ndarray
MAX, AVE = 0, 1
KERNEL = Field("kernel_size", "uint32", repeated=True, doc="The window's size: once, or once for each axis.")
STRIDE = Field("stride", "uint32", repeated=True, doc="The distance of windows: once, or once for each axis; 1.")
PAD = Field("pad", "uint32", repeated=True, doc="Pixels added at both ends: once, or once for each axis; 0.")


class VolumePooling(ParameterFree):
    """y[o] = max or mean of x[o * stride - pad + k] over the window's k: Pooling, with a size for each spatial axis.

    The rules are Caffe's: sizes are rounded up unless round_mode or ceil_mode says otherwise, a window that would begin
    behind the image is left out where there is pad, MAX ignores padding, and AVE divides by the window's size within
    the padded image. STOCHASTIC and a second top are refused.
    """

    type = "Pooling"
    reads = ()
    options = Block(
        "pooling_param", [KERNEL, STRIDE, PAD, Field("ceil_mode", "bool", True, doc="Sizes are rounded up.")]
    )

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        """Where a size is given more than once; all else is Caffe's own Pooling."""
        return any(
            field.name in ("KERNEL_SIZE", "STRIDE", "PAD") for field, _ in layer_param.pooling_param.ListFields()
        )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.pool not in (MAX, AVE):
            raise LayerError("pool is STOCHASTIC; with a size for each axis, want MAX or AVE")
        other = [
            name for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w") if p.HasField(name)
        ]
        if other or p.global_pooling:
            raise LayerError(
                f"{other[0] if other else 'global_pooling'} beside a size for each axis; want one of the two"
            )
        if p.HasField("round_mode") and p.HasField("ceil_mode") and p.ceil_mode == bool(p.round_mode):
            raise LayerError("round_mode contradicts ceil_mode; want one of the two")

    @property
    def up(self) -> bool:
        return bool(self.param.ceil_mode if self.param.HasField("ceil_mode") else self.param.round_mode == 0)

    def windows(self, shape: Shape) -> Windows:
        """Over images of a bottom of this shape."""
        axes, p = len(shape) - 2, self.param
        if axes < 1:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, ...) and at least one axis more")
        kernel, stride, pad = (sizes(p, *given, axes) for given in (("kernel_size", 0), ("stride", 1), ("pad", 0)))
        if min(kernel) < 1 or min(stride) < 1:
            raise LayerError(f"kernel_size is {kernel} and stride {stride}; want at least 1 along each axis")
        if any(a >= b for a, b in zip(pad, kernel, strict=True)):
            raise LayerError(f"pad {pad} is not smaller than the kernel {kernel}: a window could hold padding alone")
        return Windows(kernel, stride, pad, self.up)

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [(*shapes[0][:2], *self.windows(shapes[0]).places(shapes[0][2:]))]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        windows = self.windows(x.shape)
        y.fill(0)
        self.winner = np.full(y.shape, -1, np.int32)
        for number, pixels, where in windows.taps(x.shape[2:], y.shape[2:]):
            if self.param.pool == AVE:
                y[where] += x[pixels]
                continue
            better = (self.winner[where] < 0) | (x[pixels] > y[where]) | np.isnan(x[pixels])
            np.copyto(y[where], x[pixels], where=better)
            np.copyto(self.winner[where], number, where=better)
        if self.param.pool == AVE:
            y /= windows.volumes(x.shape[2:], y.shape[2:]).astype(y.dtype)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, dy = bottom[0].diff, top[0].diff
        windows = self.windows(dx.shape)
        dx.fill(0)
        average = self.param.pool == AVE
        share = dy / windows.volumes(dx.shape[2:], dy.shape[2:]).astype(dy.dtype) if average else dy
        for number, pixels, where in windows.taps(dx.shape[2:], dy.shape[2:]):
            dx[pixels] += share[where] if average else share[where] * (self.winner[where] == number)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        """Pads at the end are what the last window needs; a mean over them is brought to the window's own volume."""
        shape = graph.shape(inputs[0])
        windows = self.windows(shape)
        image, places = shape[2:], windows.places(shape[2:])
        axes = zip(image, places, windows.kernel, windows.stride, windows.pad, strict=True)
        ends = [max(0, (n - 1) * s + k - size - p) for size, n, k, s, p in axes]
        how: dict[str, Any] = {"kernel_shape": windows.kernel, "strides": windows.stride, "pads": [*windows.pad, *ends]}
        if self.param.pool == MAX:
            return [graph.op("MaxPool", inputs, **how)]
        y = graph.op("AveragePool", inputs, count_include_pad=1, **how)
        share = np.prod(windows.kernel) / windows.volumes(image, places)
        return [graph.op("Mul", [y, graph.const(share.astype(np.float32))])]


class PoolingND(VolumePooling):
    """The same by a block of its own: pooling_nd_param, as 3D-Caffe has it."""

    type = "PoolingND"
    options = Block(
        "pooling_nd_param",
        [
            Field("pool", Enum("PoolMethod", ("MAX", "AVE")), "MAX", doc="What becomes of a window."),
            KERNEL,
            STRIDE,
            PAD,
        ],
        message="PoolingNDParameter",
        doc="Windows over volumes.",
    )
    up = True

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        pass


def sizes(param: Any, name: str, default: int, axes: int) -> Shape:
    """An option's value along each axis. Raises LayerError for any other number of them."""
    given = list(getattr(param, name)) or [default]
    given = given * axes if len(given) == 1 else given
    if len(given) != axes:
        raise LayerError(f"{len(given)} {name} for {axes} spatial axes; want one, or one for each")
    return tuple(given)
