"""Losses on plain numbers: cross entropy of probabilities, squares, hinges, distances of pairs."""

import math

import numpy as np

from netdef.layer import Blob, LayerError, Loss, Shape, hookimpl
from netdef_plugins.axes import dims
from netdef_plugins.labels import BATCH_SIZE, Classes, Targets, ignored, normalization, normalizer, same_first_axis

SMALL = 1e-20
HINGE_L1 = 1


class SigmoidCrossEntropyLoss(Loss):
    """-sum (t log s(x) + (1 - t) log(1 - s(x))) / normalizer, s the logistic function, computed without s.

    The normalizer is the batch size unless loss_param says otherwise. Targets may be fractions, but are compared with
    ignore_label without their fraction, as in Caffe: ignore_label 0 leaves out 0.3 as well.
    """

    type = "SigmoidCrossEntropyLoss"
    bottoms = 2
    options = "loss_param"
    no_gradient = (1,)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.ignore, self.mode = ignored(self.param), normalization(self.param, BATCH_SIZE)

    def infer(self, *shapes: Shape) -> list[Shape]:
        same_first_axis(*shapes)
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            raise LayerError(f"predictions {shapes[0]} and targets {shapes[1]} differ in count; want a target for each")
        return [()]

    def _kept(self, t: np.ndarray) -> np.ndarray | None:
        return None if self.ignore is None else np.trunc(t) != self.ignore

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, t = bottom[0].data, bottom[1].data.reshape(bottom[0].shape)
        costs = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
        kept, valid = self._kept(t), x.size
        if kept is not None:
            costs, valid = costs[kept], int(np.count_nonzero(kept))
        outer = bottom[0].shape[0]
        self.scale = 1 / normalizer(self.mode, outer, math.prod(bottom[0].shape[1:]), valid)
        top[0].data[...] = costs.sum(dtype=np.float64) * self.scale

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        x, t, dx = bottom[0].data, bottom[1].data.reshape(bottom[0].shape), bottom[0].diff
        np.tanh(x * 0.5, out=dx)
        dx *= 0.5
        dx += 0.5 - t
        dx *= float(top[0].diff) * self.scale
        kept = self._kept(t)
        if kept is not None:
            dx *= kept


class EuclideanLoss(Loss):
    """sum (a - b)^2 / 2N over two bottoms of N records each; both of them get a gradient."""

    type = "EuclideanLoss"
    bottoms = 2
    reads = ()

    def infer(self, *shapes: Shape) -> list[Shape]:
        same_first_axis(*shapes)
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            raise LayerError(f"bottoms of {dims(shapes[0])} and {dims(shapes[1])}; want as many numbers in both")
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.delta = (bottom[0].data.ravel() - bottom[1].data.ravel()).reshape(bottom[0].shape)
        square = np.dot(self.delta.ravel(), self.delta.ravel())
        top[0].data[...] = square / max(1, bottom[0].shape[0]) / 2

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        scale = float(top[0].diff) / max(1, bottom[0].shape[0])
        for blob, down, sign in zip(bottom, propagate_down, (1, -1), strict=True):
            if down:
                np.multiply(self.delta.reshape(blob.shape), sign * scale, out=blob.diff)


class HingeLoss(Loss):
    """sum_k max(0, 1 - d_k x_k)^p / N, d the sign +1 at the label and -1 elsewhere; p by hinge_loss_param.norm.

    One against all, so the label's own score and every other one count. All axes after the first are classes.
    """

    type = "HingeLoss"
    bottoms = 2
    options = "hinge_loss_param"
    reads = ()
    no_gradient = (1,)

    def infer(self, *shapes: Shape) -> list[Shape]:
        one_label_each(*shapes)
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = flat_classes(bottom[0].shape)
        self.places = Targets(bottom[1].data, classes).where()
        margin = bottom[0].data.reshape(-1).copy()
        margin[self.places] *= -1
        margin += 1
        self.margin = np.maximum(margin, 0, out=margin)
        total = margin.sum(dtype=np.float64) if self.param.norm == HINGE_L1 else np.dot(margin, margin)
        top[0].data[...] = total / max(1, classes.outer)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        dx, scale = bottom[0].diff.reshape(-1), float(top[0].diff) / max(1, bottom[0].shape[0])
        if self.param.norm == HINGE_L1:
            np.multiply(self.margin > 0, scale, out=dx, casting="unsafe")
        else:
            np.multiply(self.margin, 2 * scale, out=dx)
        dx[self.places] *= -1


