"""A model compared in pieces is compared as a whole, holds little at once, and its file counts as well."""

import weakref

import numpy as np
import onnx
import pytest
from nets import net as built
from onnx import numpy_helper

from netdef.errors import ExportError
from netdef.export import build, export_file, file, parity, verify
from netdef.export.arbiter import Arbiter
from netdef.export.chain import Chain
from netdef.export.comparison import Comparison, Pieces
from netdef.export.nudge import Nudge, nudged
from netdef.export.piece import Cutter, in_pieces
from netdef.export.preprocess import Preprocess
from netdef.layer import TEST

FILLER = 'weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" }'
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }'
BRANCHES = f"""{INPUT}
layer {{ name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {FILLER} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "one" top: "one" }}
layer {{ name: "drop" type: "Dropout" bottom: "one" top: "drop" }}
layer {{ name: "two" type: "Convolution" bottom: "drop" top: "two"
  convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {FILLER} }} }}
layer {{ name: "bend" type: "TanH" bottom: "two" top: "bend" }}
layer {{ name: "sum" type: "Eltwise" bottom: "one" bottom: "bend" top: "sum" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param {{ num_output: 5 {FILLER} }} }}
"""
WORDS = f"""
layer {{ name: "words" type: "Input" top: "words" input_param {{ shape {{ dim: 2 dim: 6 }} }} }}
layer {{ name: "column" type: "Reshape" bottom: "words" top: "column" reshape_param {{ shape {{ dim: -1 }} }} }}
layer {{ name: "embed" type: "Embed" bottom: "column" top: "embed"
  embed_param {{ num_output: 3 input_dim: 9 {FILLER} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "embed" top: "fc" inner_product_param {{ num_output: 5 {FILLER} }} }}
"""


@pytest.fixture(params=[0, 450, 700, 1 << 30])
def held(request, monkeypatch):
    """One value a piece, a few, and all in one."""
    monkeypatch.setattr(parity, "HELD", request.param)
    return request.param


def changed(model, name, factor):
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.raw_data = (numpy_helper.to_array(tensor) * np.float32(factor)).tobytes()


@pytest.mark.parametrize("prepare", [None, Preprocess(np.array([1.0, 2, 3]), 0.1, swap=True, bytes=True)])
@pytest.mark.parametrize("plan", [False, True])
def test_pieces_agree_as_the_whole_does(held, prepare, plan, tmp_path):
    net = built(BRANCHES, TEST, plan=plan)
    found = export_file(net, tmp_path / "m.onnx", every=True, prepare=prepare).parity
    assert found.difference < 1e-5 and (found.runs, found.constant) == (5, ())


@pytest.mark.parametrize("name", ["one", "two", "fc"])
@pytest.mark.parametrize("limit", [file.LARGEST, 0])
def test_a_wrong_weight_is_told_whatever_the_pieces(held, name, limit, tmp_path, monkeypatch):
    monkeypatch.setattr(file, "LARGEST", limit)
    net = built(BRANCHES, TEST)
    monkeypatch.setattr(file, "convert", lambda exported, opset: changed(exported.model, f"{name}/0", 1.01))
    with pytest.raises(ExportError, match=f"layer '{name}' .* is the first where"):
        export_file(net, tmp_path / "m.onnx", every=True)


def test_the_tops_of_one_operation_may_be_in_several_pieces(held):
    text = """layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" top: "c" }
        layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "c" top: "sum" }
        layer { name: "more" type: "Eltwise" bottom: "a" bottom: "sum" bottom: "c" top: "more" }"""
    net = built(INPUT + text, TEST)
    assert verify(net, build(net), every=True).difference < 1e-5


def test_a_file_that_is_not_its_pieces_is_found_out(tmp_path):
    net = built(BRANCHES, TEST)
    exported = build(net)
    other = onnx.ModelProto()
    other.CopyFrom(exported.model)
    changed(other, "one/0", 1.5)
    onnx.save(other, tmp_path / "m.onnx")
    for every in (False, True):
        with pytest.raises(ExportError, match=r"layer 'fc' .* is the first where"):
            verify(net, exported, tmp_path / "m.onnx", every=every)


