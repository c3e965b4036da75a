"""One operation at a time: the layers made of it give what ONNX Runtime gives."""

from typing import Any

import numpy as np
import onnx
import pytest
from export.onnx_case import Case, ints, r
from export.onnx_cases import CASES, STEPS, W1, K, S, W, X
from onnx import TensorProto, helper, numpy_helper

from netdef import registry as registries
from netdef.errors import ExportError
from netdef.onnx_import import imported


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.op}-{c.attributes}")
def test_layers_give_what_onnx_runtime_gives(case, tmp_path):
    model = onnx.shape_inference.infer_shapes(case.model())
    onnx.save(model, tmp_path / "one.onnx")
    found = imported(tmp_path / "one.onnx", registries.default())  # compares
    types = [layer.type for layer in found.param.layer if layer.type != "Input"]
    assert case.types in (None, types)


def test_every_operator_that_is_known_has_a_case():
    registry = registries.default()
    known = {name: registry.get("importers", name).__module__ for name in registry.names("importers")}
    own = {name for name, module in known.items() if module.startswith("netdef_plugins.")}
    assert {case.op for case in CASES} >= own - {"And", "Or", "OneHot", "Upsample", "Mod", "Scan"}
    # the first three have no input that is a float; of the last two only what exports make is known


def two(*nodes: Any, inputs: dict[str, tuple[int, ...]], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(x, n) for n, x in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made)


PADS = ints(0, 0, 1, 2, 0, 0, 1, 2)


@pytest.mark.parametrize(
    ("reader", "types"),
    [
        (helper.make_node("Conv", ["p", "w"], ["y"]), ["Convolution"]),
        (helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[3, 3]), ["Convolution", "Pooling"]),
        (helper.make_node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3]), ["Pooling"]),
        (helper.make_node("Relu", ["p"], ["y"]), ["Convolution", "ReLU"]),
    ],
)
def test_zeros_of_a_pad_are_those_of_its_reader(tmp_path, reader, types):
    """Those that a maximum sees are numbers like others, those of an average count."""
    pad = helper.make_node("Pad", ["x", "pads"], ["p"], name="pad")
    made = two(pad, reader, inputs={"x": X}, constants={"pads": PADS, "w": W})
    onnx.save(made, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default())
    assert [t for t in types if t in [layer.type for layer in found.param.layer]] == types


REFUSED = [
    (
        Case("MatMul", [(2, 3, 300, 100), (2, 3, 100, 300)]),
        r"'one' \(MatMul\): a product of two computed values, by 54",
    ),
    (Case("DepthToSpace", [X], {"blocksize": 0}, shape=X), "is not as ONNX has it: ZeroDivisionError"),
    (Case("Einsum", [(3, 3)], {"equation": "ii->i"}), r"'ii->i' takes a diagonal"),
    (Case("ReduceProd", [(2, 300), ints(1)]), "over 300 numbers"),
    (Case("Conv", [X, (4, 3, 3, 3)]), r"'one' \(Conv\): input 1 is computed"),
    (Case("MaxPool", [X], K | {"dilations": [2, 2]}, outputs=2), "dilations in an average, a volume or of indices"),
    (Case("Cast", [X], {"to": 7}), "operation 'one' .Cast. makes whole numbers"),
    (
        Case("MaxPool", [(1, 2, 6, 6, 6)], {"kernel_shape": [2, 2, 1], "dilations": [2, 2, 1]}),
        "dilations in an average, a volume",
    ),
    (Case("Mod", [X, np.float32(2)], {"fmod": 1}), "a remainder, but of a pooling's indices"),
    (Case("TopK", [X, ints(0)], outputs=2), "the 0 largest"),
    (
        Case("MaxPool", [(1, 2, 6, 6, 6)], {"kernel_shape": [2, 3, 2]}, outputs=2),
        "a Pooling of Caffe has one for all axes",
    ),
    (Case("RNN", [STEPS, r(1, 4, 3), r(1, 4, 4)], {"hidden_size": 4, "activations": ["Relu"]}), "no RNN of Caffe"),
    (Case("LSTM", [STEPS, r(1, 16, 3), r(1, 16, 4)], {"hidden_size": 4, "clip": 1.0}), "clip, which no LSTM of Caffe"),
    (Case("ConvTranspose", [X, W1], S | {"output_padding": [1, 1]}), "more outputs than a Deconvolution"),
]


@pytest.mark.parametrize(("case", "said"), REFUSED, ids=lambda v: getattr(v, "op", ""))
def test_what_has_no_form_is_told(case, said, tmp_path):
    made = case.model()
    if case.op == "Cast":
        made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(onnx.shape_inference.infer_shapes(made), tmp_path / "one.onnx")
    with pytest.raises(ExportError, match=said):
        imported(tmp_path / "one.onnx", registries.default())


def test_what_a_mask_leaves_out_of_a_softmax_counts_nothing(tmp_path):
    """By a constant mask, and by a computed one that leaves out the least; of minus infinity, as attention has it."""
    x = (2, 3, 5, 5)
    constants = {"mask": np.tri(5) > 0, "none": np.float32(-np.inf), "last": ints(-1)}
    fixed = [helper.make_node("Where", ["mask", "x", "none"], ["a"])]
    least = helper.make_node("ReduceMin", ["x", "last"], ["m"])
    computed = [
        least,
        helper.make_node("Greater", ["x", "m"], ["c"]),
        helper.make_node("Where", ["c", "x", "none"], ["a"]),
    ]
    for nodes in (fixed, computed):
        made = two(*nodes, helper.make_node("Softmax", ["a"], ["y"]), inputs={"x": x}, constants=constants)
        onnx.save(made, tmp_path / "m.onnx")
        found = imported(tmp_path / "m.onnx", registries.default()).param.layer  # compares
        assert "Softmax" in [layer.type for layer in found]


def test_the_shape_of_what_is_padded_is_known(tmp_path):
    """Also where ONNX does not infer it, because the pads are computed."""
    nodes = [
        helper.make_node("Abs", ["pads"], ["i"]),
        helper.make_node("Pad", ["x", "i"], ["p"]),
        helper.make_node("Shape", ["p"], ["s"]),
        helper.make_node("Expand", ["one", "s"], ["ones"]),
        helper.make_node("Add", ["p", "ones"], ["y"]),
    ]
    made = two(*nodes, inputs={"x": X}, constants={"pads": PADS, "one": np.float32(1)})
    onnx.save(made, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default()).param.layer
    assert found[-1].type == "Power"


def test_a_class_is_one_of_many(tmp_path):
    """ArgMax and OneHot: places, compared with each."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["a"], axis=1, keepdims=0),
        helper.make_node("OneHot", ["a", "n", "values"], ["y"], axis=1),
    ]
    constants = {"n": ints(3), "values": np.array([-1, 4], np.float32)}
    onnx.save(two(*nodes, inputs={"x": X}, constants=constants), tmp_path / "m.onnx")
    imported(tmp_path / "m.onnx", registries.default())  # compares


def test_rows_of_a_batch_are_taken_by_places_made_whole(tmp_path):
    nodes = [helper.make_node("Cast", ["i"], ["places"], to=7), helper.make_node("Gather", ["x", "places"], ["y"])]
    clip = helper.make_node("Clip", ["raw", "zero", "last"], ["i"])
    made = two(clip, *nodes, inputs={"x": X, "raw": (5,)}, constants={"zero": np.float32(0), "last": np.float32(1)})
    onnx.save(made, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registries.default()).param.layer
    assert [layer.type for layer in found][-2:] == ["Clip", "BatchReindex"]
