"""Softmax and the losses that contain one."""

import numpy as np

from netdef.layer import Blob, Layer, LayerError, Loss, ParameterFree, Shape, hookimpl
from netdef_plugins.labels import VALID, Targets, check, ignored, normalization, normalizer, same_first_axis, split

TINY = float(np.finfo(np.float32).tiny)
SMALL = 1e-20
WIDE = 1024
"""Scores side by side, as in the segmentation of images, from which on the compiled loops are quicker than NumPy."""


def softmax(x: np.ndarray, y: np.ndarray) -> None:
    """Along axis 1 of (outer, classes, inner), from x to y, which may be the same memory."""
    if x.shape[2] >= WIDE:
        from netdef_plugins.kernels import softmax as wide

        return wide.forward(x, y)
    np.subtract(x, x.max(axis=1, keepdims=True), out=y)
    np.exp(y, out=y)
    y /= y.sum(axis=1, keepdims=True)


def softmax_backward(dy: np.ndarray, y: np.ndarray, dx: np.ndarray) -> None:
    """dx from dy and the softmax y; dx may be dy."""
    if y.shape[2] >= WIDE:
        from netdef_plugins.kernels import softmax as wide

        return wide.backward(dy, y, dx)
    np.subtract(dy, np.einsum("oci,oci->oi", dy, y)[:, None], out=dx)
    dx *= y


class Softmax(ParameterFree):
    """exp(x_c) / sum_k exp(x_k) over the classes c of an axis, with the largest x subtracted first."""

    type = "Softmax"
    in_place = True
    options = "softmax_param"
    reads = ("top",)

    def infer(self, *shapes: Shape) -> list[Shape]:
        split(shapes[0], self.param.axis)
        return list(shapes)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = split(bottom[0].shape, self.param.axis)
        if bottom[0].count:
            softmax(classes.view(bottom[0].data), classes.view(top[0].data))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        view = split(bottom[0].shape, self.param.axis).view
        softmax_backward(view(top[0].diff), view(top[0].data), view(bottom[0].diff))

    def to_onnx(self, graph, inputs):
        return [graph.op("Softmax", inputs, axis=self.param.axis)]


class SoftmaxWithLoss(Loss):
    """-sum log softmax(x)[label] / normalizer, labels along softmax_param.axis; the second top is the softmax.

    The normalizer is VALID (labels not ignored) unless loss_param says otherwise, and never below 1. A probability is
    taken as at least the smallest normal float, so one prediction costs at most 87.3365 (its gradient goes on, though).
    """

    type = "SoftmaxWithLoss"
    bottoms = 2
    tops = (1, 2)
    options = "softmax_param"
    reads = ()
    no_gradient = (1,)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.ignore = ignored(self.layer_param.loss_param)
        self.mode = normalization(self.layer_param.loss_param, VALID)

    def infer(self, *shapes: Shape) -> list[Shape]:
        check(*shapes, self.param.axis)
        same_first_axis(*shapes)
        return [(), shapes[0]]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = split(bottom[0].shape, self.param.axis)
        self.prob = probabilities(self, bottom, top, self.param.axis)
        self.targets = Targets(bottom[1].data, classes, self.ignore)
        self.places = self.targets.where()
        self.scale = 1 / normalizer(self.mode, classes.outer, classes.inner, self.targets.valid)
        picked = np.maximum(self.prob.ravel()[self.places], TINY)
        top[0].data[...] = -np.log(picked).sum(dtype=np.float64) * self.scale

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        dx, scale = bottom[0].diff, float(top[0].diff) * self.scale
        np.multiply(self.prob.reshape(dx.shape), scale, out=dx)
        dx.ravel()[self.places] -= scale
        self.targets.clear_ignored(dx)


class InfogainLoss(Loss):
    """-sum_k H[label, k] log softmax(x)[k] / normalizer, H from infogain_loss_param.source or the third bottom.

    H = identity is SoftmaxWithLoss. The scores are not probabilities: as in Caffe since 2017, the layer holds its own
    softmax, and the second top gives it. A probability counts as at least 1e-20.
    """

    type = "InfogainLoss"
    bottoms = (2, 3)
    tops = (1, 2)
    options = "infogain_loss_param"
    no_gradient = (1, 2)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if self.layer_param.loss_param.HasField("normalize"):
            raise LayerError("InfogainLoss does not know loss_param.normalize; say normalization: VALID or BATCH_SIZE")
        self.ignore = ignored(self.layer_param.loss_param)
        self.mode = self.layer_param.loss_param.normalization
        if len(bottom_shapes) < 3:
            self.matrix = self._read()

    def _read(self) -> np.ndarray:
        if not self.param.source:
            raise LayerError("needs the infogain matrix: a third bottom, or infogain_loss_param { source: FILE }")
        path = self.context.find(self.param.source)
        blob = type(self.layer_param)().blobs.add()  # a BlobProto of the composed schema
        try:
            blob.ParseFromString(path.read_bytes())
        except Exception as e:
            raise LayerError(f"{path} is no binaryproto of a matrix: {e}") from None
        return np.asarray(blob.data or blob.double_data, self.dtype)

    def infer(self, *shapes: Shape) -> list[Shape]:
        classes = check(*shapes[:2], self.param.axis).count
        found = int(np.prod(shapes[2])) if len(shapes) > 2 else self.matrix.size
        same_first_axis(*shapes[:2])
        if found != classes * classes:
            raise LayerError(f"the infogain matrix has {found} numbers; want {classes} x {classes}, one row per class")
        return [(), shapes[0]]

    def _rows(self, bottom: list[Blob]) -> np.ndarray:
        """H[label] with the classes where the scores have them: (outer, classes, inner)."""
        count = self.targets.classes.count
        matrix = bottom[2].data if len(bottom) > 2 else self.matrix
        index = self.targets.index if self.targets.kept is None else np.where(self.targets.kept, self.targets.index, 0)
        return np.moveaxis(matrix.reshape(count, count)[index], 2, 1)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = split(bottom[0].shape, self.param.axis)
        self.prob = probabilities(self, bottom, top, self.param.axis)
        self.targets = Targets(bottom[1].data, classes, self.ignore)
        self.scale = 1 / normalizer(self.mode, classes.outer, classes.inner, self.targets.valid)
        costs = self._rows(bottom) * np.log(np.maximum(self.prob, SMALL))
        self.targets.clear_ignored(costs)
        top[0].data[...] = -costs.sum(dtype=np.float64) * self.scale

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        rows, dx = self._rows(bottom), self.targets.classes.view(bottom[0].diff)
        np.multiply(self.prob, rows.sum(axis=1, keepdims=True), out=dx)
        dx -= rows
        dx *= float(top[0].diff) * self.scale
        self.targets.clear_ignored(dx)


def probabilities(layer: Layer, bottom: list[Blob], top: list[Blob], axis: int) -> np.ndarray:
    """The softmax of bottom 0 as (outer, classes, inner), for the layer to keep; copied to a second top."""
    x = split(bottom[0].shape, axis).view(bottom[0].data)
    prob = getattr(layer, "prob", None)
    if prob is None or prob.shape != x.shape:
        prob = np.empty_like(x)
    if x.size:
        softmax(x, prob)
    if len(top) > 1:
        top[1].data[...] = prob.reshape(top[1].shape)
    return prob


@hookimpl
def netdef_layers() -> list[type]:
    return [Softmax, SoftmaxWithLoss, InfogainLoss]
