"""DetectionOutput after an R-CNN's proposals, as OpenVINO's Caffe has it: priors in pixels, each with its image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Field, Layer, LayerError, Shape
from netdef_ssd.boxes import decode
from netdef_ssd.detection_output import DetectionOutput, options


class PixelDetectionOutput(DetectionOutput):
    """DetectionOutput for normalized: false, of one image: priors are rows (image, xmin, ymin, xmax, ymax) in pixels.

    The third bottom holds 5 P numbers; there is no room for variances, so variance_encoded_in_target must be true. The
    top's boxes are in parts of input_width and input_height, as they are without it.
    """

    bottoms = 3
    no_onnx = "its priors are in pixels"
    to_onnx = Layer.to_onnx
    options = options(
        Field("normalized", "bool", True, doc="OpenVINO's: false where priors are rows of an image and four pixels."),
        Field("input_width", "int32", 1, doc="OpenVINO's: the image's width in pixels."),
        Field("input_height", "int32", 1, doc="OpenVINO's: the image's height in pixels."),
    )

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        p = layer_param.detection_output_param
        return p.HasField("normalized") and not p.normalized

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        super().setup(bottom_shapes)
        if not p.variance_encoded_in_target:
            raise LayerError("normalized: false without variance_encoded_in_target: such priors have no variances")
        if min(p.input_width, p.input_height) < 1:
            raise LayerError(f"input_width and input_height are {p.input_width} and {p.input_height}; want at least 1")

    def infer(self, *shapes: Shape) -> list[Shape]:
        loc, conf, prior = shapes
        if loc[0] != 1 or np.prod(prior) % 5:
            raise LayerError(f"locations of shape {loc} and priors of shape {prior}; want one image, and (1, 5 P)")
        return super().infer(loc, conf, (1, 2, int(np.prod(prior)) // 5 * 4))

    def boxes(self, bottom: list[Blob]) -> np.ndarray:
        p, loc = self.param, bottom[0].data
        size = np.tile([p.input_width, p.input_height], 2).astype(loc.dtype)
        corners = bottom[2].data.reshape(-1, 5)[:, 1:] / size
        return decode(loc.reshape(1, len(corners), self.sets, 4).swapaxes(1, 2), corners, None, p.code_type)
