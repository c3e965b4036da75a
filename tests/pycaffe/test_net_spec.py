"""Nets written in Python come out as the prototxt one would write by hand."""

import pytest
from google.protobuf import text_format

from netdef.net import Net
from netdef.pycaffe import NetSpec, layers, params, to_proto
from netdef.pycaffe.proto import caffe_pb2

WANT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer {
  name: "conv" type: "Convolution" bottom: "x" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "a" type: "Slice" bottom: "pool" top: "a" top: "b" slice_param { axis: 1 slice_point: 1 } }
"""


def spec() -> NetSpec:
    n = NetSpec()
    n.x = layers.Input(shape={"dim": [2, 3, 8, 8]})
    learn = [{"lr_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    n.conv = layers.Convolution(n.x, kernel_size=3, num_output=4, weight_filler={"type": "xavier"}, param=learn)
    n.relu = layers.ReLU(n.conv, in_place=True)
    n["pool"] = layers.Pooling(n.relu, kernel_size=2, stride=2, pool=params.Pooling.AVE)
    n.a, n.b = layers.Slice(n.pool, axis=1, slice_point=1, ntop=2)
    return n


def test_a_spec_is_the_prototxt() -> None:
    assert spec().to_proto() == text_format.Parse(WANT, caffe_pb2.NetParameter())


def test_a_spec_builds_and_runs() -> None:
    net = Net(spec().to_proto(), seed=1)
    net.forward()
    assert net.blobs["b"].shape == (2, 3, 3, 3)


def test_names_are_made_where_none_is_given() -> None:
    x = layers.Input(shape={"dim": [1, 2]})
    net = to_proto(layers.TanH(layers.TanH(x)))
    assert [layer.name for layer in net.layer] == ["Input1", "TanH1", "TanH2"]


def test_a_misspelt_option_is_named() -> None:
    x = layers.Input(shape={"dim": [1, 2]})
    with pytest.raises(TypeError, match="no option 'num_outputs'"):
        to_proto(layers.InnerProduct(x, num_outputs=3))
