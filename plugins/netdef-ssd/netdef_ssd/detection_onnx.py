"""DetectionOutput in ONNX: decode, TopK before and after NonMaxSuppression, rows in the layer's own order."""

from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef_ssd.blocks import CENTER_SIZE, CORNER

ALL = np.finfo(np.float32).min


def build(layer: Any, graph: Any, inputs: list[str]) -> str:
    """The value of a DetectionOutput's top. Raises ExportError for an eta, which NonMaxSuppression does not have."""
    nms = layer.param.nms_param
    form = _Detection if len(inputs) < 5 else _Refined
    if nms.eta < 1 and nms.nms_threshold > 0.5:
        raise ExportError(f"eta {nms.eta:g} shrinks the threshold box by box, which has no ONNX form; want eta: 1")
    return form(layer, graph, inputs).rows()


class _Detection:
    """The graph of one layer. S sets of boxes for P priors, L labels beside the background, N images."""

    def __init__(self, layer: Any, graph: Any, inputs: list[str]):
        self.layer, self.param, self.graph = layer, layer.param, graph
        self.loc, self.conf, self.prior = inputs[:3]
        self.n = graph.sizes(self.loc)[0]
        self.priors = graph.sizes(self.prior)[2] // 4
        self.labels = layer.labels
        self.shared = layer.sets == 1

    def op(self, kind: str, *inputs: Any, **settings: Any) -> Any:
        return self.graph.op(kind, inputs, **settings)

    def shaped(self, x: str, *shape: Any) -> str:
        return str(self.op("Reshape", x, self.graph.joined(shape)))

    def boxes(self) -> str:
        """(N, P, 4), or (N, L, P, 4) where labels have their own."""
        loc, rows = self.loc, [self.graph.cut(self.prior, 1, k, k + 1) for k in (0, 1)]
        corners, variances = (self.shaped(row, -1, 4) for row in rows)
        if self.shared:
            loc = self.shaped(loc, self.n, self.priors, 4)
        else:
            loc = self.shaped(loc, self.n, self.priors, self.param.num_classes, 4)
            loc = self.op("Gather", self.op("Transpose", loc, perm=[0, 2, 1, 3]), np.array(self.labels), axis=1)
        return self.decoded(self.varied(loc, variances), self.refined(corners, variances))

    def varied(self, loc: str, variances: str) -> str:
        return loc if self.param.variance_encoded_in_target else str(self.op("Mul", loc, variances))

    def refined(self, corners: str, variances: str) -> str:
        """What locations are relative to."""
        return corners

    def decoded(self, loc: str, corners: str) -> str:
        last = 2 if self.shared else 3
        if self.param.code_type == CORNER:
            return str(self.op("Add", corners, loc))
        low, high = (self.graph.cut(corners, -1, k, k + 2) for k in (0, 2))
        sides = self.op("Sub", high, low)
        if self.param.code_type != CENTER_SIZE:
            return str(self.op("Add", corners, self.op("Mul", loc, self.op("Concat", sides, sides, axis=-1))))
        middle = self.op("Div", self.op("Add", low, high), np.float32(2))
        centre = self.op("Add", middle, self.op("Mul", self.graph.cut(loc, last, 0, 2), sides))
        half = self.op("Div", self.op("Mul", self.op("Exp", self.graph.cut(loc, last, 2, 4)), sides), np.float32(2))
        return str(self.op("Concat", self.op("Sub", centre, half), self.op("Add", centre, half), axis=last))

    def scores(self) -> str:
        """(N, L, P); of each label all but the top_k best are out of the running."""
        x = self.shaped(self.conf, self.n, self.priors, self.param.num_classes)
        x = self.op("Gather", self.op("Transpose", x, perm=[0, 2, 1]), np.array(self.labels), axis=1)
        x = self.sure(x)
        if keep := self.fewer(self.layer.top_k, self.priors):
            values, places = self.op("TopK", x, keep, axis=2, outputs=2)
            x = self.op("ScatterElements", self.lowest(), places, values, axis=2)
        return str(x)

    def fewer(self, keep: int, count: Any) -> str:
        """How many of `count` stay, as a value; none where all do."""
        if isinstance(count, int):
            return str(self.graph.joined([keep])) if -1 < keep < count else ""
        return str(self.op("Min", np.array([keep]), self.graph.joined([count]))) if keep > -1 else ""

    def sure(self, scores: str) -> str:
        """(N, L, P) without the scores that do not count."""
        return scores

    def lowest(self) -> str:
        """(N, L, P)"""
        return self.filled(ALL, self.n, len(self.labels), self.priors)

    def filled(self, x: float, *shape: Any) -> str:
        return str(self.op("Expand", np.float32(x), self.graph.joined(shape)))

    def solid(self, boxes: str) -> str:
        """Boxes turned inside out have no area in SSD; ONNX would turn them back."""
        if self.param.code_type == CENTER_SIZE:
            return boxes
        last = 2 if self.shared else 3
        low, high = (self.graph.cut(boxes, last, k, k + 2) for k in (0, 2))
        return str(self.op("Concat", low, self.op("Max", low, high), axis=last))

    def chosen(self, boxes: str, scores: str) -> str:
        """(K, 3): image, place in labels and prior of what overlaps nothing better."""
        labels, solid = len(self.labels), self.solid(boxes)
        if not self.shared:  # NonMaxSuppression has one set of boxes for an image: every label is an image of its own
            solid, scores = self.shaped(solid, -1, self.priors, 4), self.shaped(scores, -1, 1, self.priors)
        limits = (self.graph.joined([self.priors]), np.float32(self.param.nms_param.nms_threshold).reshape(1))
        found = self.op("NonMaxSuppression", solid, scores, *limits, np.array([self.layer.threshold], np.float32))
        if self.shared:
            return str(found)
        whole, prior = self.graph.cut(found, 1, 0, 1), self.graph.cut(found, 1, 2, 3)
        image, label = self.op("Div", whole, np.array(labels)), self.op("Mod", whole, np.array(labels))
        return str(self.op("Concat", image, label, prior, axis=1))

    def best(self, chosen: str, scores: str) -> str:
        """Of these the keep_top_k best of each image, in the order they are in."""
        count = self.priors * len(self.labels)
        keep = self.fewer(self.param.keep_top_k, count)
        if not keep:
            return chosen
        running = self.op("ScatterND", self.lowest(), chosen, self.op("GatherND", scores, chosen))
        best, places = self.op("TopK", self.shaped(running, self.n, count), keep, axis=1, outputs=2)
        ones = self.op("Expand", np.float32(1), self.op("Shape", best))
        marked = self.op("ScatterElements", self.filled(0, self.n, count), places, ones, axis=1)
        marked = self.op("GatherND", self.shaped(marked, self.n, len(self.labels), self.priors), chosen)
        return str(self.op("Compress", chosen, self.op("Cast", marked, to=9), axis=0))

    def rows(self) -> str:
        """(1, 1, K, 7); where K is 0, a row for each image that says so."""
        boxes, scores = self.boxes(), self.scores()
        chosen = self.best(self.chosen(boxes, scores), scores)
        image, label, prior = (self.graph.cut(chosen, 1, k, k + 1) for k in range(3))
        where = self.op("Concat", image, prior, axis=1) if self.shared else chosen
        names = self.op("Gather", np.array(self.labels, np.float32), label)
        score = self.op("Unsqueeze", self.op("GatherND", scores, chosen), np.array([1]))
        parts = [self.op("Cast", image, to=1), names, score, self.op("GatherND", boxes, where)]
        found = self.op("Concat", *parts, axis=1)
        return self.graph.varies(self.shaped(self.or_nothing(found), 1, 1, -1, 7), 2)

    def or_nothing(self, found: str) -> str:
        n, count = self.graph.joined([self.n]), self.graph.cut(self.op("Shape", found), 0, 0, 1)
        absent = self.op("Expand", self.op("Equal", count, np.array([0])), n)
        present = self.op("Expand", np.array([True]), count)
        both = self.op("Concat", found, self.nothing(), axis=0)
        return str(self.op("Compress", both, self.op("Concat", present, absent, axis=0), axis=0))

    def nothing(self) -> str:
        """A row for each image: its number, and six times -1."""
        first = self.op("Unsqueeze", self.op("Cast", self.graph.numbers(0, self.n), to=1), np.array([1]))
        return str(self.op("Pad", first, np.array([0, 0, 0, 6]), np.float32(-1)))


class _Refined(_Detection):
    """The same with RefineDet's two more inputs: objectness (N, 2 P) and the locations that refine the priors."""

    def __init__(self, layer: Any, graph: Any, inputs: list[str]):
        super().__init__(layer, graph, inputs)
        self.arm_conf, self.arm_loc = inputs[3:]

    def refined(self, corners: str, variances: str) -> str:
        return self.decoded(self.varied(self.shaped(self.arm_loc, self.n, self.priors, 4), variances), corners)

    def sure(self, scores: str) -> str:
        objects = self.graph.cut(self.shaped(self.arm_conf, self.n, self.priors, 2), 2, 1, 2)
        least = np.float32(self.param.objectness_score)
        sure = self.op("GreaterOrEqual", self.shaped(objects, self.n, 1, self.priors), least)
        return str(self.op("Where", sure, scores, np.float32(0)))
