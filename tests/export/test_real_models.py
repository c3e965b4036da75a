"""Models that people use: loaded, as recorded, exported, equal to ONNX Runtime in every blob, and back again."""

import numpy as np
import pytest
from onnx import numpy_helper

from netdef import read, weights
from netdef import registry as registries
from netdef.errors import ExportError, PluginError, PrototxtError
from netdef.export import build, export_file, verify
from netdef.onnx_import import imported

MODELS = ["mtcnn/det1", "mtcnn/det2", "mtcnn/det3", "wechat_qr/detect", "wechat_qr/sr"]


@pytest.fixture
def model(request, shared):
    """The net with its weights; skipped where a plugin of its layers is not installed."""
    stem = shared / "models" / request.param
    try:
        net = read.net(stem.with_suffix(".prototxt"), 1, seed=1)
    except (PluginError, PrototxtError) as e:
        pytest.skip(str(e))
    assert weights.load(net.layers, stem.with_suffix(".caffemodel")).at_filler == []
    return stem, net


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_outputs_are_those_recorded(model):
    stem, net = model
    record = stem.with_name(f"{stem.name}_reference.npz")
    if not record.exists():
        pytest.skip(f"no recording {record.name}")
    arrays = dict(np.load(record))
    for name, x in arrays.items():
        if name.startswith("in/"):
            net.blobs[name[3:]].reshape(*x.shape)
            net.blobs[name[3:]].data[...] = x
    net.forward()
    for name, want in arrays.items():
        if name.startswith("out/"):
            got = net.blobs[name[4:]].data
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max(), err_msg=name)


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_every_blob_agrees_with_onnx_runtime(model, tmp_path):
    result = export_file(model[1], tmp_path / "model.onnx", every=True)
    assert result.parity.difference < 1e-4 and result.parity.constant == ()


@pytest.mark.parametrize(("model", "opset"), [("mtcnn/det1", 9), ("wechat_qr/detect", 11)], indirect=["model"])
def test_the_oldest_opset_that_has_its_operations(model, opset, tmp_path):
    result = export_file(model[1], tmp_path / "model.onnx", opset=opset)
    assert result.parity.difference < 1e-4 and result.opset == opset


OPEN = [("mtcnn/det1", ["batch", "image"]), ("mtcnn/det2", ["batch"]), ("mtcnn/det3", ["batch"])]
OPEN += [("wechat_qr/detect", ["batch", "image"]), ("wechat_qr/sr", ["batch", "image"])]


@pytest.mark.parametrize(("model", "dynamic"), OPEN, indirect=["model"])
def test_sizes_stay_open_where_the_net_allows(model, dynamic):
    net = model[1]
    exported = build(net, dynamic=dynamic)
    ((name, top),) = exported.inputs.items()
    shape, rng = net.tops[top[0]][top[1]].shape, np.random.default_rng(0)
    sizes = [(40, 56), (65, 33)] if "image" in dynamic else [shape[2:]] * 2
    wanted = [(n, shape[1], *size) for n, size in zip((1, 3), sizes, strict=True)]
    feeds = [{name: rng.standard_normal(size, np.float32)} for size in wanted]
    assert verify(net, exported, feeds=feeds, every=True).difference < 1e-4


@pytest.mark.parametrize(
    ("model", "wrong", "layer"),
    [("mtcnn/det1", "PReLU2/slope", "PReLU2"), ("mtcnn/det3", "conv5/0", "conv5")],
    indirect=["model"],
)
def test_a_number_that_is_wrong_is_found_in_its_layer(model, wrong, layer):
    """In another model than the net's: with one weight of one layer changed, all later blobs differ too."""
    exported = build(model[1])
    (weight,) = (t for t in exported.model.graph.initializer if t.name == wrong)
    x = numpy_helper.to_array(weight).copy()
    x.flat[0] += 0.5
    weight.CopyFrom(numpy_helper.from_array(x, wrong))
    with pytest.raises(ExportError, match=f"layer '{layer}' .*is the first where ONNX Runtime and the net differ"):
        verify(model[1], exported)


@pytest.mark.parametrize("model", MODELS[:3], indirect=True)
def test_the_net_comes_back(model, tmp_path):
    export_file(model[1], tmp_path / "model.onnx")
    imported(tmp_path / "model.onnx", registries.default())
