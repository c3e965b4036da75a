"""ImageData: images and labels from a list of files."""

from functools import partial

from netdef.layer import Block, Field, LayerError, Shape, hookimpl
from netdef.sources.batches import Batches
from netdef.sources.image import COLOUR, GRAY
from netdef.sources.lists import Images, beside, read_list
from netdef.sources.prefetch import workers
from netdef.sources.transform import declared
from netdef_plugins.stream import SKIP_BAD, Stream, batch_size, source, transformer


class ImageData(Stream):
    """Image files, resized and transformed: images (batch, channels, height, width) in BGR, and labels.

    The source has a path and a label on each line. Paths, with root_folder in front, are looked for in the working
    directory, beside the prototxt and beside the list. `shuffle` draws another order for each epoch (Caffe shuffles
    what it shuffled before, so that an order depends on all before it). Images of different sizes need new_height and
    new_width, a crop_size, or batch_size 1: then the top takes each image's size.
    `data_param { prefetch: N }` batches are made ahead, 4 by default.

    Beyond Caffe's settings transform_param has random_flip_vertical, random_rotation, random_brightness,
    random_contrast, random_saturation and random_noise, for training alone.

    With `label_count: N` each line ends in N numbers, and labels have shape (batch, N): vectors, several classes.
    """

    type = "ImageData"
    tops = (1, 2)
    options = "image_data_param"
    also = ("transform_param",)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        param = self.param
        if bool(param.new_height) != bool(param.new_width):
            raise LayerError(f"new_height is {param.new_height} and new_width {param.new_width}; want both or neither")
        path = source(self, param.source, "want a text file with a path and a label on each line")
        images = Images(
            read_list(path, param.label_count),
            param.root_folder,
            COLOUR if param.is_color else GRAY,
            (param.new_height, param.new_width) if param.new_height else None,
            partial(beside, self.context.find, path.parent),
        )
        transform = transformer(self)
        self.batches = Batches(
            images, transform, batch_size(self), self.keys, self.dtype, param.shuffle, param.rand_skip, param.skip_bad
        )
        self.size = self.batches.size
        self.shapes = self.batches.shapes()
        self.stream(self.batches.read, workers())

    def infer(self, *shapes: Shape) -> list[Shape]:
        return self.shapes

    def declared_shapes(self) -> list[Shape] | None:
        param = self.param
        size = (param.new_height, param.new_width) if param.new_height else None
        image = declared(self.layer_param.transform_param, 3 if param.is_color else 1, size)
        labels = (param.label_count,) if param.label_count else ()
        return None if image is None else [(param.batch_size, *image), (param.batch_size, *labels)]


@hookimpl
def netdef_options() -> list[Block]:
    label_count = Field(
        "label_count", "uint32", default=0, doc="How many numbers at a line's end are its label; 0 for one class."
    )
    return [Block("image_data_param", [label_count, SKIP_BAD])]


@hookimpl
def netdef_layers() -> list[type]:
    return [ImageData]
