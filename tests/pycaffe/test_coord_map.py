"""Crops are found by arithmetic on strides, pads and kernels: the numbers that FCN's authors published come out."""

import numpy as np
import pytest

from netdef.pycaffe import layers, to_proto
from netdef.pycaffe.coord_map import AxisMismatchException, UndefinedMapException, coord_map_from_to, crop


def vgg(data):
    """VGG's five blocks as FCN pads them, and its fully connected layers as convolutions: pool3, pool4, fc7."""
    x, pools = data, []
    for block, convolutions in enumerate((2, 2, 3, 3, 3)):
        for i in range(convolutions):
            pad = 1 if block + i else 100
            x = layers.ReLU(layers.Convolution(x, kernel_size=3, pad=pad, num_output=4), in_place=True)
        x = layers.Pooling(x, kernel_size=2, stride=2)
        pools.append(x)
    return pools[2], pools[3], layers.Dropout(layers.Convolution(x, kernel_size=7, num_output=4), in_place=True)


def score(x):
    return layers.Convolution(x, kernel_size=1, num_output=2)


def up(x, factor):
    settings = {"num_output": 2, "kernel_size": 2 * factor, "stride": factor, "bias_term": False}
    return layers.Deconvolution(x, convolution_param=settings)


def offset(top):
    return list(to_proto(top).layer[-1].crop_param.offset)


def test_fcn_8s_16s_and_32s():
    data = layers.Input(shape={"dim": [1, 3, 500, 500]})
    pool3, pool4, fc7 = vgg(data)
    assert offset(crop(up(score(fc7), 32), data)) == [19]
    up2 = up(score(fc7), 2)
    cut4 = crop(score(pool4), up2)
    assert offset(cut4) == [5]
    assert offset(crop(up(layers.Eltwise(up2, cut4), 16), data)) == [27]
    up_pool4 = up(layers.Eltwise(up2, cut4), 2)
    cut3 = crop(score(pool3), up_pool4)
    assert offset(cut3) == [9]
    last = crop(up(layers.Eltwise(up_pool4, cut3), 8), data)
    assert offset(last) == [31]
    assert to_proto(last).layer[-1].crop_param.axis == 2


def test_height_and_width_apart():
    data = layers.Input(shape={"dim": [1, 1, 20, 20]})
    x = layers.Pooling(data, kernel_h=3, kernel_w=1, stride_h=2, stride_w=1, pad_h=1, pad_w=0)
    axis, a, b = coord_map_from_to(x, data)
    assert (axis, a.tolist(), b.tolist()) == (1, [2, 1], [0, 0])
    axis, a, b = coord_map_from_to(data, x)
    assert (a.tolist(), b.tolist()) == ([0.5, 1], [0, 0])


def test_the_centre_of_a_dilated_window():
    data = layers.Input(shape={"dim": [1, 1, 20, 20]})
    _, a, b = coord_map_from_to(layers.Convolution(data, kernel_size=3, dilation=4, pad=1, num_output=1), data)
    np.testing.assert_array_equal((a, b), ([1], [3]))


def test_what_cannot_be():
    data = layers.Input(shape={"dim": [1, 1, 20, 20]})
    with pytest.raises(ValueError, match="scale"):
        crop(layers.Pooling(data, kernel_size=2, stride=2), data)
    with pytest.raises(ValueError, match="0 or more"):
        crop(layers.Convolution(data, kernel_size=3, num_output=1), data)
    with pytest.raises(UndefinedMapException, match="no ancestor in common"):
        coord_map_from_to(layers.InnerProduct(data, num_output=2), data)
    with pytest.raises(AxisMismatchException):
        coord_map_from_to(layers.Convolution(layers.Convolution(data, axis=2, kernel_size=1), kernel_size=1), data)
