"""Net -> ONNX -> net: equal outputs, or an operation refused by its name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import net as built
from onnx import TensorProto, helper, numpy_helper

from netdef import read, weights
from netdef import registry as registries
from netdef.errors import ExportError
from netdef.export import build
from netdef.export.preprocess import Preprocess
from netdef.layer import TEST
from netdef.onnx_import import imported
from netdef.onnx_import.compare import compare
from netdef.testing import load_cases
from netdef.testing.bench import Bench

CASES = sorted((Path(__file__).parents[1] / "layers").glob("*.prototxt"))
COMES_BACK = {
    "AbsVal", "ArgMax", "BNLL", "BatchNorm", "BatchReindex", "Bias", "Clip", "Concat", "Convolution", "Crop",
    "Deconvolution", "Dropout", "ELU", "Eltwise", "Embed", "Exp", "Flatten", "Im2col", "InnerProduct", "LRN", "LSTM",
    "LSTMUnit", "Log", "MVN", "PReLU", "Parameter", "Pooling", "Power", "RNN", "ReLU", "Reduction", "Reshape", "SPP",
    "Scale", "Sigmoid", "Slice", "Softmax", "Split", "Swish", "TanH", "Threshold", "Tile",
}  # fmt: skip


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_layer_comes_back_or_is_refused(file, tmp_path):
    registry, back = registries.default(), 0
    for case in load_cases(file):
        try:
            model = build(Bench(case, registry, np.float32, phase=TEST).net).model
        except Exception:
            continue  # what cannot be exported is for other tests
        onnx.save(model, tmp_path / "case.onnx")
        try:
            imported(tmp_path / "case.onnx", registry)  # compares
        except ExportError as e:
            assert str(e).startswith("operation '"), f"{case}: {e}"
        else:
            back += 1
    assert back or file.stem not in COMES_BACK


NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 13 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def test_a_net_comes_back_to_be_trained(tmp_path):
    net = built(NET, TEST)
    for blob, low in zip(net.params["bn"], (-0.5, 0.5, 1), strict=True):
        blob.data[...] = np.random.default_rng(0).uniform(low, 1.5, blob.shape)
    onnx.save(build(net, dynamic=["batch"]).model, tmp_path / "net.onnx")
    text, model = imported(tmp_path / "net.onnx", registries.default(), {"data": (2, 3, 13, 12)}).save(
        tmp_path / "back"
    )
    again = read.net(text, TEST)
    assert weights.load(again.layers, model).at_filler == []
    x = np.random.default_rng(1).standard_normal((2, 3, 13, 12))
    for n in (net, again):
        n.blobs["data"].data[...] = x
        n.forward()
    np.testing.assert_allclose(again.blobs["prob"].data, net.blobs["prob"].data, rtol=1e-4)


INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } } }'
CONT = 'layer { name: "c" type: "Input" top: "c" input_param { shape { dim: 4 dim: 2 } } }'


@pytest.mark.parametrize(
    ("layer", "types"),
    [
        ('type: "ArgMax" argmax_param { axis: 1 }', ["ArgMax"]),
        ('type: "ArgMax" argmax_param { axis: 2 top_k: 3 out_max_val: true }', ["ArgMax"]),
        ('type: "ArgMax" argmax_param { top_k: 2 }', ["Flatten", "ArgMax", "Reshape"]),
        ('type: "Pooling" top: "mask" pooling_param { kernel_size: 3 stride: 2 }', ["Pooling"]),
        ('type: "LSTM" bottom: "c" recurrent_param { num_output: 5 weight_filler { type: "xavier" } }', ["LSTM"]),
    ],
)
def test_what_takes_several_operations_comes_back_as_one_layer(tmp_path, layer, types):
    net = built(INPUT + CONT * ("LSTM" in layer) + f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}', TEST)
    onnx.save(build(net).model, tmp_path / "net.onnx")
    found = [layer.type for layer in imported(tmp_path / "net.onnx", registries.default()).param.layer]
    if types == ["LSTM"]:  # what it multiplies the input by is a layer of its own, and it begins with zeros every time
        assert found.count("LSTM") == 1
    else:
        assert [kind for kind in found if kind not in ("Input", "Split")] == types


@pytest.mark.parametrize(("condition", "kind"), [(True, "ReLU"), (False, "TanH")])
def test_of_a_choice_that_is_made_one_branch_is_taken(tmp_path, condition, kind):
    one = helper.make_tensor_value_info("b", 1, (1, 2, 4, 4))
    branches = [helper.make_graph([helper.make_node(op, ["a"], ["b"])], op, [], [one]) for op in ("Relu", "Tanh")]
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(condition))),
        helper.make_node("If", ["c"], ["d"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Abs", ["d"], ["y"]),
    ]
    onnx.save(model(*nodes), tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default()).param.layer
    assert [layer.type for layer in found] == ["Input", "Power", kind, "AbsVal"]


def test_rows_of_a_table_come_back(tmp_path):
    """The indices are whole numbers in ONNX, and what is tried are rows that are there."""
    table = numpy_helper.from_array(np.random.default_rng(0).standard_normal((7, 3), np.float32), "table")
    infos = [helper.make_tensor_value_info("i", 7, (2, 5)), helper.make_tensor_value_info("y", 1, (2, 5, 3))]
    graph = helper.make_graph([helper.make_node("Gather", ["table", "i"], ["y"])], "g", infos[:1], infos[1:], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default()).param.layer
    assert [layer.type for layer in found] == ["Input", "Embed"]


def model(*nodes, shape=(1, 2, 4, 4)):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])
    return helper.make_model(
        helper.make_graph(list(nodes), "g", [x], [y]), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (model(helper.make_node("Sin", ["x"], ["y"], name="e")), r"operation 'e' \(Sin\): no layer that a plugin"),
        (model(helper.make_node("Relu", ["x"], ["y"]), shape=(1, 2, None, 4)), "give its shape: --shape x=1,3,224,224"),
        (model(helper.make_node("Pow", ["x", "x"], ["y"])), r"\(Pow\): input 1 is computed"),
    ],
)
def test_what_has_no_form_is_named(tmp_path, made, said):
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=said):
        imported(tmp_path / "m.onnx", registries.default())


def test_a_file_that_is_no_model_is_told(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"nothing of the kind")
    for name in ("m.onnx", "nothere.onnx"):
        with pytest.raises(ExportError, match=name):
            imported(tmp_path / name, registries.default())


def test_what_the_net_computes_otherwise_is_named(tmp_path):
    """An importer may be wrong: the first value that is not ONNX's is told, not the outputs that follow from it."""
    nodes = [helper.make_node("Relu", ["x"], ["a"], name="r"), helper.make_node("Tanh", ["a"], ["b"], name="t")]
    made = onnx.shape_inference.infer_shapes(model(*nodes, helper.make_node("Sigmoid", ["b"], ["y"])))
    onnx.save(made, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default())
    next(layer for layer in found.param.layer if layer.name == "t").type = "Sigmoid"
    with pytest.raises(ExportError, match=r"operation 't' \(Tanh\): 'b' would differ by .* of its scale; nothing"):
        compare(found, made, made, registries.default())


def test_an_image_of_bytes_comes_back(tmp_path):
    """What an export puts in front of the net for pictures as libraries give them: bytes, RGB, channels last."""
    net = built(NET, TEST)
    prepare = Preprocess(np.array([104, 117, 123], np.float32), 0.5, swap=True, last=False, bytes=True)
    onnx.save(build(net, prepare=prepare).model, tmp_path / "net.onnx")
    found = imported(tmp_path / "net.onnx", registries.default())
    assert {"Slice", "Concat", "Bias", "Power"} <= {layer.type for layer in found.param.layer}
