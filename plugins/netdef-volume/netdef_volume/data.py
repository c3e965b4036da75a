"""Parts of volumes out of HDF5 files: the same part of the data and of its labels."""

from typing import Any

import numpy as np
from netdef_plugins.hdf5 import HDF5Data

from netdef.layer import TRAIN, Blob, Block, Field, LayerError, Shape

SIZES = ("crop_size_l", "crop_size_h", "crop_size_w")
CROPS = Block(
    message="TransformationParameter",
    fields=[
        Field(name, "uint32", 0, doc="3D-Caffe's: volumes of HDF5Data are cropped to this size.") for name in SIZES
    ],
)


class CropHDF5Data(HDF5Data):
    """HDF5Data whose volumes (..., length, height, width) are cut: a part drawn in TRAIN, the middle in TEST.

    All tops are cut alike, along their last three axes. Which part depends on the seed, the layer, the pass and the
    record alone. Otherwise as HDF5Data: the datasets named like the tops, batch_size records at a time.
    """

    also = ("transform_param",)

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return any(layer_param.transform_param.HasField(name) for name in SIZES)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        transform = self.layer_param.transform_param
        others = [field.name for field, _ in transform.ListFields() if field.name not in SIZES]
        self.crop = tuple(getattr(transform, name) for name in SIZES)
        if others or not all(self.crop):
            raise LayerError(
                f"transform_param has {', '.join(others) or self.crop}; want {', '.join(SIZES)} and no more"
            )
        self.open()

    def infer(self, *shapes: Shape) -> list[Shape]:
        records = self.reader.records
        volume = records[0][-3:]
        if len(volume) < 3 or any(record[-3:] != volume for record in records):
            raise LayerError(f"records of shapes {records}; want volumes of one size")
        if any(c > size for c, size in zip(self.crop, volume, strict=True)):
            raise LayerError(f"a crop of {self.crop} is larger than volumes of {volume}")
        return [(self.param.batch_size, *record[:-3], *self.crop) for record in records]

    def declared_shapes(self) -> list[Shape] | None:
        """One channel for each top, as far as the prototxt tells."""
        sizes = [getattr(self.layer_param.transform_param, name) for name in SIZES]
        return [(self.param.batch_size, 1, *sizes) for _ in self.layer_param.top] if all(sizes) else None

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        arrays = self.reader.read(self.passes)
        rng, volume = self.rng(), arrays[0].shape[-3:]
        for k in range(self.param.batch_size):
            part = self.part(volume, rng)
            for blob, array in zip(top, arrays, strict=True):
                blob.data[k] = array[(k, ..., *part)]

    def part(self, volume: Shape, rng: np.random.Generator) -> tuple[slice, ...]:
        """Where a record is cut."""
        room = [size - c for size, c in zip(volume, self.crop, strict=True)]
        starts = [int(rng.integers(r + 1)) if self.phase == TRAIN else r // 2 for r in room]
        return tuple(slice(start, start + c) for start, c in zip(starts, self.crop, strict=True))
