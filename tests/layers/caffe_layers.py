"""Layers as people wrote them for Caffe: only what pycaffe offers."""

import caffe
import numpy as np


class Scaled(caffe.Layer):
    """y = param_str * x"""

    def setup(self, bottom, top):
        if len(bottom) != 1:
            raise Exception("want one bottom")
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff


class Distance(caffe.Layer):
    """sum (a - b)^2 / 2N"""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.diff * top[0].diff[0] / bottom[i].num


class Shift(caffe.Layer):
    """y = x + w, w a parameter of one record's shape"""

    def setup(self, bottom, top):
        self.blobs.add_blob(*bottom[0].data.shape[1:])
        self.blobs[0].data[...] = 0.5

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] = top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff


class Phase(caffe.Layer):
    """1 in TEST, 0 in TRAIN; all that it does, it does in setup"""

    def setup(self, bottom, top):
        top[0].reshape(1)
        top[0].data[0] = self.phase

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


class Positive(caffe.Layer):
    """The records whose first number is above 0, as many as there are"""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        self.kept = np.flatnonzero(bottom[0].data[:, 0] > 0)
        top[0].reshape(len(self.kept), *bottom[0].data.shape[1:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[self.kept]

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 0
        bottom[0].diff[self.kept] = top[0].diff


class Broken(Scaled):
    def forward(self, bottom, top):
        top[0].data[...] = np.zeros(top[0].count + 7)


class OldStyle(Scaled):
    def __init__(self, p_object, *args, **kwargs):
        super().__init__(p_object, *args, **kwargs)

    def setup(self, bottom, top):
        self.factor = float(self.param_str_)
