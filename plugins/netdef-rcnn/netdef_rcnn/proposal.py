"""Proposal: what a region proposal network says of its anchors, as the best regions that do not overlap."""

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_rcnn.regions import pooled, stop

Array = np.ndarray


def anchors(base: int, ratios: list[float], scales: list[float]) -> Array:
    """Boxes (ratios * scales, 4) around the first cell of the map: base^2 pixels of each ratio, each times a scale.

    Sides are rounded before they are scaled, halves up.
    """
    width = np.floor(np.sqrt(base * base / np.array(ratios)) + 0.5)
    height = np.floor(width * np.array(ratios) + 0.5)
    half = 0.5 * (np.stack([width, height], axis=1)[:, None] * np.array(scales)[:, None] - 1).reshape(-1, 2)
    centre = 0.5 * (base - 1)
    return np.concatenate([centre - half, centre + half], axis=1)


def moved(boxes: Array, by: Array) -> Array:
    """Boxes (N, 4) with their centres moved by (dx, dy) sides and their sides times exp(dw, dh)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    centre = boxes[:, :2] + 0.5 * sides + by[:, :2] * sides
    with np.errstate(over="ignore"):
        half = 0.5 * np.exp(by[:, 2:]) * sides
    return np.concatenate([centre - half, centre + half], axis=1)


def suppress(boxes: Array, threshold: float, count: int) -> list[int]:
    """Which of boxes (N, 4), best first, stay, at most `count`: no overlap above the threshold with one that stays.

    Both corners are part of a box, so that its sides are 1 longer than their difference.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    while left.size and len(kept) < count:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.where((high < low).any(axis=1), 0, (high - low + 1).prod(axis=1))
        left = left[~(shared / (area[best] + area[left] - shared) > threshold)]
    return kept


class Proposal(ParameterFree):
    """Regions (image, x1, y1, x2, y2) from scores, anchors' moves and image sizes; the second top holds their scores.

    Bottoms: [N, 2 anchors, H, W] whose second half are the chances of an object; [N, 4 anchors, H, W]; rows (height,
    width, scale, and the scale of the width if it is another) for each image, or one for all. A box smaller than
    min_size times the scale keeps its place but scores 0. Of the pre_nms_topn best, those go that overlap a better one
    by more than nms_thresh, and post_nms_topn of each image stay. Anchors are those of Faster R-CNN; equal scores keep
    the order of the map. Nothing is learnt through it: its bottoms get a gradient of 0.
    """

    type = "Proposal"
    no_onnx = "its boxes contain both corners, which ONNX's NonMaxSuppression does not; export up to its bottoms"
    bottoms = 3
    tops = (1, 2)
    reads = ()
    options = Block(
        "proposal_param",
        [
            Field("feat_stride", "uint32", 16, doc="Pixels of the input image from one cell of the map to the next."),
            Field("base_size", "uint32", 16, doc="Side of a square anchor before it is scaled."),
            Field("min_size", "uint32", 16, doc="Sides below it, times the image's scale, make a box worth nothing."),
            Field("ratio", "float", repeated=True, doc="Heights of the anchors in widths."),
            Field("scale", "float", repeated=True, doc="Sizes of the anchors in base_size."),
            Field("pre_nms_topn", "uint32", 6000, doc="How many boxes are compared."),
            Field("post_nms_topn", "uint32", 300, doc="How many regions of an image stay at most."),
            Field("nms_thresh", "float", 0.7, doc="Overlap above which the worse of two boxes goes."),
        ],
        message="ProposalParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        p = self.param
        pooled(p, "feat_stride", "base_size", "pre_nms_topn", "post_nms_topn")
        for what, values in (("ratio", p.ratio), ("scale", p.scale)):
            if not values or min(values) <= 0:
                raise LayerError(f"{what} is {list(values)}; want at least one number, all above 0")
        self.anchors = anchors(p.base_size, list(p.ratio), list(p.scale)).astype(self.dtype)

    def infer(self, *shapes: Shape) -> list[Shape]:
        scores, moves, info = shapes
        count = len(self.anchors)
        if len(scores) != 4 or scores[1] != 2 * count:
            raise LayerError(f"scores of shape {scores}; want N x {2 * count} x H x W: 2 for each of {count} anchors")
        if moves != (scores[0], 4 * count, *scores[2:]):
            raise LayerError(f"moves of shape {moves}; want {(scores[0], 4 * count, *scores[2:])}")
        if len(info) < 2 or info[0] not in (1, scores[0]) or info[1] < 3:
            raise LayerError(f"image sizes of shape {info}; want 1 or {scores[0]} rows of height, width, scale")
        rows = scores[0] * self.param.post_nms_topn
        return [(rows, 5), (rows,)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        scores, moves, info = (b.data for b in bottom)
        info = np.broadcast_to(info.reshape(len(info), -1), (len(scores), info[0].size))
        found = [self._of(*one) for one in zip(scores, moves, info, strict=True)]
        rows = [np.insert(boxes, 0, i, axis=1) for i, (boxes, _) in enumerate(found)]
        for blob, parts in zip(top, (rows, [score for _, score in found]), strict=False):
            value = np.concatenate(parts)
            blob.reshape(*value.shape)
            blob.data[...] = value

    def _of(self, scores: Array, moves: Array, info: Array) -> tuple[Array, Array]:
        """The regions of one image and their scores, best first."""
        p, count = self.param, len(self.anchors)
        cells = np.stack(np.meshgrid(*(np.arange(n) for n in scores.shape[:0:-1])), axis=-1) * p.feat_stride
        boxes = (np.tile(cells, 2)[:, :, None] + self.anchors).reshape(-1, 4).astype(self.dtype)
        moves = moves.reshape(count, 4, *moves.shape[1:]).transpose(2, 3, 0, 1).reshape(-1, 4)
        size = info[[1, 0]]
        boxes = np.clip(moved(boxes, moves), 0, np.tile(size - 1, 2))
        least = p.min_size * info[[3 if len(info) > 3 else 2, 2]]
        score = scores[count:].transpose(1, 2, 0).ravel() * (boxes[:, 2:] - boxes[:, :2] + 1 >= least).all(axis=1)
        order = np.argsort(-score, kind="stable")[: p.pre_nms_topn]
        kept = order[suppress(boxes[order], p.nms_thresh, p.post_nms_topn)]
        return boxes[kept], score[kept]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        stop(propagate_down, bottom, 0, 1, 2)
