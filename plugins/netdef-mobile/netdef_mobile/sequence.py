"""ContinuationIndicator: where sequences begin, for the recurrent layers of a net that reads text from images."""

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape


class ContinuationIndicator(ParameterFree):
    """y (time_step, sequences) is 0 in the first row and 1 below: every sequence of a batch begins at time 0.

    Of the bottom only the size along `axis` is read, the number of sequences; its gradient is 0. Without a bottom, as
    in the nets of crnn.caffe, batch_size is that number.
    """

    type = "ContinuationIndicator"
    bottoms = (0, 1)
    reads = ()
    options = Block(
        "continuation_indicator_param",
        [
            Field("time_step", "uint32", 0, doc="Length of the sequences; it must be given."),
            Field("axis", "int32", 0, doc="The bottom's axis that counts the sequences."),
            Field("batch_size", "uint32", 0, doc="The number of sequences, without a bottom."),
        ],
        message="ContinuationIndicatorParameter",
    )

    def infer(self, *shapes: Shape) -> list[Shape]:
        p = self.param
        if p.time_step < 1:
            raise LayerError(f"time_step is {p.time_step}; want the length of the sequences, 1 or more")
        return [(p.time_step, self._sequences(*shapes))]

    def _sequences(self, shape: Shape | None = None) -> int:
        p = self.param
        if shape is None:
            if p.batch_size < 1:
                raise LayerError(f"batch_size is {p.batch_size}; want the number of sequences, or a bottom that has it")
            return int(p.batch_size)
        if not -len(shape) <= p.axis < len(shape):
            raise LayerError(f"axis is {p.axis}, the bottom has shape {shape}; want one of its {len(shape)} axes")
        return shape[p.axis]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data[...] = 1
        top[0].data[:1] = 0

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].diff[...] = 0

    def to_onnx(self, graph, inputs):
        steps, sequences = self.infer(*map(graph.sizes, inputs))[0]
        y = np.ones((steps, 1), np.float32)
        y[:1] = 0
        return [graph.op("Expand", [graph.const(y), graph.joined([steps, sequences])])]
