"""A model that is not its net must be found out, and must leave no file."""

import numpy as np
import onnx
import pytest
import toys
from nets import net as built

from netdef.errors import ExportError
from netdef.export import build, export_file, file, parity, verify
from netdef.export.preprocess import Preprocess
from netdef.layer import TEST, ParameterFree

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }'
DENSE = 'layer { name: "fc" type: "Dense" bottom: "data" top: "fc" dense_param { outputs: 4 filler { std: 1 } } }'
DENSE = DENSE.replace("filler {", 'filler { type: "gaussian"')


class Twice(ParameterFree):
    """y = 2 x, but 2.001 x in ONNX."""

    type, factor = "Twice", 2.001

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.const(self.factor)])]


class Undefined(Twice):
    """1 / x, but finite at 0 in ONNX."""

    type = "Undefined"

    def forward(self, bottom, top):
        with np.errstate(divide="ignore"):
            top[0].data[...] = 1 / bottom[0].data

    def to_onnx(self, graph, inputs):
        tiny = graph.op("Where", [graph.op("Equal", [inputs[0], graph.const(0.0)]), graph.const(1.0), inputs[0]])
        return [graph.op("Reciprocal", [tiny])]


class Cubed(Twice):
    """x^3"""

    type = "Cubed"

    def forward(self, bottom, top):
        with np.errstate(over="ignore"):
            top[0].data[...] = bottom[0].data ** 3

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.op("Mul", [inputs[0], inputs[0]])])]


class Chaos(Twice):
    """sin(10^7 x), of which float32 knows nothing."""

    type = "Chaos"

    def forward(self, bottom, top):
        top[0].data[...] = np.sin(1e7 * bottom[0].data.astype(np.float64))

    def to_onnx(self, graph, inputs):
        return [graph.op("Sin", [graph.op("Mul", [inputs[0], graph.const(1e7)])])]


def net(*kinds, head=DATA + DENSE):
    text, bottom = head, "fc"
    for i, kind in enumerate(kinds):
        text += f'\nlayer {{ name: "{kind}{i}" type: "{kind}" bottom: "{bottom}" top: "t{i}" }}'
        bottom = f"t{i}"
    return toys.net(text, registry_=toys.registry(Twice, Undefined, Chaos, Cubed))


@pytest.mark.parametrize("every", [False, True])
def test_the_first_layer_that_differs_is_named(every):
    n = net("Relu", "Twice", "Same")
    with pytest.raises(ExportError, match=r"prototxt:3:1: layer 'Twice1' \(Twice\): top 't1' is the first .* 0.000"):
        verify(n, build(n), every=every)


def test_infinities_count():
    n = net("Undefined")
    n.params["fc"][1].data[...] = 0
    with pytest.raises(ExportError, match=r"Undefined0.*by inf of its scale"):
        verify(n, build(n), feeds=[{"data": np.zeros((2, 3))}])


def test_what_float32_cannot_hold_is_no_difference():
    n = net("Cubed", "Cubed")
    n.params["fc"][1].data[...] = 0
    assert verify(n, build(n), every=True).difference < 1e-5
    feeds = [{"data": np.full((2, 3), scale)} for scale in (1e15, 1e-15)]
    assert verify(n, build(n), feeds=feeds).runs == 2
    with pytest.raises(ExportError, match="numbers beyond"):
        verify(n, build(n), feeds=feeds[:1])


def test_an_output_that_never_changes_is_told():
    n = net("Relu")
    assert verify(n, build(n)).constant == ()
    n.params["fc"][0].data[...] = 0
    assert verify(n, build(n)).constant == ("t0",)


def test_the_net_is_left_as_it_was():
    n = net("Relu")
    n.blobs["data"].data[...] = 7
    n.forward()
    verify(n, build(n), every=True)
    assert (n.blobs["data"].data == 7).all() and [layer.passes for layer in n.layers] == [1, 1, 1]


def test_what_rounding_alone_decides_settles_nothing():
    n = net("Chaos")
    with pytest.raises(ExportError, match=r"Chaos0.*could not be compared"):
        verify(n, build(n), feeds=[{"data": np.full((2, 3), 5.0)}])


def test_rounding_of_a_picture_is_that_of_what_the_net_takes(monkeypatch):
    """Bytes themselves are never a little off."""
    monkeypatch.setattr("netdef.export.comparison.Pieces._judged", lambda self, run, feed, found: found)
    image = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }'
    text = f'{image} layer {{ name: "chaos" type: "Chaos" bottom: "data" top: "chaos" }}'
    n = toys.net(text, registry_=toys.registry(Chaos))
    exported = build(n, prepare=Preprocess(scale=0.1, bytes=True))
    with pytest.raises(ExportError, match=r"chaos.*could not be compared"):
        verify(n, exported, feeds=[{"data": np.full((2, 3, 4, 4), 77, np.uint8)}], every=True)


class Passing(Twice):
    """(2 a, b): a top may be a value that an earlier layer made and nobody reads again."""

    type, bottoms, tops = "Passing", 2, 2

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
        top[1].data[...] = bottom[1].data

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.const(2.0)]), inputs[1]]


