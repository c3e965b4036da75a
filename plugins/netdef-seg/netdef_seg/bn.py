"""Two layers that forks call BN: SegNet's with two parameters, PSPNet's with moving statistics and four."""

import numpy as np

from netdef.layer import TEST, Blob, Block, Enum, Field, Layer, LayerError, Shape

Array = np.ndarray
AXES = (0, 2, 3)
ENGINE = Field("engine", Enum("Engine", ("DEFAULT", "CAFFE", "CUDNN")), default="DEFAULT", doc="Ignored: who computes.")
SEGNET = Block(
    "bn_param",
    [
        Field("scale_filler", "FillerParameter", doc="The scale's first values; 0 without one."),
        Field("shift_filler", "FillerParameter", doc="The shift's first values; 0 without one."),
        Field(
            "bn_mode", Enum("BNMode", ("LEARN", "INFERENCE")), default="LEARN", doc="INFERENCE only scales and shifts."
        ),
    ],
)
MOVING = Block(
    "bn_param",
    [
        Field("slope_filler", "FillerParameter", doc="The slope's first values; 1 without one."),
        Field("bias_filler", "FillerParameter", doc="The bias's first values; 0 without one."),
        Field("momentum", "float", default=0.9, doc="How much of the moving statistics stays in each pass."),
        Field("eps", "float", default=1e-5, doc="Added to the variance."),
        Field("frozen", "bool", default=False, doc="Use the moving statistics in training too, and learn nothing."),
        ENGINE,
    ],
)


def row(values: Array) -> Array:
    """One number a channel, as a blob is multiplied by it."""
    return values.reshape(1, -1, 1, 1)


class Normalizing(Layer):
    """y = slope * (x - mean) / sqrt(variance + eps) + bias, for each channel; what both families share.

    blobs[0] is the slope and blobs[1] the bias. The normalized x is kept, so that the layer works in place.
    """

    in_place = True
    reads = ()

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want (number, channels, height, width)")
        if shapes[0][1] != self.blobs[0].count:
            raise LayerError(f"the bottom has {shapes[0][1]} channels, the layer was made for {self.blobs[0].count}")
        return list(shapes)

    def channels(self, bottom_shapes: list[Shape]) -> int:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise LayerError(f"the bottom's shape is {shape}; want (number, channels, height, width)")
        return shape[1]

    def normalize(self, x: Array, mean: Array, variance: Array, eps: float, y: Array) -> None:
        self.inverse = 1 / np.sqrt(row(variance) + eps)
        self.normal = (x - row(mean)) * self.inverse
        np.multiply(self.normal, self.blobs[0].data, out=y)
        y += self.blobs[1].data

    def batch(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance of the batch."""
        return x.mean(axis=AXES), x.var(axis=AXES)

    def through_batch(self, dy: Array) -> Array:
        """dx where mean and variance were the batch's own."""
        g = dy * self.blobs[0].data
        g -= g.mean(axis=AXES, keepdims=True) + self.normal * (g * self.normal).mean(axis=AXES, keepdims=True)
        return g * self.inverse

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        dy = top[0].diff
        self.blobs[0].diff[...] += (dy * self.normal).sum(axis=AXES, keepdims=True)
        self.blobs[1].diff[...] += dy.sum(axis=AXES, keepdims=True)

    def scaled(self, graph, x: str, slope: Array, bias: Array) -> list[str]:
        y = graph.op("Mul", [x, graph.const(slope.astype(np.float32))])
        return [graph.op("Add", [y, graph.const(bias.astype(np.float32))])]


class SegNetBN(Normalizing):
    """SegNet's BN: y = scale * (x - mean) / sqrt(variance + 1e-9) + shift, by the batch's own statistics in any phase.

    Two parameters, scale and shift, of shape (1, channels, 1, 1). With bn_mode: INFERENCE, for which SegNet's tools
    fold the statistics into the parameters, y = scale * x + shift.
    """

    type = "BN"
    options = SEGNET
    eps = 1e-9

    @classmethod
    def claims(cls, layer_param) -> bool:
        block = layer_param.bn_param
        told = any(block.HasField(f) for f in ("scale_filler", "shift_filler", "bn_mode"))
        return told or (not block.ListFields() and len(layer_param.param) == 2)

    @property
    def learns_statistics(self) -> bool:
        return self.param.bn_mode == 0

    def setup(self, bottom_shapes: list[Shape]) -> None:
        shape = (1, self.channels(bottom_shapes), 1, 1)
        for name in ("scale_filler", "shift_filler"):
            self.add_blob(shape, getattr(self.param, name))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        if self.learns_statistics:
            self.normalize(x, *self.batch(x), self.eps, y)
        else:
            self.normal = x.copy()
            np.multiply(x, self.blobs[0].data, out=y)
            y += self.blobs[1].data

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dy = top[0].diff
        bottom[0].diff[...] = self.through_batch(dy) if self.learns_statistics else dy * self.blobs[0].data

    def to_onnx(self, graph, inputs):
        x = inputs[0]
        if self.learns_statistics:
            axes = graph.const(np.array(AXES))
            x = graph.op("Sub", [x, graph.op("ReduceMean", [x, axes])])
            variance = graph.op("ReduceMean", [graph.op("Mul", [x, x]), axes])
            deviation = graph.op("Sqrt", [graph.op("Add", [variance, graph.const(np.float32(self.eps))])])
            x = graph.op("Div", [x, deviation])
        return self.scaled(graph, x, self.blobs[0].data, self.blobs[1].data)


class MovingBN(Normalizing):
    """PSPNet's BN: y = slope * (x - mean) / sqrt(variance + eps) + bias, by moving statistics in TEST and when frozen.

    Four parameters of shape (1, channels, 1, 1): slope, bias, and the moving mean and variance, which a pass of TRAIN
    changes to momentum * old + (1 - momentum) * the batch's, and no rule ever steps. Frozen, nothing is learned.
    """

    type = "BN"
    options = MOVING

    @classmethod
    def claims(cls, layer_param) -> bool:
        return not SegNetBN.claims(layer_param)

    @property
    def moving(self) -> bool:
        return self.param.frozen or self.phase == TEST

    def setup(self, bottom_shapes: list[Shape]) -> None:
        shape = (1, self.channels(bottom_shapes), 1, 1)
        for spec in self.layer_param.param[2:4]:  # files give them rates, which the forks overrule too
            spec.lr_mult = spec.decay_mult = 0
        one, zero = type(self.param.slope_filler)(value=1), type(self.param.slope_filler)()
        self.add_blob(shape, self.param.slope_filler if self.param.HasField("slope_filler") else one)
        self.add_blob(shape, self.param.bias_filler if self.param.HasField("bias_filler") else zero)
        self.add_blob(shape, zero, learns=False)
        self.add_blob(shape, one, learns=False)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data
        mean, variance = (blob.data for blob in self.blobs[2:])
        if not self.moving:
            found, keep = self.batch(x), self.param.momentum
            for old, new in zip((mean, variance), found, strict=True):
                old *= keep
                old += (1 - keep) * row(new)
            mean, variance = found
        self.normalize(x, mean, variance, self.param.eps, top[0].data)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        dy = top[0].diff
        bottom[0].diff[...] = dy * (self.blobs[0].data * self.inverse) if self.moving else self.through_batch(dy)

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        if not self.param.frozen:
            super().update(top, bottom)

    def to_onnx(self, graph, inputs):
        slope, bias, mean, variance = (blob.data.astype(np.float64) for blob in self.blobs)
        factor = slope / np.sqrt(variance + self.param.eps)
        return self.scaled(graph, inputs[0], factor, bias - mean * factor)
