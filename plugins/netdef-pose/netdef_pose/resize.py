"""ImResize: maps of one image at several scales, enlarged and averaged."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, ParameterFree, Shape
from netdef_pose import resize_onnx
from netdef_pose.spline import enlarging

Array = np.ndarray


class ImResize(ParameterFree):
    """y = mean over n of A_n x_n B_n^T for each channel: the batch is one image at several scales, the top has one.

    Image n was laid into the middle of the net's input at the scale start_scale - n scale_gap, so the map's middle
    counts: of `size` pixels all but floor(size // 2 * (1 - start_scale + n scale_gap)) at either end. It is enlarged
    by `factor`, or to target_spatial_height and target_spatial_width where factor is 0, by a cubic spline.

    Other than caffe_rtpose, which has no gradient and runs on the GPU only, there is one, and it runs here.
    """

    type = "ImResize"
    reads = ()
    options = Block(
        "imresize_param",
        [
            Field("target_spatial_width", "uint32", 368, doc="The top's width where factor is 0."),
            Field("target_spatial_height", "uint32", 368, doc="The top's height where factor is 0."),
            Field("factor", "float", 0.0, doc="By what the map is enlarged; 0 where the size is given."),
            Field("start_scale", "float", 1.0, doc="The first image's scale."),
            Field("scale_gap", "float", 0.1, doc="How much smaller each image is than the one before it."),
        ],
        message="ImResizeParameter",
        doc="Maps of several scales to one.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.factor < 0 or (not p.factor and not (p.target_spatial_width and p.target_spatial_height)):
            raise LayerError(f"factor is {p.factor:g}; want more than 0, or 0 with a target width and height")

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want (scales, channels, height, width)")
        scales, channels, *sizes = shapes[0]
        p = self.param
        out = [int(s * p.factor) for s in sizes] if p.factor else [p.target_spatial_height, p.target_spatial_width]
        if min(out) < 1:
            raise LayerError(f"factor {p.factor:g} leaves nothing of a map of {sizes[0]} x {sizes[1]}")
        for n, size in ((n, size) for n in range(scales) for size in sizes):
            pad = self.pad(n, size)
            if pad < 0 or 2 * pad >= size:
                scale = p.start_scale - n * p.scale_gap
                raise LayerError(
                    f"map {n} is of scale {scale:g}, which is nothing of {size} pixels; want 0 < scale <= 1"
                )
        return [(1, channels, *out)]

    def pad(self, n: int, size: int) -> int:
        """Pixels of map n to leave out at either end; in float32, as Caffe counts."""
        p = self.param
        cut = np.float32(1) - np.float32(p.start_scale) + np.float32(n) * np.float32(p.scale_gap)
        return int(np.floor(np.float32(size // 2) * cut))

    def matrices(self, bottom: Shape, top: Shape, dtype: Any) -> Iterator[tuple[Array, Array]]:
        """A_n and B_n of each scale, over their number."""
        for n in range(bottom[0]):
            rows, columns = (enlarging(bottom[k], self.pad(n, bottom[k]), top[k]).astype(dtype) for k in (2, 3))
            yield rows / dtype.type(bottom[0]), columns

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        y.fill(0)
        for image, (a, b) in zip(x, self.matrices(x.shape, y.shape, x.dtype), strict=True):
            y[0] += a @ image @ b.T

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dx, dy = bottom[0].diff, top[0].diff
        for image, (a, b) in zip(dx, self.matrices(dx.shape, dy.shape, dx.dtype), strict=True):
            image[...] = a.T @ dy[0] @ b

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        return [resize_onnx.build(self, graph, inputs[0])]
