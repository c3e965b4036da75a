"""Weights edited without a net, and nets changed together with theirs."""

import json

import h5py
import numpy as np
import pytest
from cli.conftest import DEPLOY, files, run  # noqa: F401 (fixtures)
from nets import net as built

from netdef import read, surgery, weights
from netdef.errors import LayerError, WeightsError
from netdef.weights import edit
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 6 dim: 5 } } }'
NORM = """
layer { name: "bn%d" type: "BatchNorm" bottom: "%s" top: "%s" }
layer { name: "scale%d" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: true } }
"""


def filled(text):
    net, rng = built(INPUT + text, 1), np.random.default_rng(0)
    for layer in net.layers:
        for blob, learns in zip(layer.blobs, layer.learns, strict=True):
            blob.data[...] = rng.standard_normal(blob.shape) if learns else rng.uniform(0.5, 1.5, blob.shape)
    return net


def stored(**arrays):
    return [StoredLayer(name, "Any", [Stored(x.shape, x)]) for name, x in arrays.items()]


def convolution(kind, more):
    return f"""layer {{ name: "conv" type: "{kind}" bottom: "data" top: "conv"
      convolution_param {{ num_output: 6 kernel_size: 3 {more} }} }}"""


@pytest.mark.parametrize("more", ["", "bias_term: false", "group: 2"])
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("top", ["conv", "other"])
def test_normalization_folds_away(kind, more, top):
    net = filled(convolution(kind, more) + NORM % (1, "conv", top, 1, top, top))
    done = surgery.fold(net)
    assert [layer.type for layer in done.param.layer] == ["Input", kind]
    assert done.param.layer[1].top == [top]
    assert done.changes == ["'bn1', 'scale1' went into 'conv'"]
    assert surgery.difference(net, done) < 1e-5


def test_normalization_folds_into_a_matrix_and_a_bias_alone_too():
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 %s } }'
    bias = 'layer { name: "b" type: "Bias" bottom: "fc" top: "fc" }'
    for more in ("", "transpose: true", "bias_term: false"):
        net = filled(fc % more + NORM % (1, "fc", "fc", 1, "fc", "fc") + bias)
        done = surgery.fold(net)
        assert len(done.param.layer) == 2 and surgery.difference(net, done) < 1e-5


def test_what_others_read_too_stays():
    both = 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "n" top: "sum" }'
    net = filled(convolution("Convolution", "") + NORM % (1, "conv", "n", 1, "n", "n") + both)
    assert [layer.type for layer in surgery.fold(net).param.layer] == ["Input", "Convolution", "Scale", "Eltwise"]
    with pytest.raises(LayerError, match="built for TRAIN"):
        surgery.fold(built(INPUT + convolution("Convolution", "")))


def test_normalization_before_any_weights_becomes_one_scale(tmp_path):
    """As before the first convolution of a preactivated ResNet; written and read again, it is the same net."""
    net = filled(NORM % (1, "data", "n", 1, "n", "n") + convolution("Convolution", "").replace('"data"', '"n"'))
    done = surgery.fold(net)
    assert done.changes == ["'scale1' went into 'bn1', a Scale now"]
    assert [layer.type for layer in done.param.layer] == ["Input", "Scale", "Convolution"]
    assert surgery.difference(net, done) < 1e-5
    text, model = done.save(tmp_path / "folded")
    again = read.net(text, 1)
    assert weights.load(again.layers, model).at_filler == []


def test_matrices_become_convolutions(tmp_path):
    text = """
    layer { name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1" inner_product_param { num_output: 7 } }
    layer { name: "relu" type: "ReLU" bottom: "fc1" top: "fc1" }
    layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2"
      inner_product_param { num_output: 3 bias_term: false transpose: true } }"""
    net = filled(text)
    done = surgery.convolve(net)
    assert [layer.type for layer in done.param.layer] == ["Input", "Convolution", "ReLU", "Convolution"]
    assert surgery.difference(net, done) < 1e-5
    prototxt, model = done.save(tmp_path / "conv")
    again = read.net(prototxt, 1)
    weights.load(again.layers, model)
    again.blobs["data"].reshape(1, 4, 9, 9)
    again.forward()
    assert again.blobs["fc2"].shape == (1, 3, 4, 5)


