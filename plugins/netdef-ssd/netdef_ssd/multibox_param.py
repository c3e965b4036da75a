"""The options of MultiBoxLoss."""

from netdef.layer import Block, Enum, Field
from netdef_ssd.blocks import CODE_TYPE, NMS

FIELDS = (
    Field("loc_loss_type", Enum("LocLossType", ("L2", "SMOOTH_L1")), "SMOOTH_L1", doc="The loss of a location."),
    Field("conf_loss_type", Enum("ConfLossType", ("SOFTMAX", "LOGISTIC")), "SOFTMAX", doc="The loss of a class."),
    Field("loc_weight", "float", 1.0, doc="What the location's loss is multiplied by."),
    Field("num_classes", "uint32", doc="Classes, the background among them."),
    Field("share_location", "bool", True, doc="Whether all classes share a prior's location."),
    Field(
        "match_type",
        Enum("MatchType", ("BIPARTITE", "PER_PREDICTION")),
        "PER_PREDICTION",
        doc="Whether only each object's best prior has it, or all that overlap it enough.",
    ),
    Field("overlap_threshold", "float", 0.5, doc="PER_PREDICTION: what is enough."),
    Field("use_prior_for_matching", "bool", True, doc="Whether priors are matched, or the boxes predicted."),
    Field("background_label_id", "uint32", 0, doc="The class that is nothing."),
    Field("use_difficult_gt", "bool", True, doc="Whether objects marked as difficult count."),
    Field("do_neg_mining", "bool", doc="Old: the same as mining_type other than NONE, and must agree with it."),
    Field("neg_pos_ratio", "float", 3.0, doc="MAX_NEGATIVE: negatives to a positive, at most."),
    Field("neg_overlap", "float", 0.5, doc="MAX_NEGATIVE: a negative overlaps every object by less."),
    Field("code_type", CODE_TYPE, "CORNER", doc="What locations mean."),
    Field("encode_variance_in_target", "bool", False, doc="Whether locations hold the variances already."),
    Field("map_object_to_agnostic", "bool", False, doc="Whether all objects are of one class, the next to nothing."),
    Field("ignore_cross_boundary_bbox", "bool", False, doc="Whether boxes that cross the border take no part."),
    Field("bp_inside", "bool", False, doc="Whether only coordinates within the image have a location's loss."),
    Field(
        "mining_type",
        Enum("MiningType", ("NONE", "MAX_NEGATIVE", "HARD_EXAMPLE")),
        "MAX_NEGATIVE",
        doc="Which priors have a class's loss: all, all with an object and some without, or the worst.",
    ),
    Field("nms_param", NMS, doc="Hard examples that overlap worse ones are left out; none are where it is not set."),
    Field("sample_size", "int32", 64, doc="HARD_EXAMPLE: how many."),
    Field("use_prior_for_nms", "bool", False, doc="Whether nms_param is for priors, or for the boxes predicted."),
)


def options(*more: Field) -> Block:
    """The block, with what a fork adds to it."""
    return Block("multibox_loss_param", (*FIELDS, *more), message="MultiBoxLossParameter", doc="SSD's loss.")
