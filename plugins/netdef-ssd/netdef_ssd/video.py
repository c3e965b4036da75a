"""VideoData: frames of a camera or of clips. Its shapes are told, its frames are not read."""

from netdef.errors import AbsentError
from netdef.layer import Blob, Block, Enum, Field, LayerError, Shape, Source

MODALITY = Enum("Modality", ("RGB", "FLOW"))
RGB = MODALITY.numbers["RGB"]
VIDEO = Block(
    "video_data_param",
    [
        Field("video_type", Enum("VideoType", ("WEBCAM", "VIDEO")), "WEBCAM", doc="SSD's: a camera, or a file."),
        Field("device_id", "int32", 0, doc="SSD's: which camera."),
        Field("video_file", "string", doc="SSD's: which file."),
        Field("skip_frames", "uint32", 0, doc="SSD's: frames left out after each one."),
        Field("source", "string", doc="Clips', as all that follows: a list of folders of frames, with a label each."),
        Field("batch_size", "uint32", doc="Clips in a batch."),
        Field("rand_skip", "uint32", 0, doc="Parsed only."),
        Field("shuffle", "bool", False, doc="Parsed only."),
        Field("new_height", "uint32", 0, doc="Height of a frame; where there is no crop_size also of the data."),
        Field("new_width", "uint32", 0, doc="Width of a frame; where there is no crop_size also of the data."),
        Field("new_length", "uint32", 1, doc="Frames in a row that make a segment."),
        Field("num_segments", "uint32", 1, doc="Segments of a clip."),
        Field("scale", "float", 1.0, doc="Parsed only."),
        Field("mean_file", "string", doc="Parsed only."),
        Field("crop_size", "uint32", 0, doc="Parsed only; transform_param's is what counts."),
        Field("mirror", "bool", False, doc="Parsed only."),
        Field("modality", MODALITY, "FLOW", doc="Three channels a frame, or two."),
        Field("name_pattern", "string", doc="Parsed only."),
        Field("encoded", "bool", False, doc="Parsed only."),
        Field("grayscale", "bool", False, doc="Parsed only."),
    ],
    message="VideoDataParameter",
    doc="SSD's cameras and files, and the clips of temporal segment networks.",
)

CLIPS = Block(
    message="TransformationParameter",
    doc="What temporal segment networks do with clips; no layer here does, and each that is given one says so.",
    fields=(
        *(
            Field(name, "bool", False, doc="Parsed only.")
            for name in ("fix_crop", "more_fix_crop", "multi_scale", "is_flow", "original_image")
        ),
        Field("scale_ratios", "float", repeated=True, doc="Parsed only."),
        Field("max_distort", "int32", 1, doc="Parsed only."),
    ),
)


class VideoData(Source):
    """Frames of a video: SSD's (batch, 3, height, width), or clips with all of their frames as channels, and labels.

    No frame is ever read: a net with it can be checked and exported, its shapes being those that the prototxt declares.
    To run it, put an Input layer in its place and fill it with your frames.
    """

    type = "VideoData"
    tops = (1, 2)
    also = ("data_param", "transform_param")
    options = VIDEO

    def setup(self, bottom_shapes: list[Shape]) -> None:
        raise AbsentError(
            "frames of videos are not read here; want an Input layer in its place, filled by your program"
        )

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise LayerError("frames of videos are not read here")

    def declared_shapes(self) -> list[Shape] | None:
        """None where a fork without `modality` makes clips: whether frames are channels or an axis is then not told."""
        transform = self.layer_param.transform_param
        resize = transform.resize_param
        height, width = (transform.crop_size or size for size in (resize.height, resize.width))
        if not self.param.source:
            batch = self.layer_param.data_param.batch_size
            return [(batch, 3, height, width), (batch,)] if batch and height and width else None
        return self.clips()

    def clips(self) -> list[Shape] | None:
        p, crop = self.param, self.layer_param.transform_param.crop_size
        height, width = (crop or p.new_height), (crop or p.new_width)
        if not (p.HasField("modality") and height and width) or p.grayscale:
            return None
        channels = (3 if p.modality == RGB else 2) * p.new_length * p.num_segments
        return [(p.batch_size, channels, height, width), (p.batch_size,)]
