"""SegAccuracy: how right a labelling of pixels is."""

import numpy as np

from netdef.layer import Blob, Block, Enum, Field, LayerError, Metric, Shape

SEG = Block(
    "seg_accuracy_param",
    [
        Field("metric", Enum("AccuracyMetric", ("PixelAccuracy", "ClassAccuracy", "PixelIOU")), default="PixelAccuracy",
              doc="Ignored, as in the forks: all three are given."),
        Field("ignore_label", "int32", repeated=True, doc="Labels that do not count."),
        Field("reset", "bool", default=True, doc="Whether each pass counts alone, or on from the passes before."),
    ],
)  # fmt: skip


class SegAccuracy(Metric):
    """(pixel accuracy, mean recall of the classes present, mean intersection over union), shape (1, 1, 1, 3).

    From the confusion matrix of the largest channel at each pixel against its label. A class that neither occurs nor
    is predicted counts as an intersection over union of 1, as in the forks.
    """

    type = "SegAccuracy"
    bottoms = 2
    options = SEG

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.counts = np.zeros((0, 0), np.int64)

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, labels = shapes
        if len(x) != 4 or len(labels) != 4 or labels[1] != 1 or (x[0], *x[2:]) != (labels[0], *labels[2:]):
            raise LayerError(f"bottoms have shapes {x} and {labels}; want (n, classes, h, w) and (n, 1, h, w)")
        return [(1, 1, 1, 3)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        classes = bottom[0].shape[1]
        if self.param.reset or len(self.counts) != classes:
            self.counts = np.zeros((classes, classes), np.int64)
        labels, found = bottom[1].data.reshape(-1).astype(np.int64), bottom[0].data.argmax(axis=1).reshape(-1)
        kept = ~np.isin(labels, list(self.param.ignore_label))
        wrong = kept & ((labels < 0) | (labels >= classes))
        if wrong.any():
            raise LayerError(
                f"label {labels[wrong][0]} for {classes} classes; name it in ignore_label or mend the data"
            )
        pairs = labels[kept] * classes + found[kept]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        top[0].data[0, 0, 0] = scores(self.counts)


def scores(counts: np.ndarray) -> list[float]:
    """Pixel accuracy, mean recall and mean intersection over union of a confusion matrix (label, prediction)."""
    right, labelled = np.diag(counts).astype(float), counts.sum(axis=1)
    union = labelled + counts.sum(axis=0) - right
    there = labelled > 0
    if not there.any():
        return [0.0, 0.0, 0.0]
    overlap = np.where(union > 0, right / np.maximum(union, 1), 1.0)
    return [right.sum() / counts.sum(), float((right[there] / labelled[there]).mean()), float(overlap.mean())]
