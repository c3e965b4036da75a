"""Two layers that forks call Upsample: SegNet's unpooling by a mask, and YOLO's repeated pixels."""

import numpy as np

from netdef.errors import ExportError
from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape

UNPOOL = Block(
    "upsample_param",
    [
        Field("scale", "uint32", default=2, doc="How many times larger the top is, in both directions."),
        Field("scale_h", "uint32", doc="The same for the height alone."),
        Field("scale_w", "uint32", doc="The same for the width alone."),
        Field("pad_out_h", "bool", default=False, doc="Whether the top has a row less."),
        Field("pad_out_w", "bool", default=False, doc="Whether the top has a column less."),
        Field("upsample_h", "uint32", doc="The top's height, instead of a scale."),
        Field("upsample_w", "uint32", doc="The top's width, instead of a scale."),
    ],
)
REPEAT = Block("upsample_param", [Field("scale", "int32", default=1, doc="How often each row and column is repeated.")])


class Unpool(ParameterFree):
    """y = 0 but y[mask[i]] = x[i], in each plane: MAX pooling undone by the mask that is its second top.

    The top's size is upsample_h and upsample_w, else the bottom's times the scale, less one where pad_out says so.
    Where two pixels name one place the last wins, as in the forks, and both get its gradient.
    """

    type = "Upsample"
    bottoms = 2
    options = UNPOOL
    no_gradient = (1,)

    def scale(self, axis: str) -> int:
        p = self.param
        return getattr(p, f"scale_{axis}") if p.HasField(f"scale_{axis}") else p.scale

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, mask = shapes
        if len(x) != 4 or mask != x:
            raise LayerError(f"bottoms have shapes {x} and {mask}; want equal ones, (number, channels, height, width)")
        return [self.sizes(x)]

    def sizes(self, x: Shape) -> Shape:
        """The top's shape, by arithmetic alone."""
        p, sizes = self.param, []
        for axis, size in zip("hw", x[2:], strict=True):
            whole = size * self.scale(axis) - int(getattr(p, f"pad_out_{axis}"))
            sizes.append(getattr(p, f"upsample_{axis}") if p.HasField(f"upsample_{axis}") else whole)
        return (*x[:2], *sizes)

    def places(self, mask: Blob, plane: int) -> np.ndarray:
        """The mask as (planes, pixels) of indices. Raises LayerError for one outside the plane."""
        where = mask.data.reshape(mask.shape[0] * mask.shape[1], -1).astype(np.int64)
        if where.size and not (where.min() >= 0 and where.max() < plane):
            worst = where.max() if where.max() >= plane else where.min()
            raise LayerError(f"the mask names pixel {worst} of a plane of {plane}; do upsample_h and upsample_w fit?")
        return where

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        y = top[0].data.reshape(bottom[0].shape[0] * bottom[0].shape[1], -1)
        where = self.places(bottom[1], y.shape[1])
        y[...] = 0
        y[np.arange(len(y))[:, None], where] = bottom[0].data.reshape(where.shape)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            dy = top[0].diff.reshape(bottom[0].shape[0] * bottom[0].shape[1], -1)
            where = self.places(bottom[1], dy.shape[1])
            bottom[0].diff[...] = np.take_along_axis(dy, where, axis=1).reshape(bottom[0].shape)

    def to_onnx(self, graph, inputs):
        for axis, name in ((2, "upsample_h"), (3, "upsample_w")):
            if axis in graph.open_axes(inputs[0]) and self.param.HasField(name):
                fixed = f"{name} {getattr(self.param, name)} is the top's size for one image"
                raise ExportError(f"{fixed}, which shall stay open; give scale in its place, or export it at one size")
        n, c, height, width = self.sizes(graph.sizes(inputs[0]))
        x, mask = (graph.op("Reshape", [i, graph.joined([0, 0, -1])]) for i in inputs)
        zeros = graph.op("Expand", [graph.const(np.float32(0)), graph.joined([n, c, height * width])])
        y = graph.op("ScatterElements", [zeros, graph.op("Cast", [mask], to=7), x], axis=2)
        return [graph.op("Reshape", [y, graph.joined([n, c, height, width])])]


class NearestUpsample(ParameterFree):
    """y[i, j] = x[i / scale, j / scale]: each pixel repeated scale times in both directions."""

    type = "Upsample"
    options = REPEAT
    reads = ()

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4 or self.param.scale < 1:
            raise LayerError(
                f"shape {shapes[0]} with scale {self.param.scale}; want four axes and a scale of 1 or more"
            )
        return [(*shapes[0][:2], *(size * self.param.scale for size in shapes[0][2:]))]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, c, h, w = bottom[0].shape
        s = self.param.scale
        top[0].data.reshape(n, c, h, s, w, s)[...] = bottom[0].data[:, :, :, None, :, None]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        n, c, h, w = bottom[0].shape
        s = self.param.scale
        np.sum(top[0].diff.reshape(n, c, h, s, w, s), axis=(3, 5), out=bottom[0].diff)

    def to_onnx(self, graph, inputs):
        scales = graph.const(np.array([1, 1, self.param.scale, self.param.scale], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return [graph.op("Resize", [inputs[0], None, scales], **how)]
