"""What each layer type is in torch: functions (layer, in_place) -> (xs, ws) -> ys, over tensors."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (as everybody calls it)
from torch import Tensor

from netdef_plugins import filters, pooling

Call = Callable[[list[Tensor], list[Tensor]], list[Tensor]]
Form = Callable[[Any, bool], Call]
FORMS: dict[str, Form] = {}
VIEWS = {"Split", "Flatten", "Reshape", "Slice"}
"""Their tops are the bottom's memory, where nothing may work in place."""
FULL, VALID, BATCH_SIZE = range(3)


def form(name: str) -> Callable[[Form], Form]:
    def keep(function: Form) -> Form:
        FORMS[name] = function
        return function

    return keep


def simple(name: str, function: Callable[[Any, Tensor], Tensor]) -> None:
    """One bottom, one top, no parameters: function(option block, x)."""
    FORMS[name] = lambda layer, in_place: lambda xs, ws: [function(layer.param, xs[0])]


simple("AbsVal", lambda p, x: x.abs())
simple("BNLL", lambda p, x: F.softplus(x))
simple("Clip", lambda p, x: x.clamp(p.min, p.max))
simple("ELU", lambda p, x: F.elu(x, p.alpha))
simple("Exp", lambda p, x: torch.exp((p.scale * x + p.shift) * (1 if p.base == -1 else math.log(p.base))))
simple("Log", lambda p, x: torch.log(p.scale * x + p.shift) / (1 if p.base == -1 else math.log(p.base)))
simple("Power", lambda p, x: (p.scale * x + p.shift) ** p.power)
simple("Sigmoid", lambda p, x: torch.sigmoid(x))
simple("Softmax", lambda p, x: F.softmax(x, p.axis))
simple("Swish", lambda p, x: F.silu(x) if p.beta == 1 else x * torch.sigmoid(p.beta * x))
simple("TanH", lambda p, x: torch.tanh(x))
simple("Threshold", lambda p, x: (x > p.threshold).to(x.dtype))
simple("Tile", lambda p, x: torch.cat([x] * p.tiles, p.axis))


@form("ReLU")
def relu(layer: Any, in_place: bool) -> Call:
    slope = layer.param.negative_slope
    if slope:
        return lambda xs, ws: [F.leaky_relu(xs[0], slope, inplace=in_place)]
    return lambda xs, ws: [F.relu(xs[0], inplace=in_place)]


