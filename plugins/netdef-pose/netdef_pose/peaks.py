"""Nms: where the maps of body parts have their peaks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_pose import peaks_onnx

Array = np.ndarray
REACH = 3
"""Pixels around a peak that its place is the mean of."""


class Nms(ParameterFree):
    """Rows (x, y, score) of the peaks of each of the first num_parts channels: (N, num_parts, max_peaks + 1, 3).

    Row 0 holds the number of peaks, then zeros; the rows follow in the order of the pixels, and what is left over is 0.
    A peak is above the threshold and above its eight neighbours, and not on the border. Its place is the mean of the 7
    x 7 pixels around it, each weighed by what it is where that is above 0; its score is the pixel's own.

    Other than caffe_rtpose: all pixels of those 7 x 7 that the map has are counted, where the fork leaves out row and
    column 0 and takes the width for the height; each image has its own maps; rows left over are 0, not what was there;
    where num_parts is left out and there are fewer channels, those count, where the fork reads behind them.
    """

    type = "Nms"
    no_gradient = "all"
    reads = ()
    options = Block(
        "nms_param",
        [
            Field("threshold", "float", 0.5, doc="What a peak is above."),
            Field("num_peak", "uint32", 100, doc="Not read, as in the fork."),
            Field("max_peaks", "uint32", 20, doc="Rows for each part; what is found beyond them is counted only."),
            Field(
                "num_parts", "uint32", 15, doc="The channels that are looked at; by default all there are, up to 15."
            ),
        ],
        message="NmsParameter",
        doc="Peaks of maps.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.max_peaks < 1 or p.num_parts < 1:
            raise LayerError(f"max_peaks is {p.max_peaks} and num_parts {p.num_parts}; want at least 1 of both")

    def infer(self, *shapes: Shape) -> list[Shape]:
        p, shape = self.param, shapes[0]
        if len(shape) != 4:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, height, width)")
        if p.HasField("num_parts") and shape[1] < p.num_parts:
            raise LayerError(
                f"num_parts is {p.num_parts}, and the bottom's shape {shape}; want a channel for each part"
            )
        return [(shape[0], min(shape[1], p.num_parts), p.max_peaks + 1, 3)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        y.fill(0)
        for n, part in np.ndindex(*y.shape[:2]):
            plane = x[n, part]
            found = np.argwhere(peaks(plane, plane.dtype.type(self.param.threshold)))
            y[n, part, 0, 0] = len(found)
            for row, place in zip(y[n, part, 1:], found, strict=False):
                row[:2] = centre(plane, *place)
                row[2] = plane[tuple(place)]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if any(propagate_down):
            raise LayerError("has no gradient; it is for testing")

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        parts, rows = self.infer(graph.shape(inputs[0]))[0][1:3]
        return [peaks_onnx.build(graph, inputs[0], parts, self.param.threshold, rows - 1, REACH)]


def peaks(plane: Array, threshold: float) -> Array:
    """Which pixels are above the threshold and all their neighbours."""
    found = np.zeros(plane.shape, bool)
    height, width = plane.shape
    if min(height, width) < 3:
        return found
    inner = plane[1:-1, 1:-1]
    around = [plane[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    found[1:-1, 1:-1] = (inner > threshold) & (inner > np.max(around, axis=0))
    return found


def centre(plane: Array, row: int, column: int) -> tuple[float, float]:
    """(x, y): the mean place of what is above 0 around a pixel; the pixel itself where nothing is."""
    top, left = max(row - REACH, 0), max(column - REACH, 0)
    weights = np.maximum(plane[top : row + REACH + 1, left : column + REACH + 1], 0)
    total = weights.sum()
    if not total > 0:
        return float(column), float(row)
    rows, columns = np.indices(weights.shape)
    return left + float((columns * weights).sum() / total), top + float((rows * weights).sum() / total)
