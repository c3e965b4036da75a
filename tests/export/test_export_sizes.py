"""Sizes left open, images prepared in the model, other opsets, and nets without their data files."""

import numpy as np
import onnx
import onnxruntime
import pytest
from nets import net as built

from netdef import prototxt
from netdef import registry as registries
from netdef.errors import ExportError, NetdefError
from netdef.export import build, export_file, verify
from netdef.export.preprocess import Preprocess, mean_of
from netdef.export.strip import strip
from netdef.export.tops import tops
from netdef.memory import bind
from netdef.net import Net

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 12 } } }'
CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""
FC = """layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }"""
SIZES = [(1, 8, 8), (3, 9, 7), (2, 5, 11), (1, 10, 6)]


def pool(kind, kernel, stride, pad, mode="CEIL"):
    return (
        f'layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {{ pool: {kind} '
        f"kernel_size: {kernel} stride: {stride} pad: {pad} round_mode: {mode} }} }}"
    )


def dims(exported, what="input"):
    infos = getattr(exported.model.graph, what)
    return [d.dim_param or d.dim_value for d in infos[0].type.tensor_type.shape.dim]


@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 2, 1), (3, 3, 2), (4, 2, 1), (1, 3, 0), (2, 5, 0), (1, 2, 0)],
)
@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_an_open_image_pools_right_at_every_size(kind, kernel, stride, pad, mode):
    net = built(INPUT + CONV + pool(kind, kernel, stride, pad, mode), 1)
    exported = build(net, dynamic=["batch", "image"])
    assert dims(exported) == ["batch", 3, "height", "width"]
    feeds = [{"data": np.random.default_rng(0).standard_normal((n, 3, h, w)) - 1} for n, h, w in SIZES]
    assert verify(net, exported, feeds=feeds, every=True).difference < 1e-5
    assert net.blobs["data"].shape == (2, 3, 9, 12)


def test_where_winners_were_follows_an_open_image_past_windows_without_a_pixel():
    net = built(INPUT + CONV + pool("MAX", 1, 4, 0).replace('top: "pool"', 'top: "pool" top: "at"'), 1)
    feeds = [{"data": np.random.default_rng(0).standard_normal((2, 3, 5 + n, 9 - n))} for n in range(5)]
    exported = build(net, dynamic=["image"])
    assert verify(net, exported, feeds=feeds, every=True).difference < 1e-5
    net.forward()
    assert -1 in net.blobs["at"].data


def test_an_open_batch_is_compared_at_other_batches():
    net = built(INPUT + CONV + FC, 1)
    exported = build(net, dynamic=["batch"])
    assert dims(exported) == ["batch", 3, 9, 12] and dims(exported, "output") == ["batch", 5]
    assert verify(net, exported).runs == 9


def test_blobs_get_their_memory_before_the_first_of_them_is_computed(monkeypatch):
    """A plan made anew in the middle of a pass loses what was computed by then, as a detector's priors."""
    seen, planned = [], []
    monkeypatch.setattr("netdef.net.bind", lambda net: (planned.append(list(seen)), bind(net)))
    net = built(INPUT + CONV, 1, plan=True)
    exported = build(net, dynamic=["batch"])
    for batch in (7, 2, 9):
        seen.clear()
        planned.clear()
        x = np.full((batch, *net.blobs["data"].shape[1:]), batch, np.float32)
        for _, name in tops(net, exported, {"data": x}):
            seen.append(name)
            np.testing.assert_array_equal(net.blobs["data"].data, x)
        assert len(seen) > 1 and planned == [["data"]]


@pytest.mark.parametrize(
    "options",
    [
        "shape { dim: -1 dim: 6 }",
        "shape { dim: 0 dim: 0 dim: -1 dim: 2 }",
        "axis: 0 num_axes: 0 shape { dim: 1 }",
        "axis: 1 num_axes: 1 shape { dim: 2 dim: 2 }",
        "axis: -1 num_axes: 0 shape { dim: 1 }",
    ],
)
def test_a_reshape_leaves_the_batch_open(options):
    text = f'layer {{ name: "r" type: "Reshape" bottom: "conv" top: "r" reshape_param {{ {options} }} }}'
    net = built(INPUT + CONV + text, 1)
    assert verify(net, build(net, dynamic=["batch"])).runs == 9


def test_a_layer_of_one_size_is_named():
    with pytest.raises(
        ExportError, match=r"image size cannot stay open.*layer 'fc' \(InnerProduct\).*weights convolve"
    ):
        build(built(INPUT + CONV + FC, 1), dynamic=["image"])


def test_a_form_that_holds_a_size_is_named():
    text = 'layer { name: "spp" type: "SPP" bottom: "conv" top: "spp" spp_param { pyramid_height: 2 pool: MAX } }'
    with pytest.raises(ExportError, match=r"layer 'spp' \(SPP\): its ONNX form holds a size"):
        build(built(INPUT + CONV + text, 1), dynamic=["image"])


