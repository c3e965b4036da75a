"""Option blocks that several of SSD's layers read, named and numbered as SSD's schema has them."""

from netdef.layer import Block, Enum, Field

CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3
WARP, FIT_SMALL_SIZE, FIT_LARGE_SIZE_AND_PAD = 1, 2, 3

PAD_MODES = ("CONSTANT", "MIRRORED", "REPEAT_NEAREST")
CODE_TYPE = Enum("CodeType", ("CORNER", "CENTER_SIZE", "CORNER_SIZE"), first=1)

NMS = Block(
    message="NonMaximumSuppressionParameter",
    fields=(
        Field("nms_threshold", "float", 0.3, doc="Overlap above which the worse of two boxes goes."),
        Field("top_k", "int32", doc="How many of the best boxes of a class are looked at; all where it is left out."),
        Field("eta", "float", 1.0, doc="By what the threshold shrinks after each box kept, while above 0.5."),
        Field("soft_nms", "bool", False, doc="jolibrain's: scores shrink instead. Refused."),
        Field("theta", "float", 0.5, doc="jolibrain's: how much they shrink. Parsed only."),
    ),
)

RESIZE = Block(
    message="ResizeParameter",
    doc="How an image becomes one of the net's size.",
    fields=(
        Field("prob", "float", 1.0, doc="Parsed only: SSD does not read it either."),
        Field(
            "resize_mode",
            Enum("Resize_mode", ("WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD"), first=1),
            "WARP",
            doc="To width and height as they are, or with the image's proportions kept.",
        ),
        Field("height", "uint32", 0, doc="Height afterwards; with FIT_SMALL_SIZE the least."),
        Field("width", "uint32", 0, doc="Width afterwards; with FIT_SMALL_SIZE the least."),
        Field("height_scale", "uint32", 0, doc="FIT_SMALL_SIZE: boxes are in units of this height."),
        Field("width_scale", "uint32", 0, doc="FIT_SMALL_SIZE: boxes are in units of this width."),
        Field(
            "pad_mode",
            Enum("Pad_mode", PAD_MODES, first=1),
            "CONSTANT",
            doc="What FIT_LARGE_SIZE_AND_PAD puts around the image.",
        ),
        Field("pad_value", "float", repeated=True, doc="CONSTANT's value: one, or one for each channel."),
        Field(
            "interp_mode",
            Enum("Interp_mode", ("LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"), first=1),
            repeated=True,
            doc="How to interpolate; of several, one is drawn for each image.",
        ),
    ),
)

EMIT = Block(
    message="EmitConstraint",
    doc="Which boxes are still boxes of a crop.",
    fields=(
        Field(
            "emit_type",
            Enum("EmitType", ("CENTER", "MIN_OVERLAP")),
            "CENTER",
            doc="Those whose centre lies in the crop, or those of which more than emit_overlap does.",
        ),
        Field("emit_overlap", "float", doc="MIN_OVERLAP's part of a box, 0 to 1."),
    ),
)

_SALT = Block(
    message="SaltPepperParameter",
    fields=(
        Field("fraction", "float", 0.0, doc="Part of the pixels that is changed."),
        Field("value", "float", repeated=True, doc="What they become: one value, or one for each channel."),
    ),
)


def _flags(**docs: str) -> list[Field]:
    return [Field(name, "bool", False, doc=doc) for name, doc in docs.items()]


NOISE = Block(
    message="NoiseParameter",
    doc="Parsed; no layer here draws noise, and those that would have to refuse it.",
    fields=(
        Field("prob", "float", 0.0, doc="Parsed only: SSD does not read it either."),
        *_flags(
            hist_eq="Equalize the histogram.",
            inverse="Invert the image.",
            decolorize="Gray, in three channels.",
            gauss_blur="Blur by a Gaussian of 7 x 7.",
        ),
        Field("jpeg", "float", -1.0, doc="Quality of a JPEG the image passes through; above 0 to do so."),
        *_flags(posterize="Fewer colours.", erode="Erode by 3 x 3.", saltpepper="Salt and pepper."),
        Field("saltpepper_param", _SALT, doc="How much, and which."),
        *_flags(clahe="Equalize in tiles, contrast limited.", convert_to_hsv="To HSV.", convert_to_lab="To Lab."),
        Field("all_effects", "bool", False, doc="jolibrain's: all of these, each as often as prob."),
    ),
)


SWITCHES = ("brightness", "contrast", "hue", "saturation", "random_order", "all_effects")


def _distort(*fields: tuple[str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, "float", 0.0, doc=doc) for name, doc in fields)


