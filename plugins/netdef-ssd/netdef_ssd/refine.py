"""RefineDet's second stage (Zhang et al. 2018): what a first stage made of the priors is what predictions refine."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Field, LayerError, Shape
from netdef_ssd.boxes import decode
from netdef_ssd.detection_output import DetectionOutput
from netdef_ssd.detection_output import options as output_options
from netdef_ssd.mining import HARD_EXAMPLE
from netdef_ssd.multibox import MultiBoxLoss
from netdef_ssd.multibox_param import options as loss_options

Array = np.ndarray
OBJECTNESS = Field("objectness_score", "float", 0.01, doc="RefineDet's: priors the first stage gives less are nothing.")


def check_stage(param: Any, conf: Shape, loc: Shape | None, batch: int, priors: int) -> None:
    """Raises LayerError for bottoms that are not a first stage's: scores (N, 2 P) and locations (N, 4 P)."""
    if not param.share_location:
        raise LayerError("share_location: false with a first stage; its locations are shared, want true")
    for what, shape, each in (("scores", conf, 2), ("locations", loc, 4)):
        if shape is not None and (shape[0] != batch or int(np.prod(shape[1:])) != priors * each):
            raise LayerError(
                f"the first stage's {what} have shape {shape}; want ({batch}, {priors * each}) for {priors} priors"
            )


def refined(priors: Array, variances: Array | None, loc: Array, code: int) -> Array:
    """The first stage's boxes (N, P, 4)."""
    return decode(loc.reshape(len(loc), -1, 4), priors, variances, code)


def objects(conf: Array, least: float) -> Array:
    """Where the first stage sees an object, (N, P)."""
    return conf.reshape(len(conf), -1, 2)[..., 1] >= conf.dtype.type(least)


class RefineDetectionOutput(DetectionOutput):
    """DetectionOutput with a first stage: bottoms 3 and 4 are its scores (N, 2 P) and locations (N, 4 P).

    Boxes are relative to the first stage's boxes instead of the priors; where its score of an object is below
    objectness_score, all scores are 0.
    """

    bottoms = 5
    options = output_options(OBJECTNESS)

    def infer(self, *shapes: Shape) -> list[Shape]:
        found = super().infer(*shapes[:3])
        check_stage(self.param, shapes[3], shapes[4], shapes[0][0], shapes[2][2] // 4)
        return found

    def boxes(self, bottom: list[Blob]) -> Array:
        p, prior = self.param, bottom[2].data
        priors, variances = prior.reshape(-1, 2, prior.shape[2] // 4, 4)[0]
        varied = None if p.variance_encoded_in_target else variances
        loc = bottom[0].data.reshape(-1, len(priors), 4)
        anchors = refined(priors, varied, bottom[4].data, p.code_type)
        return np.stack([decode(x, a, varied, p.code_type) for x, a in zip(loc, anchors, strict=True)])[:, None]

    def scores(self, bottom: list[Blob]) -> Array:
        sure = objects(bottom[3].data, self.param.objectness_score)
        return np.where(sure[..., None], super().scores(bottom), 0)


class RefineMultiBoxLoss(MultiBoxLoss):
    """MultiBoxLoss for either stage: bottoms 4 and 5, where given, are the first stage's scores and locations.

    Objects are matched with the first stage's boxes, which the predictions are relative to. Priors without an object
    count only where its score of an object is objectness_score or more. With num_classes 2 all objects are of class 1.
    """

    bottoms = (4, 6)
    no_gradient = (2, 3, 4, 5)
    options = loss_options(OBJECTNESS)

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return layer_param.multibox_loss_param.HasField("objectness_score") or len(layer_param.bottom) > 4

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        super().setup(bottom_shapes)
        if len(bottom_shapes) > 4 and self.param.mining_type == HARD_EXAMPLE:
            raise LayerError("mining_type: HARD_EXAMPLE with a first stage; want MAX_NEGATIVE or NONE")

    def infer(self, *shapes: Shape) -> list[Shape]:
        found = super().infer(*shapes[:4])
        if len(shapes) > 4:
            loc = shapes[5] if len(shapes) > 5 else None
            check_stage(self.param, shapes[4], loc, shapes[0][0], shapes[2][2] // 4)
        return found

    def refined(self, priors: Array, bottom: list[Blob]) -> Array:
        if len(bottom) < 6:
            return super().refined(priors, bottom)
        varied = None if self.param.encode_variance_in_target else self.variances
        return refined(priors, varied, bottom[5].data, self.param.code_type)

    def rows(self, objects: Array) -> Array:
        if self.param.num_classes != 2:
            return objects
        rows = objects.reshape(-1, 8).copy()
        rows[:, 1] = np.minimum(rows[:, 1], 1)
        return rows

    def negatives(self, bottom: list[Blob]) -> Array | None:
        return objects(bottom[4].data, self.param.objectness_score) if len(bottom) > 4 else None