def test_a_size_that_the_prototxt_fixes_is_named_with_what_to_do():
    text = 'layer { name: "r" type: "Reshape" bottom: "conv" top: "r" reshape_param { shape { dim: 2 dim: 432 } } }'
    said = r"image size cannot stay open.*layer 'r' \(Reshape\).*dim: 0 keeps an axis, dim: -1 takes what is left"
    with pytest.raises(ExportError, match=said):
        build(built(INPUT + CONV + text, 1), dynamic=["image"])


def test_other_words_for_sizes_are_refused():
    with pytest.raises(ExportError, match="cannot leave 'width' open; want batch, image or both"):
        build(built(INPUT + CONV, 1), dynamic=["width"])


def test_crop_and_global_pooling_follow_an_open_image():
    text = """
    layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
      convolution_param { num_output: 2 kernel_size: 4 stride: 2 weight_filler { type: "xavier" } } }
    layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop" crop_param { axis: 2 offset: 1 } }
    layer { name: "gap" type: "Pooling" bottom: "crop" top: "gap" pooling_param { pool: AVE global_pooling: true } }"""
    net = built(INPUT + CONV + text, 1)
    exported = build(net, dynamic=["image"])
    feeds = [{"data": np.random.default_rng(0).standard_normal((2, 3, h, w))} for _, h, w in SIZES]
    assert verify(net, exported, feeds=feeds, every=True).difference < 1e-5


@pytest.mark.parametrize("mean", [None, np.array([104, 117, 123]), np.arange(3 * 11 * 14).reshape(3, 11, 14)])
@pytest.mark.parametrize("last", [False, True])
def test_the_model_takes_the_picture_as_it_is(mean, last, tmp_path):
    net = built(INPUT + CONV, 1)
    prepare = Preprocess(mean, 0.0078125, swap=True, last=last, bytes=True)
    result = export_file(net, tmp_path / "m.onnx", prepare=prepare, every=True)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 9, 12, 3), np.uint8)
    runtime = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (got,) = runtime.run(None, {"data": rgb if last else np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))})
    x = rgb[..., ::-1].transpose(0, 3, 1, 2).astype(np.float64)
    if mean is not None:
        x = x - (mean.reshape(3, 1, 1) if mean.ndim == 1 else mean[:, 1:10, 1:13])
    net.blobs["data"].data[...] = x * 0.0078125
    net.forward()
    assert result.inputs == {"data": (2, 9, 12, 3) if last else (2, 3, 9, 12)}
    np.testing.assert_allclose(got, net.blobs["conv"].data, rtol=1e-4, atol=1e-4)


def test_means_come_as_values_or_files(tmp_path):
    assert mean_of("104,117.5,123").tolist() == [104, 117.5, 123]
    np.save(tmp_path / "mean.npy", np.ones((3, 4, 5)))
    assert mean_of(str(tmp_path / "mean.npy")).shape == (3, 4, 5)
    for bad in ("nothere.npy", "nothere.binaryproto", "1,x"):
        with pytest.raises(NetdefError):
            mean_of(bad)


def test_a_mean_that_does_not_fit_is_refused():
    net = built(INPUT + CONV, 1)
    for mean, said in ((np.ones(2), "2 channels"), (np.ones((3, 4, 5)), "smaller than the input")):
        with pytest.raises(ExportError, match=said):
            build(net, prepare=Preprocess(mean))
    with pytest.raises(ExportError, match="a mean image has one size"):
        build(net, prepare=Preprocess(np.ones((3, 20, 20))), dynamic=["image"])


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 20])
def test_other_opsets_are_compared_too(tmp_path, opset):
    net = built(INPUT + CONV + FC + 'layer { type: "Softmax" bottom: "fc" top: "prob" }', 1)
    result = export_file(net, tmp_path / "m.onnx", opset=opset, dynamic=["batch"], every=True, metadata={"a": "b"})
    model = onnx.load(tmp_path / "m.onnx")
    assert model.opset_import[0].version == result.opset == opset
    assert (model.producer_name, model.metadata_props[0].value) == ("netdef", "b")


NEWEST = onnx.defs.onnx_opset_version()


@pytest.mark.parametrize("opset", [9, 12, 13, NEWEST])
def test_a_softmax_over_the_channels_of_an_image_means_the_same_in_every_opset(tmp_path, opset):
    """Until 12 it took the axes behind its own as well."""
    text = 'layer { name: "p" type: "Softmax" bottom: "conv" top: "p" }'
    text += 'layer { name: "q" type: "Softmax" bottom: "p" top: "q" softmax_param { axis: -1 } }'
    result = export_file(built(INPUT + CONV + text, 1), tmp_path / "m.onnx", opset=opset, every=True)
    assert result.parity.difference < 1e-5