DISTORT = Block(
    message="DistortionParameter",
    doc="Random changes of colour; the order of contrast and saturation is drawn too.",
    fields=_distort(
        ("prob", "jolibrain's: how often each of what is switched on. Refused above 0."),
        ("brightness_prob", "How often something is added to all channels."),
        ("brightness_delta", "At most so much, either way; 0 to 255."),
        ("contrast_prob", "How often all channels are multiplied."),
        ("contrast_lower", "By at least this."),
        ("contrast_upper", "By at most this."),
        ("hue_prob", "How often the hue is turned."),
        ("hue_delta", "By at most so much, either way; 0 to 180, in OpenCV's half degrees."),
        ("saturation_prob", "How often the saturation is multiplied."),
        ("saturation_lower", "By at least this."),
        ("saturation_upper", "By at most this."),
        ("random_order_prob", "How often the channels are shuffled."),
    )
    + tuple(_flags(**dict.fromkeys(SWITCHES, "jolibrain's switch for prob. Parsed only."))),
)

EXPAND = Block(
    message="ExpansionParameter",
    doc="A training image may become a part of a larger one, the rest of which is the mean.",
    fields=(
        Field("prob", "float", 1.0, doc="How often."),
        Field("max_expand_ratio", "float", 1.0, doc="How much larger at most, each side."),
    ),
)

GEOMETRY = Block(
    message="GeometryParameter",
    doc="jolibrain's random perspective. Parsed, and refused where prob is above 0.",
    fields=(
        Field("prob", "float", 0.0, doc="How often."),
        *(
            Field(name, "bool", True, doc="Parsed only.")
            for name in ("persp_horizontal", "persp_vertical", "zoom_out", "zoom_in")
        ),
        Field("zoom_factor", "float", 0.25, doc="Parsed only."),
        Field("persp_factor", "float", 0.25, doc="Parsed only."),
        Field("all_effects", "bool", False, doc="Parsed only."),
        Field("pad_mode", Enum("Pad_mode", PAD_MODES, first=1), "MIRRORED", doc="Parsed only."),
    ),
)

RANDOM_RESIZE = Block(
    message="RandomResizeParameter",
    doc="Intel's random sizes. Parsed; a layer that would have to follow it says that it does not.",
    fields=(
        Field("min_size", "uint32", 0, doc="Parsed only."),
        Field("max_size", "uint32", 0, doc="Parsed only."),
        Field("resize_param", RESIZE, doc="Parsed only."),
    ),
)

RANDOM_ASPECT_RATIO = Block(
    message="RandomAspectRatioParameter",
    doc="Intel's random proportions. Parsed; a layer that would have to follow it says that it does not.",
    fields=(
        Field("min_area_ratio", "float", 0.5, doc="Parsed only."),
        Field("max_area_ratio", "float", 1.0, doc="Parsed only."),
        Field("aspect_ratio_change", "float", 1.0, doc="Parsed only."),
        Field("max_attempt", "uint32", 10, doc="Parsed only."),
        Field("resize_param", RESIZE, doc="Parsed only."),
    ),
)

TRANSFORM = Block(
    message="TransformationParameter",
    doc="What SSD's AnnotatedData does beside Caffe's transformations.",
    fields=(
        Field("resize_param", RESIZE, doc="The size of the net's images; before any crop."),
        Field("noise_param", NOISE, doc="Parsed, and refused where it would do anything."),
        Field("emit_constraint", EMIT, doc="Which boxes are still boxes of a crop; all that touch it where left out."),
        Field("crop_h", "uint32", 0, doc="crop_size's height, where it is not square."),
        Field("crop_w", "uint32", 0, doc="crop_size's width, where it is not square."),
        Field("distort_param", DISTORT, doc="Random changes of colour."),
        Field("expand_param", EXPAND, doc="Random zooming out."),
        Field("geometry_param", GEOMETRY, doc="Parsed, and refused where it would do anything."),
        Field("random_resize_param", RANDOM_RESIZE, doc="Parsed, and refused by name."),
        Field("random_aspect_ratio_param", RANDOM_ASPECT_RATIO, doc="Parsed, and refused by name."),
    ),
)

SOLVER = Block(
    message="SolverParameter",
    doc="How SSD's solver tests.",
    fields=(
        Field("eval_type", "string", "classification", doc="classification, or detection: a mean average precision."),
        Field("ap_version", "string", "Integral", doc="The average precision: 11point, MaxIntegral or Integral."),
        Field("show_per_class_result", "bool", False, doc="Whether each class's average precision is logged too."),
    ),
)