def test_a_value_may_come_back_as_a_later_top(monkeypatch):
    monkeypatch.setattr(parity, "HELD", 0)
    text = 'layer { name: "far" type: "Relu" bottom: "fc" top: "far" }'
    text += 'layer { name: "next" type: "Relu" bottom: "far" top: "next" }'
    text += 'layer { name: "pass" type: "Passing" bottom: "next" bottom: "fc" top: "more" top: "same" }'
    n = toys.net(DATA + DENSE + text, registry_=toys.registry(Passing))
    assert verify(n, build(n, ["more"]), every=True).difference < 1e-5


def test_what_a_layer_wants_reaches_it_through_other_shapes():
    net = built(
        """layer { name: "words" type: "Input" top: "words" input_param { shape { dim: 2 dim: 1 dim: 6 dim: 1 } } }
        layer { name: "row" type: "Flatten" bottom: "words" top: "row" }
        layer { name: "column" type: "Reshape" bottom: "row" top: "column" reshape_param { shape { dim: -1 } } }
        layer { name: "embed" type: "Embed" bottom: "column" top: "embed"
          embed_param { num_output: 3 input_dim: 9 weight_filler { type: "gaussian" } } }""",
        TEST,
    )
    assert verify(net, build(net), every=True).runs == 5


def test_export_file_says_what_was_measured(tmp_path):
    result = export_file(net("Relu"), tmp_path / "toy.onnx", metadata={"a": "b"})
    assert (result.inputs, result.outputs, result.opset) == ({"data": (2, 3)}, {"t0": (2, 4)}, 18)
    assert result.parity.difference < 1e-5 and result.parity.runs == 5
    assert result.size == (tmp_path / "toy.onnx").stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["toy.onnx"]


@pytest.mark.parametrize("limit", [file.LARGEST, 0])
def test_a_failure_leaves_nothing_and_spares_what_was_there(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(file, "LARGEST", limit)
    (tmp_path / "toy.onnx").write_text("old")
    with pytest.raises(ExportError):
        export_file(net("Twice"), tmp_path / "toy.onnx")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("toy.onnx", "old")]


def test_large_weights_go_into_a_file_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "LARGEST", 0)
    wide = DENSE.replace("outputs: 4", "outputs: 400")
    for _ in range(2):
        n = net("Relu", head=DATA + wide)
        result = export_file(n, tmp_path / "toy.onnx", every=True)
        model, data = sorted(tmp_path.iterdir())
        assert (model.name, data.suffix) == ("toy.onnx", ".data")
        assert result.size == model.stat().st_size + data.stat().st_size
        loaded = onnx.load(model)
        assert np.array_equal(onnx.numpy_helper.to_array(loaded.graph.initializer[0]), n.params["fc"][0].data)


PLAIN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 160 dim: 160 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one" convolution_param {
  num_output: 16 kernel_size: 1 weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "one" top: "one" }
layer { name: "two" type: "Convolution" bottom: "one" top: "two" convolution_param {
  num_output: 16 kernel_size: 3 weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 1 } } }
layer { name: "mean" type: "Pooling" bottom: "two" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" } } }
"""


class Total(Twice):
    """The sum of a row, as a runtime that adds one number after the other has it in its last place."""

    type = "Total"

    def infer(self, x):
        return [(x[0], 1)]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.sum(axis=1, dtype=np.float64, keepdims=True)

    def to_onnx(self, graph, inputs):
        sums = graph.op("CumSum", [inputs[0], graph.const(np.array(1))])
        return [graph.op("Gather", [sums, graph.const(np.array([-1]))], axis=1)]


def test_what_a_runtime_rounds_in_one_layer_is_no_difference(monkeypatch):
    """Of 300,000 equal numbers float32 loses 1e-4 and more, one by one, where the net gave it nothing wrong."""
    long = DATA.replace("dim: 3", "dim: 300000") + 'layer { name: "sum" type: "Total" bottom: "data" top: "sum" }'
    n = toys.net(long, registry_=toys.registry(Total))
    feeds = [{"data": np.full((2, 300000), 0.1)}]
    assert verify(n, build(n), feeds=feeds, every=True).difference < 1e-4
    monkeypatch.setattr("netdef.export.parity.Arbiter.differences", lambda *args: [])
    with pytest.raises(ExportError, match="layer 'sum'"):
        verify(n, build(n), feeds=feeds, every=True)


@pytest.mark.parametrize("name", ["one/0", "one/1", "two/0", "two/1", "fc/0", "fc/1"])
@pytest.mark.parametrize("every", [False, True])
def test_a_wrong_weight_is_told_where_it_is(name, every):
    n = built(PLAIN, TEST)
    exported = build(n)
    tensor = next(t for t in exported.model.graph.initializer if t.name == name)
    tensor.raw_data = (onnx.numpy_helper.to_array(tensor) * np.float32(1.5)).tobytes()
    with pytest.raises(ExportError, match=f"layer '{name[:-2]}' .* is the first where ONNX Runtime and the net differ"):
        verify(n, exported, every=every)


def test_a_wrong_wire_is_told_where_it_is():
    n = built(PLAIN, TEST)
    exported = build(n)
    convolution = next(node for node in exported.model.graph.node if "two" in node.output)
    convolution.input[0] = exported.values[1, 0]  # before the ReLU
    with pytest.raises(ExportError, match=r"layer 'two' .* is the first where"):
        verify(n, exported, every=True)