@pytest.mark.parametrize("suffix", [".h5", ".caffemodel"])
def test_half_precision_comes_back(tmp_path, suffix):
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("f4")
    edit.write(tmp_path / f"w{suffix}", "", stored(a=x), half=True)
    (layer,) = edit.layers_of([tmp_path / f"w{suffix}"])
    assert layer.blobs[0].data.dtype == np.float16
    assert np.array_equal(layer.blobs[0].data, x.astype("f2"))
    with pytest.raises(WeightsError, match="layer 'a' blob 0 has numbers beyond 65504"):
        edit.write(tmp_path / "b.h5", "", stored(a=x * 1e6), half=True)


def test_hdf5_of_half_precision_reads_as_float_as_caffe_reads_it(tmp_path):
    x = np.arange(6, dtype="f4").reshape(2, 3)
    edit.write(tmp_path / "w.h5", "", stored(a=x), half=True)
    with h5py.File(tmp_path / "w.h5") as f:
        as_float = np.empty((2, 3), "f4")
        f["data/a/0"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, as_float)
    assert np.array_equal(as_float, x)


def test_renaming_checks_names():
    layers = stored(a=np.zeros(1), b=np.zeros(1))
    assert [x.name for x in edit.rename(layers, {"a": "b", "b": "a"})] == ["b", "a"]
    with pytest.raises(WeightsError, match="no layer 'c'"):
        edit.rename(layers, {"c": "d"})
    with pytest.raises(WeightsError, match="two layers would be called 'b'"):
        edit.rename(layers, {"a": "b"})


def test_differences_tell_what_and_by_how_much():
    x = np.arange(4.0)
    a, b = stored(one=x, two=x, three=x), stored(one=x, two=x + 0.5, four=x)
    found = [(d.layer, d.why, d.largest) for d in edit.differences(a, b)]
    assert found == [
        ("two", "numbers", 0.5),
        ("three", "only in the first", None),
        ("four", "only in the second", None),
    ]
    shaped = edit.differences(stored(a=x), stored(a=x.reshape(2, 2)))
    assert [d.why for d in shaped] == ["shape (4,) and (2, 2)"]


def test_the_commands(run, files):  # noqa: F811
    net = read.net("deploy.prototxt", 1, seed=1)
    weights.save("w.caffemodel", "small", net.layers)
    assert run("weights", "convert", "w.caffemodel", "w.h5").status == 0
    assert run("weights", "diff", "w.caffemodel", "w.h5").out == "2 layers, all the same\n"
    assert run("weights", "rename", "w.h5", "r.caffemodel", "fc=fc9").status == 0
    done = run("weights", "diff", "w.h5", "r.caffemodel")
    assert done.status == 1 and "only in the first" in done.out
    assert run("weights", "merge", "w.h5", "r.caffemodel", "-o", "m.h5").status == 0
    shown = json.loads(run("weights", "show", "m.h5", "--json").out)
    assert {(s["layer"], s["blob"]) for s in shown} == {(n, i) for n in ("conv", "fc", "fc9") for i in (0, 1)}
    assert "Convolution" in run("weights", "show", "w.caffemodel").out
    done = run("weights", "convolve", "deploy.prototxt", "--weights", "w.caffemodel", "-o", "conv")
    assert (done.status, done.err) == (0, "") and "'fc' is a Convolution" in done.out
    done = run("weights", "fold", "deploy.prototxt", "--weights", "w.caffemodel", "-o", "folded")
    assert (done.status, done.err) == (1, "netdef: error: net 'small': nothing to fold\n")
    assert "fc" in DEPLOY
