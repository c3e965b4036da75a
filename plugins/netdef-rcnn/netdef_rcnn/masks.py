"""Masks of regions, from Multi-task Network Cascades: multiplied with features, brought to another size."""

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_rcnn.bilinear import computed, resample, weights
from netdef_rcnn.regions import pooled

Array = np.ndarray
MARGIN = 0.5


class MaskPooling(ParameterFree):
    """y[n, c] = x[n, c] * mask[n, 0]: features of a region where its mask is, nothing elsewhere."""

    type = "MaskPooling"
    bottoms = 2

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, mask = shapes
        if len(x) != 4 or mask != (x[0], 1, *x[2:]):
            want = f"; want {(x[0], 1, *x[2:])}" if len(x) == 4 else ""
            raise LayerError(f"masks of shape {mask} for features of shape {x}{want}")
        return [x]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        np.multiply(bottom[0].data, bottom[1].data, out=top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        x, mask = bottom
        if propagate_down[0]:
            np.multiply(top[0].diff, mask.data, out=x.diff)
        if propagate_down[1]:
            np.einsum("nchw,nchw->nhw", top[0].diff, x.data, out=mask.diff[:, 0])

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", inputs)]


class MaskResize(ParameterFree):
    """y[h, w] = x interpolated at (h * H / output_height, w * W / output_width); 0 more than half a pixel outside.

    The fork's gradient leaves out what reaches a pixel from further than its two neighbours on each axis, so for masks
    that become more than twice as large; here nothing is left out.
    """

    type = "MaskResize"
    reads = ()
    options = Block(
        "mask_resize_param",
        [
            Field("output_height", "uint32", doc="Height of the top; it must be given."),
            Field("output_width", "uint32", doc="Width of the top; it must be given."),
        ],
        message="MaskResizeParameter",
    )

    def setup(self, bottom_shapes: list[Shape]) -> None:
        self.sizes = pooled(self.param, "output_height", "output_width")

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise LayerError(f"masks of shape {shapes[0]}; want N x channels x height x width")
        return [(*shapes[0][:2], *self.sizes)]

    def _matrices(self, x: Shape) -> list[Array]:
        places = zip(x[2:], self.sizes, strict=True)
        return [weights(np.arange(n, dtype=self.dtype) * self.dtype.type(m / n), m, MARGIN) for m, n in places]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data[...] = resample(bottom[0].data, *self._matrices(bottom[0].shape))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        rows, columns = self._matrices(bottom[0].shape)
        bottom[0].diff[...] = resample(top[0].diff, rows.T, columns.T)

    def to_onnx(self, graph, inputs):
        free = graph.open_axes(inputs[0])
        rows, columns = (
            computed(graph, graph.sizes(inputs[0])[axis], n, MARGIN) if axis in free else graph.const(found)
            for axis, n, found in zip((2, 3), self.sizes, self._matrices(graph.shape(inputs[0])), strict=True)
        )
        columns = graph.op("Transpose", [columns], perm=[1, 0])
        return [graph.op("MatMul", [graph.op("MatMul", [rows, inputs[0]]), columns])]
