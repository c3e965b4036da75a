"""Online hard example mining: losses that tell what each region costs, and the choice of those that cost most."""

import math

import numpy as np
from netdef_plugins.softmax import TINY, SoftmaxWithLoss
from netdef_ssd.smooth_l1 import smooth_l1, smooth_l1_slope

from netdef.layer import Blob, Block, Enum, Field, LayerError, Loss, ParameterFree, Shape
from netdef_rcnn.regions import stop

Array = np.ndarray
FULL, VALID, BATCH_SIZE, NONE, PRE_FIXED = range(5)
NORMALIZATION = Enum("NormalizationMode", ("FULL", "VALID", "BATCH_SIZE", "NONE", "PRE_FIXED"))

LOSS = Block(
    message="LossParameter",
    doc="R-FCN's way to divide a loss.",
    fields=[
        Field("normalization", NORMALIZATION, "VALID", doc="PRE_FIXED: by pre_fixed_normalizer."),
        Field("pre_fixed_normalizer", "float", 1.0, doc="What PRE_FIXED divides by; at least 1."),
    ],
)


class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """SoftmaxWithLoss with a third top: what each prediction costs, before it is divided; 0 where it is ignored.

    The fork's CPU code sums other numbers than these where labels are ignored; its GPU code does not, nor does this.
    """

    type = "SoftmaxWithLossOHEM"
    tops = (1, 3)

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [*super().infer(*shapes), shapes[1]]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().forward(bottom, top)
        if len(top) > 2:
            each, kept = top[2].data.reshape(-1), self.targets.kept
            each[...] = 0
            each[slice(None) if kept is None else kept.ravel()] = self._costs()

    def _costs(self) -> Array:
        return -np.log(np.maximum(self.prob.ravel()[self.places], TINY))


class SmoothL1LossOHEM(Loss):
    """sum f(w (a - b)) / normalizer, f as in SmoothL1Loss with sigma 1; the second top is the sum of each record.

    w is the third bottom, else 1. The normalizer is one for each place of each record unless loss_param says
    otherwise, and at least 1. The gradient has w as a factor: the fork leaves it out, which is the same for 0 and 1.
    """

    type = "SmoothL1LossOHEM"
    bottoms = (2, 3)
    tops = (1, 2)
    options = "loss_param"
    no_gradient = (2,)

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) < 2 or any(shape != shapes[0] for shape in shapes):
            raise LayerError(f"bottoms of shapes {', '.join(map(str, shapes))}; want them all alike, of 2 or more axes")
        return [(), (shapes[0][0], 1, *shapes[0][2:])]

    def _normalizer(self, shape: Shape) -> float:
        p, places = self.param, shape[0] * math.prod(shape[2:])
        mode = p.normalization
        if p.HasField("normalize") and not p.HasField("normalization"):
            mode = VALID if p.normalize else BATCH_SIZE
        by = {FULL: places, VALID: places, BATCH_SIZE: shape[0], NONE: 1, PRE_FIXED: p.pre_fixed_normalizer}
        return max(1.0, by[mode])

    def _difference(self, bottom: list[Blob]) -> Array:
        d = bottom[0].data - bottom[1].data
        return d * bottom[2].data if len(bottom) > 2 else d

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        errors = smooth_l1(self._difference(bottom))
        top[0].data[...] = errors.sum(dtype=np.float64) / self._normalizer(bottom[0].shape)
        if len(top) > 1:
            top[1].data[...] = errors.sum(axis=1, keepdims=True)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        slope = smooth_l1_slope(self._difference(bottom))
        if len(bottom) > 2:
            slope = slope * bottom[2].data
        slope = slope * (float(top[0].diff) / self._normalizer(bottom[0].shape))
        for blob, down, sign in zip(bottom, propagate_down, (1, -1), strict=False):
            if down:
                np.multiply(slope, sign, out=blob.diff)


class BoxAnnotatorOHEM(ParameterFree):
    """Labels and box weights of the roi_per_img regions of each image that cost most; ignore_label and 0 elsewhere.

    Bottoms: regions, what each costs, labels, box weights. Of equal costs the first region counts as the larger.
    """

    type = "BoxAnnotatorOHEM"
    bottoms = 4
    tops = 2
    reads = ()
    options = Block(
        "box_annotator_ohem_param",
        [
            Field("roi_per_img", "uint32", doc="How many regions of an image train; it must be given."),
            Field("ignore_label", "int32", -1, doc="Label of all others."),
        ],
        message="BoxAnnotatorOHEMParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if self.param.roi_per_img < 1:
            raise LayerError(f"roi_per_img is {self.param.roi_per_img}; want at least 1")

    def infer(self, *shapes: Shape) -> list[Shape]:
        rois, costs, labels, boxes = (shape + (1,) * (4 - len(shape)) for shape in shapes)
        if len(rois) != 4 or rois[1] != 5:
            raise LayerError(f"regions of shape {shapes[0]}; want N x 5, or N x 5 x H x W")
        one = (rois[0], 1, *rois[2:])
        if costs != one or labels != one:
            raise LayerError(f"costs of shape {shapes[1]} and labels of shape {shapes[2]}; want {one}")
        if (boxes[0], *boxes[2:]) != (rois[0], *rois[2:]):
            raise LayerError(f"box weights of shape {shapes[3]}; want {rois[0]} x any x {rois[2]} x {rois[3]}")
        return [one, boxes]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        labels, boxes = top[0].data, top[1].data
        n, channels = boxes.shape[:2]
        rois, cost, label, weight = (b.data.reshape(n, -1, math.prod(labels.shape[2:])) for b in bottom)
        hard = self._hardest(rois[:, 0].ravel(), cost.ravel()).reshape(n, 1, -1)
        labels[...] = np.where(hard, label, self.param.ignore_label).reshape(labels.shape)
        boxes[...] = np.where(hard, weight.reshape(n, channels, -1), 0).reshape(boxes.shape)

    def _hardest(self, image: Array, cost: Array) -> Array:
        """Which regions are among the roi_per_img of their image that cost most."""
        image = np.trunc(image)
        order = np.lexsort((-cost, image))  # by image, then the largest cost first; equal ones keep their order
        first = np.searchsorted(image[order], image[order], side="left")
        hard = np.empty(len(cost), bool)
        hard[order] = np.arange(len(cost)) - first < self.param.roi_per_img
        return hard

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        stop(propagate_down, bottom, 0, 1, 2, 3)
