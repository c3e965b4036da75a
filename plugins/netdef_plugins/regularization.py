"""Regularization: what makes training harder so that the net learns better."""

import numpy as np

from netdef.errors import ExportError
from netdef.layer import TRAIN, Blob, Block, Field, LayerError, ParameterFree, hookimpl

SCALE_TRAIN = Field(
    "scale_train",
    "bool",
    True,
    doc="false: no factor in training, and 1 - dropout_ratio in TEST instead (Faster R-CNN's fork of Caffe)",
)


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
        self.ratio, self.mask_key = (ratio if self.phase == TRAIN else 0.0), 0
        self.factor = 1.0 if self.param.scale_train else 1 - ratio

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.mask_key = self.key()
        self._apply(bottom[0].data, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self._apply(top[0].diff, bottom[0].diff)

    def _apply(self, x: np.ndarray, y: np.ndarray) -> None:
        if self.ratio:
            from .kernels import dropout

            dropout.apply(x, y, self.ratio, self.mask_key)
            x = y
        if self.factor != 1:
            np.multiply(x, self.factor, out=y)
        elif y is not x:
            np.copyto(y, x)

    def to_onnx(self, graph, inputs):
        if self.ratio:
            raise ExportError("Dropout of phase TRAIN is random; a model is made of phase TEST")
        return inputs if self.factor == 1 else [graph.op("Mul", [*inputs, graph.const(np.float32(self.factor))])]


@hookimpl
def netdef_layers() -> list[type]:
    return [Dropout]