class MultinomialLogisticLoss(Loss):
    """-sum log p[label] / N of probabilities p, each taken as at least 1e-20; SoftmaxWithLoss makes its own.

    All axes after the first are classes.
    """

    type = "MultinomialLogisticLoss"
    bottoms = 2
    no_gradient = (1,)

    def infer(self, *shapes: Shape) -> list[Shape]:
        one_label_each(*shapes)
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = flat_classes(bottom[0].shape)
        self.places = Targets(bottom[1].data, classes).where()
        p = np.maximum(bottom[0].data.reshape(-1)[self.places], SMALL)
        top[0].data[...] = -np.log(p).sum(dtype=np.float64) / max(1, classes.outer)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        p, dx = bottom[0].data.reshape(-1)[self.places], bottom[0].diff.reshape(-1)
        dx[...] = 0
        dx[self.places] = -float(top[0].diff) / max(1, bottom[0].shape[0]) / np.maximum(p, SMALL)


class ContrastiveLoss(Loss):
    """sum (s d^2 + (1 - s) max(0, margin - d)^2) / 2N, d the distance of a pair, s 1 where the pair is alike.

    legacy_version: max(0, margin - d^2) for pairs that differ. The gradient is exact; Caffe adds 0.0001 to the d it
    divides by. A pair at distance 0 that should differ gets no gradient, for want of a direction.
    """

    type = "ContrastiveLoss"
    bottoms = 3
    options = "contrastive_loss_param"
    reads = ()
    no_gradient = (2,)

    def infer(self, *shapes: Shape) -> list[Shape]:
        a, b, s = shapes
        if len(a) < 2 or a[0] != b[0] or math.prod(a) != math.prod(b) or math.prod(a[2:]) != 1:
            raise LayerError(f"pairs of {dims(a)} and {dims(b)}; want two bottoms of N x channels")
        if math.prod(s) != a[0]:
            raise LayerError(f"labels of {dims(s)} for {a[0]} pairs; want one for each")
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        n = len(bottom[0].data)
        a, b = (blob.data.reshape(n, math.prod(blob.shape[1:])) for blob in bottom[:2])
        self.delta = a - b
        self.alike = np.trunc(bottom[2].data.ravel()) != 0
        square = np.einsum("nc,nc->n", self.delta, self.delta)
        margin = self.dtype.type(self.param.margin)
        if self.param.legacy_version:
            apart = np.maximum(margin - square, 0)
            pull = -(apart > 0).astype(self.dtype)
        else:
            distance = np.sqrt(square)
            apart = np.maximum(margin - distance, 0)
            pull = -apart / np.where(distance > 0, distance, 1)
            apart *= apart
        self.pull = np.where(self.alike, 1, pull).astype(self.dtype)
        top[0].data[...] = np.where(self.alike, square, apart).sum(dtype=np.float64) / max(1, n) / 2

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        scale = float(top[0].diff) / max(1, len(self.delta))
        for blob, down, sign in zip(bottom, propagate_down, (1, -1, 0), strict=True):
            if down:
                dx = blob.diff.reshape(self.delta.shape)
                np.multiply(self.delta, (sign * scale * self.pull)[:, None], out=dx)


def flat_classes(shape: Shape) -> Classes:
    return Classes(shape[0], math.prod(shape[1:]), 1)


def one_label_each(scores: Shape, labels: Shape) -> None:
    """Raises LayerError unless there is one label for each record."""
    same_first_axis(scores, labels)
    if math.prod(labels) != scores[0]:
        raise LayerError(f"labels of {dims(labels)} for {scores[0]} records; want one for each")


@hookimpl
def netdef_layers() -> list[type]:
    return [SigmoidCrossEntropyLoss, EuclideanLoss, HingeLoss, MultinomialLogisticLoss, ContrastiveLoss]
