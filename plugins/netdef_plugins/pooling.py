"""Pooling: one number for each window, the largest, the mean or one drawn by chance; and the pyramid made of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import TEST, Blob, Block, Field, LayerError, ParameterFree, Shape, hookimpl
from netdef_plugins import pool_nd
from netdef_plugins.pooling_onnx import OnnxPooling
from netdef_plugins.windows import Window, given, per_axis, volume

MAX, AVE, STOCHASTIC = 0, 1, 2
FLOOR = 1


def pools(x: np.ndarray) -> Any:
    """Who pools images like x, imported when first needed: compiled loops for two spatial axes, else NumPy."""
    if x.ndim != 4:
        return pool_nd
    from netdef_plugins.kernels import pool2d

    return pool2d


def window_of(param: Any, image: Shape, whole: bool) -> Window:
    """The window that a pooling_param asks for; a global one is as large as the `whole` image."""
    axes = len(image)
    stride, pad = per_axis(param, "stride", "stride", axes, 1), per_axis(param, "pad", "pad", axes, 0, least=0)
    if whole:
        if any(given(param, name) for name in ("kernel_size", "kernel_h", "kernel_w")):
            raise LayerError("has both global_pooling and a kernel; a global window is as large as the image")
        if any(pad) or set(stride) - {1}:
            raise LayerError(f"global_pooling has stride {stride} and pad {pad}; want stride 1 and pad 0")
        return Window(image, stride, pad, stride)
    kernel = per_axis(param, "kernel_size", "kernel", axes, None)
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise LayerError(f"pad {pad} is not smaller than the kernel {kernel}: a window could hold padding alone")
    if any(pad) and param.pool == STOCHASTIC:
        raise LayerError(f"STOCHASTIC has pad {pad}; want 0, or MAX or AVE")
    return Window(kernel, stride, pad, (1,) * axes)


def rounds_down(param: Any) -> bool:
    """round_mode is BVLC Caffe's word, ceil_mode the forks'; the default is up."""
    floor = param.round_mode == FLOOR
    if not param.HasField("ceil_mode"):
        return floor
    if param.HasField("round_mode") and floor == param.ceil_mode:
        raise LayerError(f"round_mode contradicts ceil_mode: {str(param.ceil_mode).lower()}; want one of the two")
    return not param.ceil_mode


def pooled(window: Window, image: Shape, floor: bool) -> Shape:
    """How many windows fit; the last may begin in the image only, but hang over its end unless `floor`."""
    sizes = []
    for size, k, s, p in zip(image, window.kernel, window.stride, window.pad, strict=True):
        room = size + 2 * p - k
        n = (room // s if floor else -(-room // s)) + 1
        if any(window.pad) and (n - 1) * s >= size + p:
            n -= 1
        if n < 1:
            raise LayerError(f"kernel {window.kernel} is larger than the image {image} with pad {window.pad}")
        sizes.append(n)
    return tuple(sizes)


class Pooling(ParameterFree):
    """y[c, o] = max, mean or a random one of x[c, o * stride - pad + k] over the kernel's k.

    Sizes are rounded up: (size + 2 pad - kernel) / stride + 1, so that the last window may hang over the edge; with
    round_mode FLOOR (ceil_mode: false in forks) down; with pad, a window that would begin behind the image is left out.
    MAX ignores padding and gives, as a second top, each winner's index in its plane. AVE divides by the window's size
    within the padded image: padding counts, overhang does not. STOCHASTIC draws x with probability x / sum in TRAIN (x
    must not be negative) and gives the expectation, sum of x^2 / sum of x, in TEST; Caffe has it on the GPU only.
    A window without a pixel (stride > kernel) gives 0, index -1 and no gradient, where Caffe reads outside the image.
    Any number of spatial axes will do.
    """

    type = "Pooling"
    options = "pooling_param"
    tops = (1, 2)

    @property
    def whole(self) -> bool:
        """Whether one window holds the image."""
        return bool(self.param.global_pooling)

    @property
    def floor(self) -> bool:
        """Whether sizes are rounded down."""
        return rounds_down(self.param)

    def window(self, image: Shape) -> Window:
        """What moves over an image of this size. Raises LayerError."""
        return window_of(self.param, image, self.whole)

    @property
    def reads(self) -> tuple[str, ...]:
        """MAX and a drawn STOCHASTIC note their winners, AVE needs nothing."""
        return ("bottom",) if self.expects else ()

    @property
    def selects(self) -> bool:
        """MAX and a drawn STOCHASTIC do."""
        return self.param.pool != AVE and not self.expects

    @property
    def expects(self) -> bool:
        return self.param.pool == STOCHASTIC and self.phase == TEST

    def infer(self, *shapes: Shape) -> list[Shape]:
        shape = shapes[0]
        if len(shape) < 3:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, height, width)")
        if len(self.layer_param.top) > 1 and self.param.pool != MAX:
            raise LayerError("has 2 tops; the second, the winners' indices, is for MAX only")
        image = shape[2:]
        return [(*shape[:2], *pooled(self.window(image), image, self.floor))] * 2

    def how(self, x: np.ndarray) -> tuple[Shape, Shape, Shape]:
        """kernel, stride, pad: the arguments that all kernels share."""
        window = self.window(x.shape[2:])
        return window.kernel, window.stride, window.pad

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        how = self.how(x)
        if self.param.pool == AVE:
            pools(x).average_forward(x, y, *how)
        elif self.expects:
            pool_nd.expect_forward(x, y, *how)
        else:
            self.winner = pool_nd.winners(y.shape, how[0])
            if self.param.pool == MAX:
                pools(x).max_forward(x, y, self.winner, *how)
            else:
                pool_nd.draw_forward(x, y, self.winner, 1 - self.rng().random(y.shape, np.float32), *how)
        if len(top) > 1:
            pool_nd.plane_indices(self.winner, x.shape[2:], *how, top[1].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, dy = bottom[0].diff, top[0].diff
        how = self.how(dx)
        if self.param.pool == AVE:
            pools(dx).average_backward(dy, dx, *how)
        elif self.expects:
            pool_nd.expect_backward(bottom[0].data, dy, dx, *how)
        else:
            pools(dx).max_backward(dy, self.winner, dx, *how)

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        shape, free = graph.shape(inputs[0]), graph.open_axes(inputs[0])
        if self.whole and max(free, default=0) >= 2 and self.param.pool != STOCHASTIC:
            return [graph.op("GlobalAveragePool" if self.param.pool == AVE else "GlobalMaxPool", inputs)]
        window, top = self.window(shape[2:]), self.infer(shape)[0]
        form = OnnxPooling(graph, inputs[0], window, top, self.floor)
        if self.param.pool == AVE:
            return [form.average(inputs[0])]
        if self.param.pool == STOCHASTIC:
            return [form.expectation(inputs[0])]
        return form.largest(inputs[0], mask=len(self.layer_param.top) > 1)


class SPP(ParameterFree):
    """Pooling over 1, 2 x 2, 4 x 4 ... windows that cut the whole image, flattened and joined: always as many numbers.

    An expansion: level i is a Pooling whose kernel and stride are the image's size / 2^i, rounded up, padded to fit.
    With pyramid_height 1 the top keeps four axes, (number, channels, 1, 1), as in Caffe.
    """

    type = "SPP"
    options = "spp_param"
    image: Shape = ()

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if self.param.pyramid_height < 1:
            raise LayerError(f"pyramid_height is {self.param.pyramid_height}; want at least 1")

    @property
    def reads(self) -> tuple[str, ...]:
        return ("bottom",) if self.param.pool == STOCHASTIC and self.phase == TEST else ()

    def level(self, i: int, image: Shape) -> Pooling:
        """The Pooling of 2^i x 2^i windows."""
        bins, param = 2**i, type(self.layer_param)(name=f"{self.name}/{i}", type="Pooling")
        p = param.pooling_param
        p.pool = self.param.pool
        p.kernel_h, p.kernel_w = p.stride_h, p.stride_w = [-(-size // bins) for size in image]
        p.pad_h, p.pad_w = [(-size % bins + 1) // 2 for size in image]
        if p.pad_h >= p.kernel_h or p.pad_w >= p.kernel_w:
            raise LayerError(
                f"pyramid_height {self.param.pyramid_height} cuts an image of {image} into {bins} x {bins} windows, "
                "some without a pixel; want a lower pyramid or a larger image"
            )
        return Pooling(param, self.context)

    def levels(self, image: Shape) -> list[Pooling]:
        """One Pooling for each level, kept until the image has another size."""
        if image != self.image:
            self.image = image
            self._levels = [self.level(i, image) for i in range(self.param.pyramid_height)]
        for level in self._levels:
            level.passes = self.passes
        return self._levels

    def infer(self, *shapes: Shape) -> list[Shape]:
        shape = shapes[0]
        if len(shape) != 4:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, height, width)")
        tops = [level.infer(shape)[0] for level in self.levels(shape[2:])]
        return tops if len(tops) == 1 else [(shape[0], sum(volume(top[1:]) for top in tops))]

    def parts(self, x: Blob, joined: np.ndarray) -> list[tuple[Pooling, Blob, np.ndarray]]:
        """Each level, a blob for its top, and a view of its place in the joined top's data or diff."""
        found, start = [], 0
        for level in self.levels(x.shape[2:]):
            y = Blob(level.infer(x.shape)[0], self.dtype)
            end = start + volume(y.shape[1:])
            found.append((level, y, joined.reshape(len(joined), volume(joined.shape[1:]))[:, start:end]))
            start = end
        return found

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for level, y, place in self.parts(bottom[0], top[0].data):
            level.forward(bottom, [y])
            place[...] = y.data.reshape(place.shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        x = Blob(bottom[0].shape, self.dtype)
        x.share_data(bottom[0])
        bottom[0].diff.fill(0)
        for level, y, place in self.parts(bottom[0], top[0].diff):
            y.diff[...] = place.reshape(y.shape)
            level.backward([y], propagate_down, [x])
            bottom[0].diff[...] += x.diff

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        tops = [level.to_onnx(graph, inputs)[0] for level in self.levels(graph.shape(inputs[0])[2:])]
        return tops if len(tops) == 1 else [graph.op("Concat", [graph.op("Flatten", [t]) for t in tops], axis=1)]


@hookimpl
def netdef_layers() -> list[type]:
    return [Pooling, SPP]


@hookimpl
def netdef_options() -> list[Block]:
    ceil_mode = Field("ceil_mode", "bool", True, doc="Sizes are rounded up: the forks' word for round_mode.")
    return [Block("pooling_param", (ceil_mode,))]
