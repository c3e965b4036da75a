"""Layers for tests of the engine, so that these fail for the engine's faults and not for a family's."""

from types import SimpleNamespace

import numpy as np

from netdef import filler, prototxt
from netdef.layer import Block, Field, Layer, Loss, Metric, ParameterFree, Source, hookimpl
from netdef.net import Net
from netdef.registry import Registry, Settings

TEST = 1


class Input(Source):
    """Holds what the test puts in."""

    type, role, tops, options = "Input", "input", (0, None), "input_param"

    def infer(self):
        shapes = [tuple(s.dim) for s in self.param.shape]
        return shapes * len(self.layer_param.top) if len(shapes) == 1 else shapes

    def forward(self, bottom, top):
        pass


class Split(ParameterFree):
    """y_k = x"""

    type, role, tops, shares, reads = "Split", "split", (1, None), ("data",), ()

    def infer(self, shape):
        return [shape] * len(self.layer_param.top)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = sum(t.diff for t in top)


class Data(Source):
    """An image batch and its labels."""

    type, tops = "ToyData", 2

    def infer(self):
        return [(4, 3), (4,)]

    def forward(self, bottom, top):
        raise AssertionError("an export must not read data")


class Dense(Layer):
    """y = x w + b"""

    type = "Dense"
    options = Block("dense_param", (Field("outputs", "uint32", 2), Field("filler", "FillerParameter")))

    def setup(self, bottom_shapes):
        self.add_blob((bottom_shapes[0][1], self.param.outputs), self.param.filler)
        self.add_blob((self.param.outputs,), self.param.filler)

    def infer(self, x):
        return [(x[0], self.param.outputs)]

    def forward(self, bottom, top):
        np.matmul(bottom[0].data, self.blobs[0].data, out=top[0].data)
        top[0].data[...] += self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        np.matmul(top[0].diff, self.blobs[0].data.T, out=bottom[0].diff)

    def update(self, top, bottom):
        self.blobs[0].diff[...] += bottom[0].data.T @ top[0].diff
        self.blobs[1].diff[...] += top[0].diff.sum(0)

    def to_onnx(self, graph, inputs):
        return [graph.op("Gemm", [inputs[0], graph.weight(self, 0), graph.weight(self, 1)])]


class Relu(ParameterFree):
    """max(0, x)"""

    type, in_place, reads = "Relu", True, ("top",)

    def forward(self, bottom, top):
        np.maximum(bottom[0].data, 0, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * (top[0].data > 0)

    def to_onnx(self, graph, inputs):
        return [graph.op("Relu", inputs)]


class Same(ParameterFree):
    """y = x"""

    type, in_place, reads = "Same", True, ()

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff

    def to_onnx(self, graph, inputs):
        return inputs


class Halves(ParameterFree):
    """The first and the second half of the columns."""

    type, tops = "Halves", 2

    def infer(self, x):
        return [(x[0], x[1] // 2)] * 2

    def forward(self, bottom, top):
        top[0].data[...], top[1].data[...] = np.split(bottom[0].data, 2, axis=1)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = np.concatenate([t.diff for t in top], axis=1)

    def to_onnx(self, graph, inputs):
        half = graph.shape(inputs[0])[1] // 2
        return [graph.cut(inputs[0], 1, begin, begin + half) for begin in (0, half)]


class Mean(Loss):
    """The mean of the squared difference."""

    type, bottoms = "MeanLoss", 2

    def infer(self, *shapes):
        return [()]

    def forward(self, bottom, top):
        top[0].data[...] = np.mean((bottom[0].data - bottom[1].data) ** 2)

    def backward(self, top, propagate_down, bottom):
        d = 2 * (bottom[0].data - bottom[1].data) / bottom[0].count * top[0].diff
        for blob, down, sign in zip(bottom, propagate_down, (1, -1), strict=True):
            if down:
                blob.diff[...] = sign * d


class Score(Metric):
    """The mean of the prediction."""

    type, bottoms = "Score", 2

    def infer(self, *shapes):
        return [()]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.mean()


class Opaque(Same):
    """y = x, and nothing in ONNX."""

    type, in_place = "Opaque", False

    def to_onnx(self, graph, inputs):
        return Layer.to_onnx(self, graph, inputs)


LAYERS = [Input, Split, Data, Dense, Relu, Same, Halves, Mean, Score, Opaque]


def registry(*more):
    """A registry of these layers, and of those given."""
    found = Registry(Settings())
    for name, classes in (("toys", LAYERS), ("more", list(more))):
        hook = hookimpl(specname="netdef_layers")(lambda classes=classes: classes)
        plugin = found.add(name, SimpleNamespace(netdef_layers=hook))
        assert not plugin.error, plugin.error
    found.add("fillers", filler)
    return found


def net(text, phase=TEST, registry_=None, **settings):
    """A net of these layers from text."""
    registry_ = registry_ or registry()
    param = prototxt.parse(text, registry_.schema.message("NetParameter"), "toy.prototxt")
    return Net(param, phase, registry=registry_, seed=1, **settings)
