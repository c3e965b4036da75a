"""Data from HDF5 files, and blobs into them."""

from pathlib import Path

from netdef.layer import Blob, Block, LayerError, Metric, Shape, hookimpl
from netdef.sources import hdf5, hdf5_output
from netdef_plugins.stream import SKIP_BAD, Stream, batch_size, source


class HDF5Data(Stream):
    """The datasets named like the tops, from the HDF5 files that a text file lists, batch_size records at a time.

    The order of records is one endless row: a batch may span files and epochs. `shuffle` permutes files, and records
    within each file, anew in every epoch; both orders depend on the seed and the pass alone. Integers are converted.
    Several targets are several tops, of any shape. `data_param { prefetch: N }` batches are read ahead, 4 by default.
    With `skip_bad`, rows of the next file come in place of those that cannot be read.
    """

    type = "HDF5Data"
    tops = (1, None)
    options = "hdf5_data_param"

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if self.layer_param.HasField("transform_param"):
            raise LayerError("HDF5Data does not transform data; remove transform_param and store the data as wanted")
        self.open()
        self.stream(self.reader.read)

    def open(self) -> None:
        """Find the files and look at their first records. Raises LayerError, AbsentError, SourceError."""
        path = source(self, self.param.source, "want a text file that lists HDF5 files, one a line")
        key = self.keys if self.param.shuffle else None
        names = list(self.layer_param.top)
        skip = self.param.skip_bad
        self.reader = hdf5.Reader(hdf5.listed(path, skip), names, batch_size(self), self.dtype, key, skip)
        self.size = self.reader.size

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [(self.param.batch_size, *record) for record in self.reader.records]


class HDF5Output(Metric):
    """Writes bottom 0 as dataset "data" and bottom 1 as "label" of hdf5_output_param.file_name, at least 4-D.

    Each pass adds its records to the end (Caffe ends with an error at the second); the first pass makes the file anew.
    Where the disk is full, the file keeps the records of the passes before.
    """

    type = "HDF5Output"
    bottoms = 2
    tops = 0
    options = "hdf5_output_param"

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if not self.param.file_name:
            raise LayerError("has no file_name; want hdf5_output_param { file_name: FILE }")

    def infer(self, *shapes: Shape) -> list[Shape]:
        if shapes[0][:1] != shapes[1][:1] or not shapes[0]:
            raise LayerError(f"data {shapes[0]} and label {shapes[1]} differ in their first axis; want the same number")
        return []

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        path = Path(self.param.file_name)
        if not self.passes or not path.exists():
            hdf5_output.create(path)
        arrays = (blob.data.reshape(blob.shape + (1,) * (4 - len(blob.shape))) for blob in bottom)
        hdf5_output.append(path, dict(zip(("data", "label"), arrays, strict=True)))


@hookimpl
def netdef_options() -> list[Block]:
    return [Block("hdf5_data_param", [SKIP_BAD])]


@hookimpl
def netdef_layers() -> list[type]:
    return [HDF5Data, HDF5Output]
