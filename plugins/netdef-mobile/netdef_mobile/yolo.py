"""YOLO's last layers: from what a convolution gives to boxes that do not overlap."""

from abc import abstractmethod

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape

Array = np.ndarray
COORDS = 5
"""Numbers of a box before its classes: x, y, w, h and how sure it is that there is something."""


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(x: Array) -> Array:
    """Along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def split(x: Array, boxes: int) -> Array:
    """[N, boxes * numbers, side, side] as [N, row, column, box, number], the order in which the fork looks at boxes."""
    n, channels, height, width = x.shape
    return x.reshape(n, boxes, channels // boxes, height, width).transpose(0, 3, 4, 1, 2)


def place(v: Array, shift: Array, anchors: Array, side: int, size: float) -> Array:
    """Boxes (x, y, w, h) in parts of the image: `shift` of each in its cell, and exp(v) times its anchor's size."""
    cell = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(v.dtype)  # (column, row)
    xy = (cell[:, :, None] + shift) / side
    with np.errstate(over="ignore"):
        wh = np.exp(v[..., 2:4]) * anchors.astype(v.dtype) / v.dtype.type(size)
    return np.concatenate([xy, wh], axis=-1)


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of a box (x, y, w, h) with each of boxes (N, 4)."""
    low = np.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    sides = np.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2) - low
    shared = np.where((sides < 0).any(axis=1), 0, sides.prod(axis=1))
    return shared / (box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared)


def suppress(boxes: Array, threshold: float) -> list[int]:
    """Which of boxes (N, 4), best first, stay: those that overlap none that stays by `threshold` or more."""
    kept, left = [], np.arange(len(boxes))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        while left.size:
            kept.append(int(left[0]))
            left = left[1:]
            left = left[~(overlaps(boxes[kept[-1]], boxes[left]) >= threshold)]
    return kept


class Detections(ParameterFree):
    """Rows (image, class + 1, confidence, xmin, ymin, xmax, ymax), best first, as a blob of shape (1, 1, rows, 7).

    A box goes that overlaps a better one by nms_threshold or more, whatever the class of the two; corners are in parts
    of the image and may lie outside. Where nothing is found there is a row (image, -1, ...) for each image. The fork
    was made for one image at a time: of several, it numbers all rows 0 and lets them suppress each other's boxes. Here
    each image is on its own.
    """

    no_onnx = (
        "it suppresses at an overlap of nms_threshold or more across classes, ONNX's NonMaxSuppression only above it "
        "and within a class; name its bottoms as the model's outputs"
    )
    no_gradient = "all"
    reads = ()

    @abstractmethod
    def candidates(self, x: list[Array]) -> list[tuple[Array, Array, Array, Array]]:
        """For each bottom: image, class, confidence and box of all that are sure enough, in the fork's order."""

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if self.param.num_classes < 1 or not self.param.HasField("num_classes"):
            raise LayerError(f"num_classes is {self.param.num_classes}, or not given; want the number of classes")
        if self.param.num_box < 1:
            raise LayerError(f"num_box is {self.param.num_box}; want at least 1")
        if len(self.param.biases) % 2:
            raise LayerError(f"has {len(self.param.biases)} biases; want a width and a height for each anchor")
        self.anchors = np.array(self.param.biases, np.float64).reshape(-1, 2)

    def infer(self, *shapes: Shape) -> list[Shape]:
        want = self.param.num_box * (COORDS + self.param.num_classes)
        for i, shape in enumerate(shapes):
            if len(shape) != 4 or shape[1] != want or shape[2] != shape[3] or shape[0] != shapes[0][0]:
                raise LayerError(
                    f"bottom {i} has shape {shape}; want {shapes[0][:1]} x {want} x side x side: num_box "
                    f"{self.param.num_box} times x, y, w, h, an object or not, and num_classes {self.param.num_classes}"
                )
        return [(1, 1, 1, 7)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        found = self.candidates([b.data for b in bottom])
        image, label, score, box = (np.concatenate(part) for part in zip(*found, strict=True))
        images = bottom[0].shape[0]
        rows = [self._rows(i, image == i, label, score, box) for i in range(images)]
        y = np.concatenate(rows)
        if not len(y):
            y = np.full((images, 7), -1, self.dtype)
            y[:, 0] = np.arange(images)
        top[0].reshape(1, 1, *y.shape)
        top[0].data[...] = y

    def _rows(self, image: int, mine: Array, label: Array, score: Array, box: Array) -> Array:
        label, score, box = label[mine], score[mine], box[mine]
        order = np.argsort(-score, kind="stable")
        kept = order[suppress(box[order], self.param.nms_threshold)]
        first = np.stack([np.full(len(kept), image), label[kept] + 1, score[kept]], axis=1)
        half = box[kept, 2:] / 2
        return np.concatenate([first, box[kept, :2] - half, box[kept, :2] + half], axis=1).astype(self.dtype)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        pass


NMS = (
    Field("confidence_threshold", "float", 0.01, doc="Boxes less sure than this are left out."),
    Field("nms_threshold", "float", 0.45, doc="Overlap at which the worse of two boxes goes."),
)


class YoloDetectionOutput(Detections):
    """YOLO v2: a softmax over the classes; a box is its best class, with confidence sigmoid(object) * softmax.

    biases are the anchors' widths and heights in cells. One or two bottoms, of any side; both use the same anchors.
    """

    type = "YoloDetectionOutput"
    bottoms = (1, 2)
    options = Block(
        "yolo_detection_output_param",
        [
            Field("side", "uint32", 13, doc="Parsed only: the bottom's width is the side."),
            Field("num_classes", "uint32", 20, doc="Number of classes; it must be given."),
            Field("num_box", "uint32", 5, doc="Boxes of each cell."),
            Field("coords", "uint32", 4, doc="Parsed only: a box has 4."),
            *NMS,
            Field("biases", "float", repeated=True, doc="Width and height of each anchor, in cells."),
            Field("label_map_file", "string", doc="Parsed only: names of the classes, which no output holds."),
        ],
        message="YoloDetectionOutputParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        super().setup(bottom_shapes)
        if len(self.anchors) < self.param.num_box:
            raise LayerError(f"has {len(self.param.biases)} biases for num_box {self.param.num_box}; want two for each")
        self.anchors = self.anchors[: self.param.num_box]

    def candidates(self, x: list[Array]) -> list[tuple[Array, Array, Array, Array]]:
        return [self._of(split(each, self.param.num_box), each.shape[3]) for each in x]

    def _of(self, v: Array, side: int) -> tuple[Array, Array, Array, Array]:
        classes = softmax(v[..., COORDS:])
        label = classes.argmax(axis=-1)
        score = sigmoid(v[..., 4]) * classes.max(axis=-1)
        boxes = place(v, sigmoid(v[..., :2]), self.anchors, side, side)
        at = np.nonzero(score >= self.param.confidence_threshold)
        return at[0], label[at], score[at], boxes[at]


class Yolov3DetectionOutput(Detections):
    """YOLO v3: every class of a box is a row of its own, with confidence sigmoid(object) * sigmoid(class).

    biases are the anchors' widths and heights in pixels of an image of side * anchors_scale; mask says, bottom after
    bottom, which anchors a bottom's boxes have.
    """

    type = "Yolov3DetectionOutput"
    bottoms = (1, None)
    options = Block(
        "yolov3_detection_output_param",
        [
            Field("num_classes", "uint32", 20, doc="Number of classes; it must be given."),
            Field("num_box", "uint32", 3, doc="Boxes of each cell."),
            *NMS,
            Field("biases", "float", repeated=True, doc="Width and height of each anchor, in pixels."),
            Field("anchors_scale", "uint32", repeated=True, doc="Pixels of a cell, for each bottom."),
            Field("mask_group_num", "uint32", 2, doc="Number of bottoms."),
            Field("mask", "uint32", repeated=True, doc="Anchors of each bottom's boxes, one bottom after the other."),
            Field("gaussian_box", "bool", False, doc="Boxes that say how sure they are of each side; not provided."),
        ],
        message="Yolov3DetectionOutputParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        super().setup(bottom_shapes)
        p, bottoms = self.param, len(bottom_shapes)
        if p.gaussian_box:
            raise LayerError("gaussian_box: true is not provided; the builds that have it do not agree on it")
        if p.mask_group_num != bottoms:
            raise LayerError(f"mask_group_num is {p.mask_group_num}, but it has {bottoms} bottoms; want as many")
        if len(p.anchors_scale) < bottoms or 0 in p.anchors_scale:
            raise LayerError(f"anchors_scale is {list(p.anchors_scale)}; want a number above 0 for each bottom")
        group = len(p.mask) // bottoms
        if group < p.num_box or max(p.mask, default=0) >= len(self.anchors):
            want = f"{p.num_box} for each of {bottoms} bottoms, each below {len(self.anchors)}, the number of anchors"
            raise LayerError(f"mask is {list(p.mask)}; want {want}")
        self.masks = [list(p.mask[i * group : i * group + p.num_box]) for i in range(bottoms)]

    def candidates(self, x: list[Array]) -> list[tuple[Array, Array, Array, Array]]:
        parts = zip(x, self.masks, self.param.anchors_scale, strict=False)
        return [self._of(split(each, self.param.num_box), each.shape[3], mask, scale) for each, mask, scale in parts]

    def _of(self, v: Array, side: int, mask: list[int], scale: int) -> tuple[Array, Array, Array, Array]:
        score = sigmoid(v[..., COORDS:]) * sigmoid(v[..., 4:5])
        boxes = place(v, sigmoid(v[..., :2]), self.anchors[mask], side, side * scale)
        at = np.nonzero(score > self.param.confidence_threshold)
        return at[0], at[-1], score[at], boxes[at[:-1]]
