"""What moves filters over an image: their weights and geometry, and what Convolution and its transpose share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Layer, LayerError, Shape
from netdef_plugins.windows import Window, per_axis, volume

Array = np.ndarray


def kernels(w: Array) -> Any:
    """Who convolves with w, imported when first needed: compiled loops for two spatial axes, else NumPy."""
    if w.ndim == 4:
        from netdef_plugins.kernels import conv2d

        return conv2d
    from netdef_plugins.kernels import conv_nd

    return conv_nd


def geometry(param: Any, shape: Shape) -> tuple[int, Window]:
    """The axis of channels and the window of a convolution_param, for bottoms like `shape`."""
    axis = param.axis + len(shape) * (param.axis < 0)
    if not 0 <= axis < len(shape):
        raise LayerError(f"axis is {param.axis}, the bottom has {len(shape)} axes {shape}; want an axis it has")
    axes = len(shape) - axis - 1
    window = Window(
        per_axis(param, "kernel_size", "kernel", axes, None),
        per_axis(param, "stride", "stride", axes, 1),
        per_axis(param, "pad", "pad", axes, 0, least=0),
        per_axis(param, "dilation", "dilation", axes, 1),
    )
    return axis, window


class Filters(Layer):
    """What Convolution and Deconvolution share: every bottom meets the same w and b and gives a top of its own.

    Axes before `axis` are so many images; `axis` holds the channels; the window moves along all after it.
    """

    bottoms = (1, None)
    tops = (1, None)
    options = "convolution_param"
    onnx: str
    """The operation of ONNX."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        self.axis, self.window = geometry(p, bottom_shapes[0])
        self.axes, self.channels = len(bottom_shapes[0]), bottom_shapes[0][self.axis]
        for what, value in (("num_output", p.num_output), ("group", p.group)):
            if value < 1:
                raise LayerError(f"{what} is {value}; want at least 1")
        for what, value in (("channels of the bottom", self.channels), ("num_output", p.num_output)):
            if value % p.group:
                raise LayerError(f"group {p.group} does not divide the {value} {what}")
        rows, columns = self.rows_and_columns()
        self.add_blob((rows, columns // p.group, *self.window.kernel), p.weight_filler)
        if p.bias_term:
            self.add_blob((p.num_output,), p.bias_filler)

    @abstractmethod
    def rows_and_columns(self) -> tuple[int, int]:
        """Channels behind and before a convolution with w."""

    @abstractmethod
    def moved(self, image: Shape) -> Shape:
        """The spatial sizes of the top."""

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(self.layer_param.top) != len(shapes):
            raise LayerError(f"has {len(shapes)} bottoms for {len(self.layer_param.top)} tops; want as many of each")
        return [self._top_shape(shape) for shape in shapes]

    def _top_shape(self, shape: Shape) -> Shape:
        if len(shape) != self.axes or shape[self.axis] != self.channels:
            want = f"{self.axes} axes and {self.channels} channels on axis {self.axis}, as w was made for"
            raise LayerError(f"a bottom has shape {shape}; want {want}")
        return (*shape[: self.axis], self.param.num_output, *self.moved(shape[self.axis + 1 :]))

    def images(self, x: Array) -> Array:
        """A view [N, channels, ...]."""
        return x.reshape(volume(x.shape[: self.axis]), *x.shape[self.axis :])

    @property
    def how(self) -> tuple[Shape, Shape, Shape, int]:
        """stride, pad, dilation, group: the arguments that all kernels share."""
        return self.window.stride, self.window.pad, self.window.dilation, self.param.group

    @property
    def bias(self) -> Array | None:
        return self.blobs[1].data if self.param.bias_term else None

    @property
    def absorbs(self) -> tuple[str, ...]:
        return ("affine", "rectified") if self.axis == 1 else ("rectified",)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.forward_then(bottom, top, None, False)

    def ending(self, affine: tuple[Array, Array] | None) -> tuple[Array | None, Array | None]:
        """What becomes of the products: their factor and bias for each output, None for none."""
        if affine is None:
            return None, self.bias
        dtype = self.blobs[0].dtype
        factor, added = (np.broadcast_to(v, self.param.num_output).astype(dtype) for v in affine)
        return factor, added if self.bias is None else factor * self.bias + added

    def absorbed(self, g: Array, b: Array) -> tuple[Any, list[Array]] | None:
        if self.axis != 1:
            return None
        w, n = self.blobs[0].data, self.param.num_output
        bias = g * self.bias if self.bias is not None else np.zeros_like(g)
        changed = type(self.layer_param)()
        changed.CopyFrom(self.layer_param)
        changed.convolution_param.ClearField("bias_term")
        return changed, [self.scaled(w, np.broadcast_to(g, n)), np.broadcast_to(bias + b, n)]

    @abstractmethod
    def scaled(self, w: Array, g: Array) -> Array:
        """w with what leads to output o times g[o]."""

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        return [self._one_to_onnx(graph, x) for x in inputs]

    def _one_to_onnx(self, graph: Any, x: str) -> str:
        shape = graph.shape(x)
        image = graph.sizes(x)[self.axis + 1 :] or (1,)  # ONNX wants a spatial axis
        w = graph.weight(self, 0)
        plain = self.axis == 1 and len(shape) > 2
        images = x if plain else graph.op("Reshape", [x, graph.joined([-1, self.channels, *image])])
        if not self.window.kernel:
            w = graph.const(self.blobs[0].data[..., None], "w")
        b = [graph.weight(self, 1)] if self.param.bias_term else []
        y = graph.op(self.onnx, [images, w, *b], group=self.param.group, **attributes(self.window))
        return y if plain else unfolded(graph, x, y, self.axis, self._top_shape(shape))


def unfolded(graph: Any, x: str, y: str, axis: int, top: Shape) -> str:
    """y, of which all axes of x before `axis` are one, in the shape `top`; what x leaves open is counted."""
    free = graph.open_axes(x)
    behind = [graph.size(y, i - axis + 1) if i in free else n for i, n in enumerate(top) if i >= axis]
    return str(graph.op("Reshape", [y, graph.joined([*graph.sizes(x)[:axis], *behind])]))


def attributes(window: Window) -> dict[str, Shape]:
    """A window in the words of ONNX."""
    if not window.kernel:
        return {}
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": window.pad * 2,
        "dilations": window.dilation,
    }
