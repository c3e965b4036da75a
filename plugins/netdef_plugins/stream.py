"""What layers that read files have in common: batches made ahead, and errors about what is not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import AbsentError
from netdef.layer import Blob, Field, LayerError, Source
from netdef.sources.draws import Keys
from netdef.sources.prefetch import Prefetch
from netdef.sources.transform import Transform, write

SKIP_BAD = Field(
    "skip_bad", "bool", default=False, doc="Whether what cannot be read is reported, and the next taken in its place."
)


class Stream(Source):
    """Tops filled from arrays that threads make `data_param.prefetch` passes ahead, as Caffe reads it for every source.

    A pass's arrays depend on the seed, the layer's name and the pass alone.
    """

    size = 0
    """Records in an epoch."""

    def stream(self, make: Callable[[int, Any], list[Any]], threads: int = 1) -> None:
        """Begin with make(p, old), see netdef.sources.prefetch; it must not hold the layer."""
        self._ahead = Prefetch(make, self.layer_param.data_param.prefetch, threads)

    @property
    def keys(self) -> Keys:
        """The layer's random keys, made once; `forward` keeps their seed up to date."""
        if not hasattr(self, "_keys"):
            self._keys = Keys(self.name, self.context.seed)
        return self._keys

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keys.seed = self.context.seed
        for blob, array in zip(top, self._ahead.take(self.passes, self.context.seed), strict=False):
            if blob.shape != array.shape:
                blob.reshape(*array.shape)
            blob.data[...] = array


def source(layer: Source, name: str, hint: str) -> Path:
    """Where a layer's file is. Raises LayerError without a name, AbsentError with the hint where nothing is."""
    if not name:
        raise LayerError(f"has no source; want {layer.options} {{ source: PATH }}")
    try:
        return layer.context.find(name)
    except AbsentError as e:
        raise AbsentError(f"{e}; {hint}") from None


def transformer(layer: Source) -> Transform:
    """What transform_param asks for. Raises SourceError for settings that contradict one another."""

    return Transform(layer.layer_param.transform_param, layer.phase, layer.context.find, _write)


def _write(x: np.ndarray, y: np.ndarray, *change: Any) -> None:
    from netdef_plugins.kernels import pixels

    (pixels.write if pixels.takes(x, y) else write)(x, y, *change)


def batch_size(layer: Source) -> int:
    """Raises LayerError for 0."""
    if layer.param.batch_size < 1:
        raise LayerError(f"batch_size is {layer.param.batch_size}; want 1 or more")
    return int(layer.param.batch_size)
