"""CenterLoss: the distance of features from a learnt centre of their class."""

import math
from collections.abc import Sequence

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, Loss, Shape

Array = np.ndarray


class CenterLoss(Loss):
    """sum over n of |x_n - c_label(n)|^2 / (2 N), with one centre c for each class (Wen et al. 2016).

    The centres are a parameter (num_output, features). They do not follow the loss's gradient: c moves against the sum
    of c - x over the class's samples in the batch, divided by 1 + their number, so loss_weight and the batch's size do
    not change how fast they move; lr_mult does.
    """

    type = "CenterLoss"
    bottoms = 2
    no_gradient = (1,)
    reads = ()
    options = Block(
        "center_loss_param",
        [
            Field("num_output", "uint32", doc="Classes."),
            Field("center_filler", "FillerParameter", doc="What the centres are at first; 0 where it is left out."),
            Field("axis", "int32", 1, doc="The first axis of a sample's features."),
            Field("distance_type", "string", "L2", doc="happynear's: only L2 is known here."),
        ],
        message="CenterLossParameter",
        doc="Centres of classes.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.num_output < 1:
            raise LayerError("num_output is left out; want the number of classes")
        if p.distance_type != "L2":
            raise LayerError(f"distance_type is '{p.distance_type}'; want L2")
        self.add_blob((p.num_output, self.features(bottom_shapes[0])), p.center_filler)

    def features(self, shape: Shape) -> int:
        axis = self.param.axis + (len(shape) if self.param.axis < 0 else 0)
        if not 0 < axis < len(shape):
            raise LayerError(f"axis is {self.param.axis} and the bottom's shape {shape}; want features after the first")
        return math.prod(shape[axis:])

    def infer(self, *shapes: Shape) -> list[Shape]:
        features, samples = self.features(shapes[0]), math.prod(shapes[0]) // max(1, self.features(shapes[0]))
        if features != self.blobs[0].shape[1]:
            raise LayerError(f"{features} features; the centres have {self.blobs[0].shape[1]}")
        if math.prod(shapes[1]) != samples:
            raise LayerError(f"labels of shape {shapes[1]}; want one for each of {samples} samples")
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        centres = self.blobs[0].data
        self.labels = bottom[1].data.ravel().astype(int)
        wrong = (self.labels < 0) | (self.labels >= len(centres))
        if wrong.any():
            raise LayerError(f"a label is {self.labels[np.argmax(wrong)]}; want 0 to {len(centres) - 1}")
        self.away: Array = bottom[0].data.reshape(len(self.labels), -1) - centres[self.labels]
        top[0].data[...] = np.square(self.away).sum(dtype=np.float64) / 2 / max(1, len(self.labels))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            scale = float(top[0].diff) / max(1, len(self.labels))
            bottom[0].diff[...] = (self.away * scale).reshape(bottom[0].shape)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        moved = np.zeros_like(self.blobs[0].diff)
        np.subtract.at(moved, self.labels, self.away)
        count = np.bincount(self.labels, minlength=len(moved)).astype(moved.dtype)
        self.blobs[0].diff[...] += moved / (1 + count[:, None])
