"""Layers that may do others along, and nets of them."""

import numpy as np
import toys
from net.small import Square

from netdef.layer import Layer, ParameterFree

TRAIN, TEST = 0, 1


class Head(ParameterFree):
    """y = 2 x, and what is behind it; counts how often it did others along."""

    type, reads, absorbs = "Head", (), ("affine", "rectified")
    along = 0

    def forward(self, bottom, top):
        np.multiply(bottom[0].data, 2, out=top[0].data)

    def forward_then(self, bottom, top, affine, rectified):
        self.along += 1
        y = 2 * bottom[0].data
        y = y if affine is None else affine[0] * y + affine[1]
        top[0].data[...] = np.maximum(y, 0) if rectified else y

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff


class Gain(Layer):
    """y = g x + 1 by column; not in place, for update reads x."""

    type = "Gain"

    def setup(self, bottom_shapes):
        self.add_blob(bottom_shapes[0][1:])
        self.blobs[0].data[...] = [-1, 2, 3]

    def as_affine(self):
        return self.blobs[0].data, np.ones_like(self.blobs[0].data)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data + 1

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data

    def update(self, top, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0)


class Learner(Gain):
    """A Gain that learns from the gradients of its factors, too."""

    type = "Learner"

    def update_affine(self, dg, db):
        self.blobs[0].diff[...] += dg


class Rectifier(toys.Relu):
    type, rectifies = "Rectifier", True


class Cube(ParameterFree):
    """y = x^3; backward reads y, and may do what is behind it along."""

    type, reads, absorbs = "Cube", ("top",), ("gradients",)
    along = 0

    def forward(self, bottom, top):
        np.power(bottom[0].data, 3, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 3 * np.cbrt(top[0].data) ** 2 * top[0].diff

    def backward_then(self, behind, top, bottom, g, rectified):
        self.along += 1
        dy = behind.diff * (behind.data > 0) if rectified else behind.diff.copy()
        dg, db = (dy * top[0].data).sum(0), dy.sum(0)
        bottom[0].diff[...] = 3 * np.cbrt(top[0].data) ** 2 * dy * (1 if g is None else g)
        return dg, db


class Pick(ParameterFree):
    """The largest of each row, three times."""

    type, reads, selects = "Pick", (), True

    def forward(self, bottom, top):
        self.where = bottom[0].data.argmax(1)
        top[0].data[...] = bottom[0].data.max(1, keepdims=True)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 0
        bottom[0].diff[np.arange(len(self.where)), self.where] = top[0].diff.sum(1)


class Minus(ParameterFree):
    """-x"""

    type, reads, in_place = "Minus", (), True

    def forward(self, bottom, top):
        np.negative(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        np.negative(top[0].diff, out=bottom[0].diff)


REGISTRY = toys.registry(Head, Gain, Learner, Rectifier, Square, Cube, Pick, Minus)
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
X = np.array([[-1.5, 0.3, 0.9], [2, -0.2, -0.7]])
LOSS = 'layer { name: "loss" type: "MeanLoss" bottom: "%s" bottom: "x" top: "loss" }'


def layer(kind, bottom, top, name, more=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}\n'


def built(text, phase=TEST, **settings):
    net = toys.net(INPUT + text, phase, REGISTRY, **{"dtype": np.float64} | settings)
    net.blobs["x"].data[...] = X
    return net


def along(net):
    return sum(getattr(layer, "along", 0) for layer in net.layers)
