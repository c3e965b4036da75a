"""DetectionOutput: predictions become a list of boxes, the best of those that overlap."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_ssd import detection_onnx
from netdef_ssd.blocks import CODE_TYPE, NMS, RESIZE
from netdef_ssd.boxes import check_code, decode
from netdef_ssd.suppress import best, suppress

Array = np.ndarray
ALL = float(np.finfo(np.float32).min)
"""The threshold that every score is above."""
log = logging.getLogger("netdef")

SAVE = Block(
    message="SaveOutputParameter",
    doc="SSD writes its detections to files itself. Parsed, and said to be ignored: the top holds the same.",
    fields=(
        Field("output_directory", "string", doc="Where the files would go."),
        Field("output_name_prefix", "string", doc="What their names would begin with."),
        Field("output_format", "string", doc="VOC, COCO or ILSVRC."),
        Field("label_map_file", "string", doc="Names of labels."),
        Field("name_size_file", "string", doc="Names and sizes of images."),
        Field("num_test_image", "uint32", doc="How many images there are."),
        Field("resize_param", RESIZE, doc="How images were resized."),
    ),
)


def options(*more: Field) -> Block:
    """The block, with what a fork adds to it."""
    fields = (
        Field("num_classes", "uint32", doc="Classes, the background among them."),
        Field("share_location", "bool", True, doc="Whether all classes share a prior's location."),
        Field("background_label_id", "int32", 0, doc="The class that is nothing; -1 for none."),
        Field("nms_param", NMS, doc="Which boxes overlap too much."),
        Field("save_output_param", SAVE, doc="Parsed and ignored: nothing is written to files."),
        Field("code_type", CODE_TYPE, "CORNER", doc="What locations mean; that of training."),
        Field("variance_encoded_in_target", "bool", False, doc="Whether locations hold the variances already."),
        Field("keep_top_k", "int32", -1, doc="How many boxes an image keeps; -1 for all."),
        Field("confidence_threshold", "float", doc="Only scores above this count; all where it is left out."),
        Field("visualize", "bool", False, doc="Parsed and ignored: nothing is shown."),
        Field("visualize_threshold", "float", doc="Parsed and ignored."),
        Field("save_file", "string", doc="Parsed and ignored."),
    )
    return Block(
        "detection_output_param", (*fields, *more), message="DetectionOutputParameter", doc="From predictions to boxes."
    )


class DetectionOutput(ParameterFree):
    """Rows (image, label, score, xmin, ymin, xmax, ymax), shape (1, 1, rows, 7), of what was found.

    Bottoms: locations (N, 4 P) for P priors, or (N, 4 C P) with share_location off; scores (N, C P); priors
    (1, 2, 4 P). For each class but the background, of the top_k boxes with scores above confidence_threshold those stay
    that no better one overlaps by more than nms_threshold; of an image's boxes the keep_top_k best. Rows come by image,
    by label, and the best first.

    Where nothing is found in the whole batch there is one row for each image: its number, and six times -1.
    """

    type = "DetectionOutput"
    bottoms = (3, 4)
    no_gradient = "all"
    reads = ()
    options = options()

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.num_classes < 1:
            raise LayerError("num_classes is left out; want the number of classes, the background among them")
        if not (p.nms_param.nms_threshold >= 0 and 0 < p.nms_param.eta <= 1):
            found = f"nms_threshold {p.nms_param.nms_threshold:g} and eta {p.nms_param.eta:g}"
            raise LayerError(f"{found}; want a threshold of 0 or more, and 0 < eta <= 1")
        if p.nms_param.soft_nms:
            raise LayerError("soft_nms is not supported; leave it out")
        check_code(p.code_type)
        self.threshold = p.confidence_threshold if p.HasField("confidence_threshold") else ALL
        self.top_k = p.nms_param.top_k if p.nms_param.HasField("top_k") else -1
        self.labels = [c for c in range(p.num_classes) if c != p.background_label_id]
        self.sets = 1 if p.share_location else p.num_classes
        """Locations for each prior."""
        if p.save_output_param.output_directory or p.visualize:
            log.warning("layer '%s': detections are in its top; none are written to files or shown", self.name)

    def infer(self, *shapes: Shape) -> list[Shape]:
        loc, conf, prior = shapes[:3]
        if len(prior) != 3 or prior[1] != 2 or prior[2] % 4:
            raise LayerError(f"priors of shape {prior}; want (1, 2, 4 P)")
        priors = prior[2] // 4
        for what, shape, each in (("locations", loc, 4 * self.sets), ("scores", conf, self.param.num_classes)):
            if shape[:1] != loc[:1] or math.prod(shape[1:]) != priors * each:
                raise LayerError(f"{what} of shape {shape}; want ({loc[0]}, {priors * each}) for {priors} priors")
        return [(1, 1, 1, 7)]

    def boxes(self, bottom: list[Blob]) -> Array:
        """Locations as boxes (N, sets, priors, 4)."""
        loc, prior = bottom[0].data, bottom[2].data
        corners, variances = prior.reshape(-1, 2, prior.shape[2] // 4, 4)[0]
        loc = loc.reshape(len(loc), len(corners), self.sets, 4).swapaxes(1, 2)
        p = self.param
        return decode(loc, corners, None if p.variance_encoded_in_target else variances, p.code_type)

    def scores(self, bottom: list[Blob]) -> Array:
        """(N, priors, classes)."""
        return bottom[1].data.reshape(bottom[1].shape[0], -1, self.param.num_classes)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        boxes, scores = self.boxes(bottom), self.scores(bottom)
        n = len(boxes)
        rows = np.concatenate([self.image(i, boxes[i], scores[i]) for i in range(n)])
        if not len(rows):
            rows = nothing(n)
        top[0].reshape(1, 1, len(rows), 7)
        top[0].data[0, 0] = rows

    def image(self, i: int, boxes: Array, scores: Array) -> Array:
        """The rows of image i, from boxes (sets, priors, 4) and scores (priors, classes)."""
        found = [self.label(c, boxes[0 if self.sets == 1 else c], scores[:, c]) for c in self.labels]
        rows = np.concatenate(found) if found else np.empty((0, 6))
        keep = self.param.keep_top_k
        if -1 < keep < len(rows):
            rows = rows[np.sort(best(rows[:, 1], keep))]
        return np.concatenate([np.full((len(rows), 1), i, rows.dtype), rows], axis=1)

    def label(self, c: int, boxes: Array, scores: Array) -> Array:
        """Rows (label, score, box) of one class, the best first."""
        candidates = np.flatnonzero(scores > scores.dtype.type(self.threshold))
        candidates = candidates[best(scores[candidates], self.top_k)]
        nms = self.param.nms_param
        kept = candidates[suppress(boxes[candidates], nms.nms_threshold, nms.eta)]
        return np.concatenate([np.full((len(kept), 1), c), scores[kept, None], boxes[kept]], axis=1, dtype=boxes.dtype)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if any(propagate_down):
            raise LayerError("has no gradient; it is for testing")

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        return [detection_onnx.build(self, graph, inputs)]


def nothing(n: int) -> Array:
    """What stands for no detection at all: a row for each of n images."""
    rows = np.full((n, 7), -1.0)
    rows[:, 0] = np.arange(n)
    return rows
