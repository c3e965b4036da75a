"""Models of toy nets: what goes in, what is left out, what things are called."""

import numpy as np
import onnx
import pytest
import toys
from nets import net as installed

from netdef.errors import ExportError
from netdef.export import build, verify
from netdef.export.parity import random_feeds
from netdef.layer import ParameterFree

FILL = 'dense_param { outputs: 4 filler { type: "gaussian" std: 1 } }'
DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }'


def ops(exported):
    return [node.op_type for node in exported.model.graph.node]


def names(values):
    return [v.name for v in values]


def dense(name, bottom, top, more=""):
    return f'layer {{ name: "{name}" type: "Dense" bottom: "{bottom}" top: "{top}" {FILL} {more} }}'


def one(kind, bottom, top, name=""):
    return f'layer {{ name: "{name or kind}" type: "{kind}" bottom: "{bottom}" top: "{top}" }}'


def test_a_chain_in_place_keeps_the_final_name_for_the_last_version():
    net = toys.net(DATA + dense("fc", "data", "fc") + one("Relu", "fc", "fc") + one("Same", "fc", "fc"))
    exported = build(net)
    assert ops(exported) == ["Gemm", "Relu"]
    graph = exported.model.graph
    assert (names(graph.input), names(graph.output)) == (["data"], ["fc"])
    assert names(graph.initializer) == ["fc/0", "fc/1"]
    assert graph.node[0].output == ["fc@0"]
    assert verify(net, exported).difference < 1e-6


def test_an_output_that_is_the_input_in_place_keeps_its_name():
    net = toys.net(DATA + one("Relu", "data", "data"))
    exported = build(net)
    assert (list(exported.inputs), list(exported.outputs)) == (["data@0"], ["data"])
    verify(net, exported)


def test_an_output_that_no_operation_makes_gets_one():
    net = toys.net(DATA + one("Same", "data", "copy") + one("Same", "data", "again", "same2"))
    exported = build(net)
    assert ops(exported) == ["Identity", "Identity"]
    assert list(exported.outputs) == ["copy", "again"]
    verify(net, exported)


def test_a_training_net_loses_data_labels_loss_and_metric():
    text = 'layer { name: "d" type: "ToyData" top: "data" top: "label" }'
    text += one("Same", "label", "wanted") + dense("fc", "data", "fc")
    for kind in ("MeanLoss", "Score"):
        text += f'layer {{ name: "{kind}" type: "{kind}" bottom: "fc" bottom: "wanted" top: "{kind}" }}'
    net = toys.net(text)
    exported = build(net)
    assert ops(exported) == ["Gemm"]
    assert (list(exported.inputs), list(exported.outputs)) == (["data"], ["fc"])
    assert not any("split" in n for n in names(exported.model.graph.value_info))
    verify(net, exported)


def test_what_leads_nowhere_is_left_out():
    halves = 'layer { name: "h" type: "Halves" bottom: "fc" top: "a" top: "b" }'
    net = toys.net(DATA + dense("fc", "data", "fc") + halves + one("Opaque", "a", "o") + one("Relu", "b", "r"))
    exported = build(net, ["r"])
    assert ops(exported) == ["Gemm", "Slice", "Relu"]
    assert "a" not in names(exported.model.graph.value_info)


def test_a_layer_without_a_form_is_refused_by_name_and_place():
    net = toys.net(DATA + "\n" + one("Opaque", "data", "o", "x1") + "\n" + one("Opaque", "o", "p", "x2"))
    with pytest.raises(ExportError) as e:
        build(net)
    assert str(e.value).splitlines() == [
        "toy.prototxt:2:1: layer 'x1' (Opaque): Opaque has no ONNX form",
        "toy.prototxt:3:1: layer 'x2' (Opaque): Opaque has no ONNX form",
    ]


def test_shared_parameters_are_one_initializer():
    share = 'param { name: "w" } param { name: "b" }'
    data = DATA.replace("dim: 3", "dim: 4")
    net = toys.net(data + dense("f1", "data", "f1", share) + dense("f2", "f1", "f2", share))
    exported = build(net)
    assert names(exported.model.graph.initializer) == ["f1/0", "f1/1"]
    verify(net, exported, every=True)


def test_names_of_blobs_are_never_taken_by_values_between():
    net = toys.net(DATA + dense("fc", "data", "fc/Gemm") + one("Relu", "fc/Gemm", "fc/0"))
    exported = build(net)
    onnx.checker.check_model(exported.model, full_check=True)
    assert exported.model.graph.node[0].output == ["fc/Gemm"]
    assert list(exported.outputs) == ["fc/0"]
    verify(net, exported, every=True)


def test_what_is_silenced_is_left_out_unless_nothing_else_is_there():
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "a" type: "ReLU" bottom: "x" top: "a" } layer { name: "b" type: "Silence" bottom: "a" }"""
    assert list(build(installed(text, 1)).outputs) == ["a"]
    text += 'layer { name: "c" type: "TanH" bottom: "a" top: "c" }'
    assert list(build(installed(text, 1)).outputs) == ["c"]


def test_outputs_may_be_chosen_and_a_wrong_name_gets_the_nearest():
    net = toys.net(DATA + dense("hidden", "data", "hidden") + one("Relu", "hidden", "out"))
    assert list(build(net, ["hidden"]).outputs) == ["hidden"]
    assert list(build(net, ["hidden", "out"]).outputs) == ["hidden", "out"]
    with pytest.raises(ExportError, match=r"no blob 'hiden' .*'hidden'"):
        build(net, ["hiden"])


def test_a_net_for_training_is_refused():
    with pytest.raises(ExportError, match="built for TRAIN"):
        build(toys.net(DATA + dense("fc", "data", "fc"), phase=0))


def test_opset_and_producer_and_metadata():
    model = build(toys.net(DATA + one("Relu", "data", "r")), metadata={"weights": "a.caffemodel"}).model
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert model.producer_name == "netdef" and model.producer_version
    assert {p.key: p.value for p in model.metadata_props} == {"weights": "a.caffemodel"}


def test_random_feeds_hold_zeros_and_large_numbers():
    net = toys.net(DATA + one("Relu", "data", "r"))
    feeds = [f["data"] for f in random_feeds(net, build(net))]
    assert all(f.shape == (2, 3) and f.dtype == np.float32 for f in feeds)
    assert any(not f.any() for f in feeds) and max(abs(f).max() for f in feeds) > 500


class Positive(ParameterFree):
    """The numbers above 0: as many as there are."""

    type = "Positive"

    def forward(self, bottom, top):
        found = bottom[0].data[bottom[0].data > 0]
        top[0].reshape(len(found))
        top[0].data[...] = found

    def backward(self, top, propagate_down, bottom):
        raise NotImplementedError

    def to_onnx(self, graph, inputs):
        above = graph.op("Greater", [*inputs, graph.const(np.float32(0))])
        return [graph.varies(graph.op("Compress", [*inputs, above], axis=0), 0)]


def test_a_size_that_the_data_decides_is_named():
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 8 } } }'
    net = toys.net(data + one("Positive", "data", "found"), registry_=toys.registry(Positive))
    exported = build(net)
    assert exported.model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "found/0"
    verify(net, exported)
