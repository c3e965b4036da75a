"""From scores to sequences: of each step the best label, repetitions once, blanks not at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, Metric, ParameterFree, Shape
from netdef_ctc import decode_onnx

Array = np.ndarray


def read(best: Array, blank: int, merge: bool = True) -> Array:
    """The labels of a path."""
    new = np.ones(len(best), bool)
    if merge:
        new[1:] = best[1:] != best[:-1]
    return best[new & (best != blank)]


class CTCGreedyDecoder(ParameterFree):
    """Labels (N, T, 1, 1) of the best path through scores (T, N, C), and -1 after the last; C - 1 is the blank.

    The second bottom (T, N) is 1 while a sequence goes on: from its first 0 after step 0 on nothing is read. As
    OpenVINO's Caffe has it.
    """

    type = "CTCGreedyDecoder"
    bottoms = 2
    no_gradient = "all"
    reads = ()
    options = Block(
        "ctc_decoder_param",
        [Field("ctc_merge_repeated", "bool", True, doc="Whether a label that is repeated without a blank is one.")],
        message="CTCDecoderParameter",
        doc="The best path.",
    )

    def infer(self, *shapes: Shape) -> list[Shape]:
        scores, going = shapes
        if len(scores) < 3 or int(np.prod(going)) != scores[0] * scores[1]:
            raise LayerError(f"scores of shape {scores} and marks of shape {going}; want (T, N, C) and (T, N)")
        return [(scores[1], scores[0], 1, 1)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        steps, n = x.shape[:2]
        scores = x.reshape(steps, n, -1)
        going = bottom[1].data.reshape(steps, n) != 0
        going[0] = True
        y.fill(-1)
        for i in range(n):
            length = int(np.argmin(going[:, i])) or steps
            labels = read(scores[:length, i].argmax(axis=1), scores.shape[2] - 1, self.param.ctc_merge_repeated)
            y[i, : len(labels), 0, 0] = labels

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if any(propagate_down):
            raise LayerError("has no gradient; it is for testing")

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        blank = int(np.prod(graph.shape(inputs[0])[2:])) - 1
        return [decode_onnx.build(graph, *inputs, blank, self.param.ctc_merge_repeated)]


class LabelsequenceAccuracy(Metric):
    """The part of the sequences that are read without a mistake.

    Bottoms: scores (N, T, C), of which the best path is read, and labels (N, L), blanks left out.
    """

    type = "LabelsequenceAccuracy"
    bottoms = 2
    options = Block(
        "labelsequence_accuracy_param",
        [Field("blank_label", "int32", 0, doc="The label that is none.")],
        message="LabelsequenceAccuracyParameter",
        doc="Whole sequences, right or wrong.",
    )

    def infer(self, *shapes: Shape) -> list[Shape]:
        scores, labels = shapes
        if len(scores) < 3 or labels[:1] != scores[:1]:
            raise LayerError(f"scores of shape {scores} and labels of shape {labels}; want (N, T, C) and (N, L)")
        return [()]

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        classes = int(np.prod(bottom_shapes[0][2:]))
        if not 0 <= self.param.blank_label < classes:
            raise LayerError(f"blank_label is {self.param.blank_label}; want 0 to {classes - 1}")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, blank = bottom[0].shape[0], self.param.blank_label
        paths = bottom[0].data.reshape(*bottom[0].shape[:2], -1).argmax(axis=2)
        labels = bottom[1].data.reshape(n, -1)
        right = [np.array_equal(read(path, blank), row[row != blank]) for path, row in zip(paths, labels, strict=True)]
        top[0].data[...] = np.mean(right)
