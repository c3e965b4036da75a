"""DetectionEvaluate: which detections are right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, Metric, Shape
from netdef_ssd.blocks import RESIZE
from netdef_ssd.boxes import areas

Array = np.ndarray


class DetectionEvaluate(Metric):
    """Rows of five, shape (1, 1, classes - 1 + detections, 5), from which an average precision can be made.

    First (-1, label, objects, -1, -1) for each class but the background, then (image, label, score, right, wrong) for
    each detection, by image and label. A detection is right if the object of its label it overlaps most, by
    overlap_threshold or more, has not been found by a better one; neither right nor wrong if that object is difficult
    and evaluate_difficult_gt is off. Detections of image -1 leave rows of zeros at the end.

    A test reports the mean of the classes' average precisions, see average_precision; the solver's ap_version and
    show_per_class_result, which puts each class's own behind it, count. Classes without an object are left out.

    With name_size_file boxes are compared in pixels, whose last column counts (+ 1); the file's n-th image is the n-th
    that has detections, as in SSD.
    """

    type = "DetectionEvaluate"
    bottoms = 2
    options = Block(
        "detection_evaluate_param",
        [
            Field("num_classes", "uint32", doc="Classes, the background among them."),
            Field("background_label_id", "uint32", 0, doc="The class that is nothing."),
            Field("overlap_threshold", "float", 0.5, doc="Overlap by which a detection is right."),
            Field("evaluate_difficult_gt", "bool", True, doc="Whether objects marked as difficult count."),
            Field("name_size_file", "string", doc="Lines of name, height, width; in their absence parts of the image."),
            Field("resize_param", RESIZE, doc="Parsed only: SSD does not read it either."),
        ],
        message="DetectionEvaluateParameter",
        doc="What makes a detection right.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.background_label_id >= p.num_classes:
            raise LayerError(f"num_classes is {p.num_classes}; want the background {p.background_label_id} among them")
        if p.overlap_threshold <= 0:
            raise LayerError(f"overlap_threshold is {p.overlap_threshold:g}; want more than 0")
        self.labels = [c for c in range(p.num_classes) if c != p.background_label_id]
        self.sizes: list[tuple[int, int]] = []
        self.seen = {0: 0}
        """By pass, how many images had detections before it."""

    def infer(self, *shapes: Shape) -> list[Shape]:
        for shape, width, what in zip(shapes, (7, 8), ("detections", "objects"), strict=True):
            if len(shape) != 4 or shape[:2] != (1, 1) or shape[3] != width:
                raise LayerError(f"{what} of shape {shape}; want (1, 1, rows, {width})")
        return [(1, 1, len(self.labels) + shapes[0][2], 5)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.param.name_size_file and not self.sizes:
            self.sizes = read_sizes(self.context.find(self.param.name_size_file))
        found, objects = bottom[0].data.reshape(-1, 7), bottom[1].data.reshape(-1, 8)
        objects = objects[: int(np.argmax(np.append(objects[:, 0] == -1, True)))]
        self._check(objects[:, 1], "an object")
        self._check(found[found[:, 0] != -1, 1], "a detection")
        rows = [[-1, c, self._count(objects, c), -1, -1] for c in self.labels]
        start = self.seen.get(self.passes, 0)
        images = [i for i in np.unique(found[:, 0]) if i != -1]
        for k, i in enumerate(images):
            size = self.sizes[(start + k) % len(self.sizes)] if self.sizes else None
            mine, its = found[found[:, 0] == i], objects[objects[:, 0] == i]
            for c in np.unique(mine[:, 1]):
                rows += self._judged(mine[mine[:, 1] == c], its[its[:, 1] == c], size)
        self.seen[self.passes + 1] = start + len(images)
        top[0].data[...] = 0
        top[0].data[0, 0, : len(rows)] = rows

    def _check(self, labels: Array, what: str) -> None:
        if (labels == self.param.background_label_id).any():
            raise LayerError(f"{what} has the label of the background, {self.param.background_label_id}")

    def _count(self, objects: Array, c: int) -> int:
        counted = objects[:, 1] == c
        if not self.param.evaluate_difficult_gt:
            counted &= objects[:, 7] == 0
        return int(np.count_nonzero(counted))

    def _judged(self, found: Array, objects: Array, size: tuple[int, int] | None) -> list[list[float]]:
        """The rows of one image's detections of one label."""
        if not len(objects):
            return [[*row[:3], 0, 1] for row in found]
        found = found[np.argsort(-found[:, 2], kind="stable")]
        table = jaccard(found[:, 3:], objects[:, 3:7], size)
        taken = np.zeros(len(objects), bool)
        rows = []
        for row, overlap in zip(found, table, strict=True):
            best = int(np.argmax(overlap))
            right, wrong = 0, 1
            if overlap[best] >= self.param.overlap_threshold:
                if objects[best, 7] and not self.param.evaluate_difficult_gt:
                    wrong = 0
                elif not taken[best]:
                    right, wrong, taken[best] = 1, 0, True
            rows.append([*row[:3], right, wrong])
        return rows

    def overall(self, batches: list[Array], solver: Any) -> Array:
        rows = np.concatenate([batch.reshape(-1, 5) for batch in batches])
        counts, found = rows[rows[:, 0] == -1], rows[(rows[:, 0] != -1) & (rows[:, 3] + rows[:, 4] > 0)]
        version = solver.ap_version if solver is not None else "Integral"
        values = []
        for c in self.labels:
            objects = counts[counts[:, 1] == c, 2].sum()
            if objects:
                values.append(average_precision(found[found[:, 1] == c, 2:4], objects, version))
        whole = np.mean(values) if values else 0.0
        return np.array([whole, *values] if solver is not None and solver.show_per_class_result else whole)


def average_precision(found: Array, objects: float, version: str) -> float:
    """Of rows (score, right), 1 or 0, where there are so many objects: the precision over recalls from 0 to 1.

    Integral: the area below the curve as it is. MaxIntegral: with each precision the largest of a recall as high or
    higher (VOC 2012). 11point: the mean of that at 0, 0.1 ... 1 (VOC 2007). Raises LayerError for another version.
    """
    right = found[np.argsort(-found[:, 0], kind="stable"), 1].cumsum()
    recall = np.concatenate([[0.0], right / objects])
    precision = right / np.arange(1, len(right) + 1)
    if version == "Integral":
        return float((precision * np.diff(recall)).sum())
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if version == "MaxIntegral":
        return float((best * np.diff(recall)).sum())
    if version == "11point":
        return float(np.mean([best[recall[1:] >= r / 10].max(initial=0) for r in range(11)]))
    raise LayerError(f"ap_version is '{version}'; want Integral, MaxIntegral or 11point")


def jaccard(a: Array, b: Array, size: tuple[int, int] | None) -> Array:
    """Overlaps (N, M) of boxes (N, 4) and (M, 4); in pixels, the last column and row included, where size is given."""
    scale, more = ((size[1], size[0]) * 2, 1) if size else ((1,) * 4, 0)
    a, b = a * np.array(scale, a.dtype), b * np.array(scale, b.dtype)
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.where((sides >= 0).all(axis=-1), (sides + more).prod(axis=-1), 0)
    own = [areas(x + np.array([0, 0, more, more], x.dtype)) for x in (a, b)]
    union = own[0][:, None] + own[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def read_sizes(path: Path) -> list[tuple[int, int]]:
    """(height, width) of each line `name height width`. Raises LayerError with the line that is none."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
            raise LayerError(f"{path}:{number}: '{line}'; want name, height and width")
        found.append((int(words[1]), int(words[2])))
    return found
