"""AnnotatedData: images and their objects from a database, ready for MultiBoxLoss."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netdef.errors import AbsentError, NetdefError, SourceError
from netdef.layer import Blob, Block, Enum, Field, LayerError, Shape, Source
from netdef.sources import image
from netdef.sources.draws import Keys
from netdef.sources.order import Order
from netdef.sources.prefetch import Prefetch, workers
from netdef_ssd import records
from netdef_ssd.dice import Dice
from netdef_ssd.prepare import Prepare
from netdef_ssd.sampling import BATCH_SAMPLER

Array = np.ndarray
SKIP = 1 << 62
"""Stands for a pass that never comes: rand_skip is drawn once."""


class AnnotatedData(Source):
    """AnnotatedDatum records: images (batch, channels, height, width), and objects (1, 1, G, 8) of the whole batch.

    Rows are (image of the batch, label, instance, xmin, ymin, xmax, ymax, difficult), the corners in parts of the
    image; a batch without objects has one row of -1. Records without a type have a label each instead, shape (batch,).
    source, backend, batch_size, rand_skip, shuffle and prefetch are data_param's.
    """

    type = "AnnotatedData"
    tops = (1, 2)
    also = ("data_param", "transform_param")
    options = Block(
        "annotated_data_param",
        [
            Field("batch_sampler", BATCH_SAMPLER, repeated=True, doc="Which parts of an image are taken in its place."),
            Field("label_map_file", "string", doc="Parsed only: names of labels, which no layer needs."),
            Field("anno_type", Enum("AnnotationType", ("BBOX",)), doc="Which type a record has, whatever it says."),
        ],
        message="AnnotatedDataParameter",
        doc="Random parts of images that hold objects.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p, transform = self.layer_param.data_param, self.layer_param.transform_param
        if p.batch_size < 1:
            raise LayerError(f"batch_size is {p.batch_size}; want 1 or more")
        if p.skip_bad:
            raise LayerError("skip_bad is not supported by AnnotatedData; leave it out")
        if not p.source:
            raise LayerError("has no source; want data_param { source: PATH }")
        backend = p.DESCRIPTOR.fields_by_name["backend"].enum_type.values_by_number[p.backend].name
        found = self.context.provided("sources", backend)(self._path(p.source))  # type: ignore[misc]
        prepare = Prepare(transform, self.param.batch_sampler, self.phase, self.context.find)
        self.keys = Keys(self.name, self.context.seed)
        kind = self.param.anno_type if self.param.HasField("anno_type") else None
        self.batches = Batches(found, prepare, p.batch_size, self.keys, kind, p.shuffle, p.rand_skip, self.dtype)
        self.size = len(found)
        """Records in an epoch."""
        self.shapes = self.batches.shapes()
        self.ahead = Prefetch(self.batches.read, p.prefetch, workers())

    def _path(self, source: str) -> Any:
        try:
            return self.context.find(source)
        except AbsentError as e:
            raise AbsentError(f"{e}; want a database of AnnotatedDatum records") from None

    def infer(self, *shapes: Shape) -> list[Shape]:
        return self.shapes

    def declared_shapes(self) -> list[Shape] | None:
        p = self.layer_param.transform_param
        size = (p.crop_size or p.crop_h or p.resize_param.height, p.crop_size or p.crop_w or p.resize_param.width)
        if not all(size):
            return None
        return [(self.layer_param.data_param.batch_size, 1 if p.force_gray else 3, *size), (1, 1, 1, 8)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keys.seed = self.context.seed
        for blob, array in zip(top, self.ahead.take(self.passes, self.context.seed), strict=False):
            blob.reshape(*array.shape)
            blob.data[...] = array


class Batches:
    """`read(p)`: the arrays of pass p, whatever was read before."""

    def __init__(
        self,
        found: Any,
        prepare: Prepare,
        batch: int,
        key: Callable[[int], int],
        kind: int | None,
        shuffle: bool,
        rand_skip: int,
        dtype: Any,
    ):
        self.records, self.prepare, self.batch, self.key, self.dtype = found, prepare, batch, key, np.dtype(dtype)
        self.order = Order([len(found)], batch, key if shuffle else None)
        self.skip = key(SKIP) % rand_skip if rand_skip else 0
        self.boxes = kind is not None or self._record(*self._rows(0)[:1]).type is not None
        """Whether records have objects, or only a label for the image."""

    def shapes(self) -> list[Shape]:
        """The shapes of pass 0 from its first record; the number of objects as if there were none."""
        x = self._decoded(self._record(*self._rows(0)[:1]))
        data = (self.batch, len(x), *self.prepare.size(*x.shape[1:]))
        return [data, (1, 1, 1, 8) if self.boxes else (self.batch,)]

    def read(self, p: int, old: list[Array] | None = None) -> list[Array]:
        """Images and objects, or labels, of pass p. Raises SourceError naming the record."""
        rows, key = self._rows(p), self.key(p)
        images, objects, labels = [], [], []
        for i, row in enumerate(rows):
            x, found, label = self._one(int(row), Dice(key, i))
            images.append(x)
            objects.append(np.concatenate([np.full((len(found), 1), i), found], axis=1))
            labels.append(label)
            if x.shape != images[0].shape:
                want = "want one size: set resize_param, or batch_size: 1"
                raise SourceError(
                    f"{self._name(int(row))} gives {x.shape}, the first of its batch {images[0].shape}; {want}"
                )
        if not self.boxes:
            return [np.stack(images).astype(self.dtype), np.array(labels, self.dtype)]
        whole = np.concatenate(objects)
        whole = whole if len(whole) else np.full((1, 8), -1.0)
        return [np.stack(images).astype(self.dtype), whole[None, None].astype(self.dtype)]

    def _one(self, row: int, dice: Dice) -> tuple[Array, Array, int]:
        record = self._record(row)
        try:
            return *self.prepare(self._decoded(record), record.objects, dice), record.image.label
        except NetdefError as e:
            raise SourceError(f"{self._name(row)}: {e}") from None

    def _record(self, row: int) -> records.Annotated:
        try:
            found = records.read(self.records.read([row])[0][1])
        except NetdefError as e:
            raise SourceError(f"{self._name(row)}: {e}") from None
        if found.type not in (None, 0):
            raise SourceError(f"{self._name(row)}: annotation type {found.type}; want 0, boxes")
        return found

    def _decoded(self, record: records.Annotated) -> Array:
        return image.decode(record.image.x, self.prepare.channels) if record.image.encoded else record.image.x

    def _rows(self, p: int) -> Array:
        return np.concatenate([rows for _, rows in self.order.runs(p, self.skip)])

    def _name(self, row: int) -> str:
        key = bytes(self.records.read([row])[0][0]).decode(errors="replace")
        return f"{self.records.path}: record {row} ('{key}')"