RECURRENT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 dim: 2 dim: 3 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 5 dim: 2 } } }
layer { name: "l" type: "%s" bottom: "x" bottom: "cont" top: "y"
  recurrent_param { num_output: 4 weight_filler { type: "xavier" } } }"""


@pytest.mark.parametrize("opset", [9, 12, 17, NEWEST])
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_recurrent_layers_have_a_form_in_every_opset(tmp_path, kind, opset):
    result = export_file(built(RECURRENT % kind, 1), tmp_path / "m.onnx", opset=opset, every=True)
    assert result.parity.difference < 1e-5


FORMER = """
layer { name: "clip" type: "Clip" bottom: "conv" top: "clip" clip_param { min: -0.5 max: 0.25 } }
layer { name: "pool" type: "Pooling" bottom: "clip" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "crop" type: "Crop" bottom: "clip" bottom: "pool" top: "crop" crop_param { axis: 2 offset: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "crop" top: "fc"
  inner_product_param { num_output: 5 bias_term: false weight_filler { type: "xavier" } } }"""


@pytest.mark.parametrize("opset", [9, 10, 11])
def test_what_is_an_input_was_an_attribute_once(tmp_path, opset):
    export_file(built(INPUT + CONV + FORMER, 1), tmp_path / "m.onnx", opset=opset, every=True)
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert {t.name for t in graph.initializer} <= {name for node in graph.node for name in node.input}
    (clip,) = (node for node in graph.node if node.op_type == "Clip")
    assert len(clip.input) == (1 if opset < 11 else 3)


def test_an_opset_that_lacks_an_operation_is_refused(tmp_path):
    with pytest.raises(ExportError, match="want 9 to"):
        export_file(built(INPUT + CONV, 1), tmp_path / "m.onnx", opset=3)
    indices = (
        'layer { name: "max" type: "Pooling" bottom: "conv" top: "max" top: "at" pooling_param { kernel_size: 2 } }'
    )
    with pytest.raises(ExportError, match=r"to opset 9: operation 'max/Mod' \(Mod\) is not the same there"):
        export_file(built(INPUT + CONV + indices, 1), tmp_path / "m.onnx", opset=9)
    mvn = 'layer { name: "m" type: "MVN" bottom: "conv" top: "m" }'
    net = built(INPUT + CONV + mvn, 1)
    assert export_file(net, tmp_path / "m.onnx", opset=13, every=True).parity.difference < 1e-4


TRAIN_VAL = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "nowhere" batch_size: 2 } %s }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" }
layer { name: "right" type: "Accuracy" bottom: "conv" bottom: "label" top: "right" }
"""


def stripped(text, **shapes):
    registry = registries.default()
    param = prototxt.parse(text, registry.schema.message("NetParameter"), "t.prototxt")
    return Net(strip(param, registry, shapes), 1, registry=registry)


def test_data_files_need_not_be_there():
    exported = build(stripped(TRAIN_VAL % "", data=(1, 3, 8, 8)))
    assert (list(exported.inputs), list(exported.outputs)) == (["data"], ["conv"])
    assert dims(build(stripped(TRAIN_VAL % "transform_param { crop_size: 7 }"))) == [2, 3, 7, 7]
    assert dims(build(stripped(TRAIN_VAL % "include { phase: TRAIN }", data=(1, 3, 8, 8)))) == [1, 3, 8, 8]


def test_a_shape_for_nothing_is_refused():
    with pytest.raises(ExportError, match=r"no layer without bottoms makes 'dta'.*'data'"):
        stripped(TRAIN_VAL % "", data=(1, 3, 8, 8), dta=(1, 2))


def test_indices_are_tried_where_a_layer_wants_them():
    """Random numbers are no rows of a table: the net would refuse them, and nothing could be compared."""
    text = 'layer { name: "word" type: "Input" top: "word" input_param { shape { dim: 6 dim: 4 } } }'
    text += """layer { name: "rows" type: "Embed" bottom: "word" top: "rows"
      embed_param { num_output: 3 input_dim: 7 weight_filler { type: "xavier" } } }"""
    n = built(text, 1)
    assert verify(n, build(n, dynamic=["batch"]), every=True).difference < 1e-6


CODE = """
layer { name: "pictures" type: "Python" top: "data" top: "label" python_param { module: "m" layer: "Data" } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "Python" bottom: "fc" bottom: "label" top: "loss" loss_weight: 1
  python_param { module: "m" layer: "Loss" } }
"""


def test_sources_and_losses_in_python_are_no_part_of_a_model():
    """A data layer whose shape is given needs no code, and what the prototxt counts in the loss is one."""
    registry = registries.default()
    param = strip(prototxt.parse(CODE, registry.schema.message("NetParameter")), registry, {"data": (1, 5)})
    assert [(layer.name, layer.type) for layer in param.layer] == [("pictures", "Input"), ("fc", "InnerProduct")]
    assert build(Net(param, 1)).outputs.keys() == {"fc"}
