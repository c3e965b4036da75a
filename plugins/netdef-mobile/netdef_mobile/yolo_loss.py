"""YOLO's losses by name: their options are read, but a net that would train by them is refused."""

from netdef.layer import Blob, Block, Enum, Field, LayerError, Loss, Shape


class NotTrained(Loss):
    """A loss that is refused when a net is built, in the words of `reason`."""

    bottoms = 2
    no_gradient = (1,)
    reason: str

    def setup(self, bottom_shapes: list[Shape]) -> None:
        raise LayerError(f"{self.type} cannot train here: {self.reason}; the net's detection output works (TEST)")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise NotImplementedError

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        raise NotImplementedError


def _options(name: str, message: str, *own: Field) -> Block:
    """What both versions have, and what is a version's own."""
    shared = (
        Field("side", "uint32", 13, doc="Parsed only: the bottom's width is the side."),
        Field("num_class", "uint32", 20, doc="Number of classes."),
        Field("num", "uint32", 5, doc="Boxes of each cell."),
        Field("object_scale", "float", 1.0, doc="Weight of a box's certainty where there is an object."),
        Field("class_scale", "float", 1.0, doc="Weight of the classes."),
        Field("noobject_scale", "float", 0.5, doc="Weight of a box's certainty where there is none."),
        Field("coord_scale", "float", 5.0, doc="Weight of x, y, w and h."),
        Field("biases", "float", repeated=True, doc="Width and height of each anchor: v2's in cells, v3's in pixels."),
    )
    return Block(name, (*shared, *own), message=message)


class RegionLoss(NotTrained):
    """YOLO v2's loss, refused: what its fork calls a gradient is the derivative of no loss.

    It depends on how many batches all such layers of the process, those of test nets too, have seen before.
    """

    type = "RegionLoss"
    reason = "its fork's gradient is not the derivative of the loss and depends on passes that other nets made"
    options = _options(
        "region_loss_param",
        "RegionLossParameter",
        Field("bias_match", "uint32", 1, doc="Whether an object looks for the anchor of its size."),
        Field("coords", "uint32", 4, doc="Numbers of a box."),
        Field("softmax", "uint32", 1, doc="Parsed only: the fork always takes a softmax."),
        Field("jitter", "float", 0.2, doc="Parsed only."),
        Field("rescore", "uint32", 1, doc="Whether certainty should be the overlap rather than 1."),
        Field("absolute", "uint32", 1, doc="Parsed only."),
        Field("thresh", "float", 0.2, doc="Overlap above which a box is not told that it holds nothing."),
        Field("random", "uint32", 1, doc="Parsed only."),
        Field("softmax_tree", "string", doc="A file of YOLO9000's tree of classes."),
        Field("class_map", "string", doc="A file that gives each class a number of the tree."),
    )


class Yolov3(NotTrained):
    """YOLO v3's loss, refused: what its fork calls a gradient is the derivative of no loss."""

    type = "Yolov3"
    reason = "its fork's gradient is not the derivative of the loss, and its versions differ in both"
    options = _options(
        "yolov3_param",
        "Yolov3Parameter",
        Field("thresh", "float", 0.2, doc="Overlap above which a box is not told that it holds nothing."),
        Field("anchors_scale", "uint32", 32, doc="Pixels of a cell."),
        Field("mask", "uint32", repeated=True, doc="Anchors of the bottom's boxes."),
        Field("use_logic_gradient", "bool", False, doc="Whether gradients pass through the sigmoid."),
        Field("use_focal_loss", "bool", False, doc="Whether boxes that are right already count less."),
        Field("iou_loss", Enum("IOU_LOSS", ("IOU", "GIOU", "MSE", "DIOU", "CIOU")), "MSE", doc="Loss of a box."),
        Field("iou_normalizer", "float", 0.25, doc="Weight of an overlap's loss."),
        Field("iou_thresh", "float", 0.5, doc="Overlap from which other anchors answer for an object too."),
        Field("max_delta", "float", 10.0, doc="Largest gradient of a coordinate."),
        Field("accumulate", "bool", True, doc="Whether gradients of several objects in a cell add up."),
        Field("label_smooth_eps", "float", 0.1, doc="How much the classes' targets are smoothed."),
    )
