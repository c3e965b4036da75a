"""Regularization: what makes training harder so that the net learns better."""

import numpy as np

from netdef.errors import ExportError
from netdef.layer import TRAIN, Blob, Block, Field, LayerError, ParameterFree, hookimpl

from .elementwise import PIECE, pieces

SCALE_TRAIN = Field(
    "scale_train",
    "bool",
    True,
    doc="false: no factor in training, and 1 - dropout_ratio in TEST instead (Faster R-CNN's fork of Caffe)",
)
M1, M2 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)


class Dropout(ParameterFree):
    """x * m / (1 - dropout_ratio), m = 0 with probability dropout_ratio, else 1; outside training, x.

    Whether an element is dropped is a function of the seed, the layer's name, the pass and the element's index alone:
    no mask is stored, backward makes it again.
    """

    type = "Dropout"
    options = Block("dropout_param", (SCALE_TRAIN,))
    in_place = True
    reads = ()

    def setup(self, bottom_shapes):
        ratio = self.param.dropout_ratio
        if not 0 <= ratio < 1:
            raise LayerError(f"dropout_ratio {ratio:g}: want 0 or more, and less than 1")
        training, scaled = self.phase == TRAIN, self.param.scale_train
        self.scale = (1 / (1 - ratio) if scaled else 1.0) if training else (1.0 if scaled else 1 - ratio)
        self.ratio, self.mask_key = (ratio if training else 0.0), 0

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.mask_key = self.key()
        self._apply(bottom[0].data, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self._apply(top[0].diff, bottom[0].diff)

    def _apply(self, x: np.ndarray, y: np.ndarray) -> None:
        if self.ratio == 0 and self.scale == 1:
            if y is not x:
                np.copyto(y, x)
            return
        scale = x.dtype.type(self.scale)
        for i, (xi, yi) in enumerate(pieces(x, y)):
            factor = keep(self.mask_key, i * PIECE, xi.size, self.ratio) * scale if self.ratio else scale
            np.multiply(xi, factor, out=yi)

    def to_onnx(self, graph, inputs):
        if self.ratio:
            raise ExportError("Dropout of phase TRAIN is random; a model is made of phase TEST")
        return inputs if self.scale == 1 else [graph.op("Mul", [*inputs, graph.const(np.float32(self.scale))])]


def keep(key: int, start: int, count: int, ratio: float) -> np.ndarray:
    """Booleans for the elements start, start + 1, ...: False with probability `ratio`, by a hash of (key, index).

    The hash is two rounds of a 32-bit finalizer with low bias (Wellons 2018), keyed by either half of the key.
    """
    h = np.arange(start, start + count, dtype=np.uint64).astype(np.uint32)
    h += np.uint32(key & 0xFFFFFFFF)
    finalize(h)
    h ^= np.uint32(key >> 32)
    finalize(h)
    return h >= np.uint32(min(round(ratio * 2**32), 2**32 - 1))


def finalize(h: np.ndarray) -> None:
    """Mix the bits of each uint32, in place."""
    for shift, factor in ((16, M1), (15, M2)):
        h ^= h >> shift
        h *= factor
    h ^= h >> 16


@hookimpl
def netdef_layers() -> list[type]:
    return [Dropout]