@form("PReLU")
def prelu(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [F.prelu(xs[0], ws[0].reshape(-1))]


@form("Convolution")
def convolve(layer: Any, in_place: bool) -> Call:
    return _windowed(layer, (F.conv1d, F.conv2d, F.conv3d), lambda w: (w.stride, w.pad, w.dilation, layer.param.group))


@form("Deconvolution")
def convolve_back(layer: Any, in_place: bool) -> Call:
    functions = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
    return _windowed(layer, functions, lambda w: (w.stride, w.pad, 0, layer.param.group, w.dilation))


def _windowed(layer: Any, functions: tuple[Any, ...], how: Callable[[Any], tuple[Any, ...]]) -> Call:
    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        axis, window = filters.geometry(layer.param, tuple(xs[0].shape))
        if axis != 1 or not 1 <= len(window.kernel) <= 3:
            raise NotImplementedError(f"channels on axis {axis}, {len(window.kernel)} axes behind it")
        run, bias = functions[len(window.kernel) - 1], ws[1] if len(ws) > 1 else None
        return [run(x, ws[0], bias, *how(window)) for x in xs]

    return call


@form("InnerProduct")
def multiply(layer: Any, in_place: bool) -> Call:
    p = layer.param

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        x, w = xs[0].flatten(p.axis) if p.axis else xs[0].reshape(-1), ws[0]
        return [F.linear(x, w.t() if p.transpose else w, ws[1] if len(ws) > 1 else None)]

    return call


@form("Embed")
def embed(layer: Any, in_place: bool) -> Call:
    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        y = F.embedding(xs[0].long(), ws[0])
        return [y + ws[1] if len(ws) > 1 else y]

    return call


@form("Pooling")
def pool(layer: Any, in_place: bool) -> Call:
    p = layer.param
    if p.pool == pooling.STOCHASTIC or len(layer.layer_param.top) > 1:
        raise NotImplementedError("STOCHASTIC, or a second top")
    functions = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
    if p.pool == pooling.AVE:
        functions = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        x = xs[0]
        if layer.whole:
            over = tuple(range(2, x.dim()))
            return [x.mean(over, keepdim=True) if p.pool == pooling.AVE else x.amax(over, keepdim=True)]
        window = layer.window(tuple(x.shape[2:]))
        run, up = functions[x.dim() - 3], not layer.floor
        return [run(x, window.kernel, window.stride, window.pad, ceil_mode=up)]

    return call


@form("LRN")
def normalize_locally(layer: Any, in_place: bool) -> Call:
    p = layer.param
    if p.norm_region == 0:
        return lambda xs, ws: [F.local_response_norm(xs[0], p.local_size, p.alpha, p.beta, p.k)]

    def within(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        mean = F.avg_pool2d(xs[0] * xs[0], p.local_size, 1, (p.local_size - 1) // 2)
        return [xs[0] * (1 + p.alpha * mean) ** -p.beta]

    return within


@form("BatchNorm")
def normalize(layer: Any, in_place: bool) -> Call:
    def fixed(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        factor = ws[2] if ws[2] == 0 else 1 / ws[2]
        return [F.batch_norm(xs[0], ws[0] * factor, ws[1] * factor, training=False, eps=layer.param.eps)]

    def of_batch(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        return [F.batch_norm(xs[0], None, None, training=True, eps=layer.param.eps)]

    return fixed if layer.fixed else of_batch


@form("MVN")
def standardize(layer: Any, in_place: bool) -> Call:
    p = layer.param

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        over = tuple(range(1 if p.across_channels else 2, xs[0].dim()))
        y = xs[0] - xs[0].mean(over, keepdim=True)
        return [y / ((y * y).mean(over, keepdim=True).sqrt() + p.eps) if p.normalize_variance else y]

    return call


@form("Scale")
def scale(layer: Any, in_place: bool) -> Call:
    axis = layer.param.axis

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        operands = [*xs[1:], *ws]
        y = xs[0] * along(operands[0], xs[0], axis)
        return [y + along(operands[1], xs[0], axis) if len(operands) > 1 else y]

    return call


@form("Bias")
def shift(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [xs[0] + along([*xs[1:], *ws][0], xs[0], layer.param.axis)]


def along(w: Tensor, x: Tensor, axis: int) -> Tensor:
    """w with axes behind it, so that it broadcasts along x from `axis` on."""
    start = axis % x.dim() if w.dim() else 0
    return w.reshape(*w.shape, *[1] * (x.dim() - start - w.dim()))


@form("Dropout")
def drop(layer: Any, in_place: bool) -> Call:
    if not layer.param.scale_train:
        raise NotImplementedError("scale_train: false")
    return lambda xs, ws: [F.dropout(xs[0], layer.param.dropout_ratio, training=layer.phase == 0)]


@form("Eltwise")
def combine(layer: Any, in_place: bool) -> Call:
    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        if layer.param.operation == 1:
            terms = [x if c == 1 else c * x for c, x in zip(layer.coeff, xs, strict=True)]
        else:
            terms = xs
        join = (torch.mul, torch.add, torch.maximum)[layer.param.operation]
        y = terms[0]
        for x in terms[1:]:
            y = join(y, x)
        return [y]

    return call


@form("Concat")
def concatenate(layer: Any, in_place: bool) -> Call:
    p = layer.param
    return lambda xs, ws: [torch.cat(xs, p.concat_dim if p.HasField("concat_dim") else p.axis)]


@form("Slice")
def cut(layer: Any, in_place: bool) -> Call:
    p = layer.param

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        axis = p.slice_dim if p.HasField("slice_dim") else p.axis
        return list(xs[0].split([shape[axis] for shape in layer.infer(tuple(xs[0].shape))], axis))

    return call


@form("Split")
def split(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [xs[0].view_as(xs[0]) for _ in layer.layer_param.top]


@form("Flatten")
@form("Reshape")
def reshape(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [xs[0].reshape(layer.infer(tuple(xs[0].shape))[0])]


@form("BatchReindex")
def reindex(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [xs[0][xs[1].long()]]


@form("Reduction")
def reduce(layer: Any, in_place: bool) -> Call:
    p = layer.param

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        x = xs[0].flatten(p.axis) if p.axis else xs[0].reshape(-1)
        x = (x, x, x.abs(), x * x, x)[p.operation]
        return [p.coeff * (x.mean(-1) if p.operation == 4 else x.sum(-1))]

    return call


@form("Silence")
def ignore(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: []


@form("SoftmaxWithLoss")
def cross_entropy(layer: Any, in_place: bool) -> Call:
    p = layer.param

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        axis = p.axis % xs[0].dim()
        outer, inner = math.prod(xs[0].shape[:axis]), math.prod(xs[0].shape[axis + 1 :])
        x = xs[0].reshape(outer, -1, inner) if inner > 1 else xs[0].reshape(outer, -1)
        labels = xs[1].reshape((outer, inner) if inner > 1 else (outer,)).long()
        how = {} if layer.ignore is None else {"ignore_index": layer.ignore}
        if layer.mode == VALID:
            loss = F.cross_entropy(x, labels, **how)
        else:
            count = {FULL: outer * inner, BATCH_SIZE: outer}.get(layer.mode, 1)
            loss = F.cross_entropy(x, labels, reduction="sum", **how) / count
        return [loss, *(F.softmax(xs[0], axis) for _ in layer.layer_param.top[1:])]

    return call


@form("EuclideanLoss")
def square_error(layer: Any, in_place: bool) -> Call:
    return lambda xs, ws: [F.mse_loss(xs[0], xs[1].reshape(xs[0].shape), reduction="sum") / (2 * len(xs[0]))]


@form("SigmoidCrossEntropyLoss")
def logistic_loss(layer: Any, in_place: bool) -> Call:
    if any(layer.layer_param.loss_param.HasField(f) for f in ("ignore_label", "normalization", "normalize")):
        raise NotImplementedError("loss_param")

    def call(xs: list[Tensor], ws: list[Tensor]) -> list[Tensor]:
        x, t = xs[0], xs[1].reshape(xs[0].shape)
        return [F.binary_cross_entropy_with_logits(x, t, reduction="sum") / len(x)]

    return call


@form("Accuracy")
def judge(layer: Any, in_place: bool) -> Call:
    p = layer.param
    if p.top_k != 1 or p.HasField("ignore_label") or len(layer.layer_param.top) > 1:
        raise NotImplementedError("top_k, ignore_label or a second top")
    return lambda xs, ws: [(xs[0].argmax(p.axis).reshape(-1) == xs[1].reshape(-1)).float().mean()]