@pytest.mark.parametrize(("name", "rounded"), [("", True), ("one", False), ("fc", False)])
def test_what_the_whole_model_rounds_is_told_from_what_is_wrong(name, rounded, tmp_path):
    """Asked where its output is far from that of the pieces, as where rounding throws out another box."""
    net = built(BRANCHES, TEST)
    exported = build(net)
    other = onnx.ModelProto()
    other.CopyFrom(exported.model)
    if name:
        changed(other, f"{name}/0", 1.5)
    onnx.save(other, tmp_path / "m.onnx")
    arbiter = Arbiter(net, exported, tmp_path / "m.onnx", 1e-4, 1)
    values = list(dict.fromkeys(exported.values.values()))
    chain = Chain(exported, in_pieces(arbiter.cutter, dict.fromkeys(values[1:], 1), 1, ()), 1)
    pieces = Pieces(Comparison(net, exported, values, 1e-4), chain, arbiter)
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 5), np.float32)
    assert pieces._rounded("fc", {"data": x}) is rounded


def test_values_are_given_up_when_nobody_asks_again():
    net = built(BRANCHES, TEST)
    exported = build(net)
    values = [v for v in exported.values.values() if v != "data"]
    pieces = list(in_pieces(Cutter(exported, None), dict.fromkeys(values, 1), 1, ()))
    assert [piece.gives for piece in pieces] == [[v] for v in dict.fromkeys(values)]
    given = Chain(exported, pieces, 1).values({"data": np.ones((2, 3, 5, 5), np.float32)})
    seen, alive = {}, []
    for value in values:
        seen[value] = weakref.ref(given[value])
        alive.append([name for name, x in seen.items() if x() is not None])
    assert alive[-1] == ["sum", "fc"] and max(map(len, alive)) == 3
    assert "two" in alive[values.index("two")] and "two" not in alive[values.index("sum")]


def test_real_numbers_are_disturbed_and_indices_are_not():
    x = np.array([7, 0.3, -1e5, 0], np.float32)
    assert (nudged(x) != x).tolist() == [True, True, True, False]
    assert np.allclose(nudged(x), x, rtol=3e-7, atol=0)
    net = built(WORDS, TEST)
    nudge = Nudge(net, build(net))
    assert nudge.counted == {"words", "column"}
    assert (nudge("words", x) != x).tolist() == [False, True, False, False]
    assert (nudge("embed", x) != x).tolist() == [True, True, True, False]


@pytest.mark.parametrize("every", [False, True])
def test_a_wrong_row_is_not_taken_for_the_rounding_of_an_index(every):
    net = built(WORDS, TEST)
    exported = build(net)
    changed(exported.model, "embed/0", 1.01)
    with pytest.raises(ExportError, match=r"layer 'embed' .* is the first where"):
        verify(net, exported, every=every)


@pytest.mark.parametrize("every", [False, True])
def test_a_wrong_weight_is_not_taken_for_the_rounding_of_a_byte(every):
    net = built(BRANCHES, TEST)
    exported = build(net, prepare=Preprocess(scale=0.1, bytes=True))
    changed(exported.model, "one/0", 1.01)
    with pytest.raises(ExportError, match=r"layer 'one' .* is the first where"):
        verify(net, exported, every=every)


@pytest.mark.parametrize("every", [False, True])
def test_whoever_watches_is_told_of_inputs_and_layers(every):
    net, told = built(BRANCHES, TEST), []
    verify(net, build(net), every=every, watch=lambda *what: told.append(what))
    steps = [done for done, _, _ in told]
    assert steps == sorted(steps) and {total for _, total, _ in told} == {steps[-1]}
    assert told[0] == (0, steps[-1], "the model as it is") and told[-1][2] == ""
    assert [what for _, _, what in told if "'bend'" in what] == [f"input {k} of 5, layer 'bend'" for k in range(1, 6)]
