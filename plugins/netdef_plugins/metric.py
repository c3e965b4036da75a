"""Measures of a prediction that nothing learns from."""

import numpy as np

from netdef.layer import Blob, LayerError, Metric, Shape, hookimpl
from netdef_plugins.labels import Targets, check, ignored, split


class Accuracy(Metric):
    """The part of the labels that are among the top_k best scores; the second top is the same for each class.

    A tie counts against the label: scores that are all equal are never right. Where every label is ignored the
    accuracy is 0. A label whose score is NaN is wrong (Caffe counts it as right, so a broken net looks perfect).
    """

    type = "Accuracy"
    bottoms = 2
    tops = (1, 2)
    options = "accuracy_param"

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.ignore = ignored(self.param)

    def infer(self, *shapes: Shape) -> list[Shape]:
        classes = check(*shapes, self.param.axis)
        if not 1 <= self.param.top_k <= classes.count:
            raise LayerError(f"top_k {self.param.top_k} of {classes.count} classes; want 1 to {classes.count}")
        return [(), (classes.count,)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = split(bottom[0].shape, self.param.axis)
        targets = Targets(bottom[1].data, classes, self.ignore)
        x = classes.view(bottom[0].data)
        index = targets.index if targets.kept is None else np.where(targets.kept, targets.index, 0)
        mine = np.take_along_axis(x, index[:, None], axis=1)
        better = np.count_nonzero(x >= mine, axis=1) - 1
        right = (better < self.param.top_k) & (better >= 0)
        if targets.kept is not None:
            right &= targets.kept
        top[0].data[...] = np.count_nonzero(right) / max(1, targets.valid)
        if len(top) > 1:
            labels = targets.index if targets.kept is None else targets.index[targets.kept]
            seen = np.bincount(labels.ravel(), minlength=classes.count)
            top[1].data[...] = np.bincount(index[right], minlength=classes.count) / np.maximum(1, seen)


@hookimpl
def netdef_layers() -> list[type]:
    return [Accuracy]
