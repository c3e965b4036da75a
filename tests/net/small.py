"""Layers with gradients that are easily told, and the gradient of a net of them, by formula and by differences."""

import numpy as np
import toys

from netdef.layer import Loss, ParameterFree

TRAIN = 0


class Logistic(ParameterFree):
    """1 / (1 + exp(-x)); backward reads the result."""

    type, in_place, reads = "Logistic", True, ("top",)

    def forward(self, bottom, top):
        top[0].data[...] = 1 / (1 + np.exp(-bottom[0].data))

    def backward(self, top, propagate_down, bottom):
        y = top[0].data
        bottom[0].diff[...] = top[0].diff * y * (1 - y)


class Square(ParameterFree):
    """x^2; backward reads x, so it declares no in_place."""

    type = "Square"

    def forward(self, bottom, top):
        np.square(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff


class Shift(ParameterFree):
    """x - 0.6 in place; reads nothing."""

    type, in_place, reads = "Shift", True, ()

    def forward(self, bottom, top):
        np.subtract(bottom[0].data, 0.6, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if top[0] is not bottom[0]:
            bottom[0].diff[...] = top[0].diff


class Total(Loss):
    """sum(x), and as a second top the mean."""

    type, tops = "Total", (1, 2)

    def infer(self, shape):
        return [()] * len(self.layer_param.top)

    def forward(self, bottom, top):
        for y, reduce in zip(top, (np.sum, np.mean), strict=False):
            y.data[...] = reduce(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        dx = float(top[0].diff) + (float(top[1].diff) / bottom[0].count if len(top) > 1 else 0)
        bottom[0].diff[...] = dx


class MaybeLabelled(Total):
    """Total, with labels or without."""

    type, bottoms, no_gradient = "MaybeLabelled", (1, 2), (1,)


REGISTRY = toys.registry(Logistic, Square, Shift, Total, MaybeLabelled)
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
X = np.array([[-1.5, 0.3, 0.9], [2, -0.2, 0.7]])


def layer(kind, bottom, top, more="", name=""):
    wires = "".join(f' bottom: "{b}"' for b in bottom.split()) + "".join(f' top: "{t}"' for t in top.split())
    return f'layer {{ name: "{name or top.split()[0]}" type: "{kind}"{wires} {more} }}\n'


def dense(bottom, top, more="", outputs=2):
    return layer("Dense", bottom, top, f'dense_param {{ outputs: {outputs} filler {{ type: "gaussian" }} }} {more}')


def net(text, phase=TRAIN, registry=REGISTRY, **settings):
    return toys.net(text, phase, registry, **settings)


def gradient(text, x=X, **settings):
    """The gradient of the net's loss with respect to x."""
    built = net("force_backward: true\n" + INPUT + text, dtype=np.float64, **settings)
    built.blobs["x"].data[...] = x
    built.forward()
    built.backward()
    return built.blobs["x"].diff.copy()


def numerical(text, x=X, eps=1e-6):
    built = net(INPUT + text, dtype=np.float64)

    def loss(at):
        built.blobs["x"].data[...] = at
        return built.forward()

    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        found[i] = (loss(x + step) - loss(x - step)) / (2 * eps)
    return found
