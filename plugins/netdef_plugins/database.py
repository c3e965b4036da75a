"""Data: images and labels from a database."""

from netdef.layer import Block, Field, Shape, hookimpl
from netdef.sources.batches import Batches
from netdef.sources.databases import Datums
from netdef.sources.image import COLOUR
from netdef.sources.prefetch import workers
from netdef.sources.transform import declared
from netdef_plugins.stream import SKIP_BAD, Stream, batch_size, source, transformer

MAKE = "make it with netdef data images LIST OUT, or MNIST's with netdef data mnist SOURCE OUT"


class Data(Stream):
    """Datums of an LMDB or LevelDB, transformed: images (batch, channels, height, width), and labels if there is a
    second top.

    Records come in the order of their keys, epoch after epoch, a batch holding the end of one and the beginning of the
    next; `rand_skip` passes over up to so many at the very beginning. Images of different sizes need a crop_size.

    A label that is a vector, or several, has no place in a Datum. Write them as records of their own with float_data,
    under the same keys, into a second database, and read it with a second Data layer that has one top and the same
    batch_size; both read in key order, so rows match (netdef data images --label-count makes the two). Do not shuffle
    these: each layer draws an order of its own.

    Beyond Caffe's settings transform_param has random_flip_vertical, random_rotation, random_brightness,
    random_contrast, random_saturation and random_noise, for training alone.
    """

    type = "Data"
    tops = (1, 2)
    options = "data_param"
    also = ("transform_param",)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        param = self.param
        batch = batch_size(self)
        transform = transformer(self)
        path = source(self, param.source, MAKE)
        backend = param.DESCRIPTOR.fields_by_name["backend"].enum_type.values_by_number[param.backend].name
        records = self.context.provided("sources", backend)(path)
        datums = Datums(records, COLOUR if param.force_encoded_color else transform.channels)
        self.batches = Batches(
            datums, transform, batch, self.keys, self.dtype, param.shuffle, param.rand_skip, param.skip_bad
        )
        self.size = self.batches.size
        self.shapes = self.batches.shapes()
        self.stream(self.batches.read, workers() if datums.encoded else 1)

    def infer(self, *shapes: Shape) -> list[Shape]:
        return self.shapes

    def declared_shapes(self) -> list[Shape] | None:
        image = declared(self.layer_param.transform_param)
        return None if image is None else [(self.param.batch_size, *image), (self.param.batch_size,)]


@hookimpl
def netdef_options() -> list[Block]:
    shuffle = Field(
        "shuffle", "bool", default=False, doc="Whether records come in random order, anew in each epoch; slow on disks."
    )
    return [Block("data_param", [shuffle, SKIP_BAD])]


@hookimpl
def netdef_layers() -> list[type]:
    return [Data]
