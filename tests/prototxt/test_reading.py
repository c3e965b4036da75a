"""Habits of public nets that must read, each with the message it means."""

from pathlib import Path

import pytest
from netdef_proto.netdef_pb2 import TEST, LayerParameter, NetParameter, PoolingParameter, SolverParameter

from netdef import prototxt


def layer(text: str) -> LayerParameter:
    return prototxt.parse(text, LayerParameter)


@pytest.mark.parametrize(
    "text",
    [
        'name: "a" type: "ReLU"',
        "name: 'a' type: 'ReLU'",
        'name:"a",type:"ReLU";',
        'name\t:\t"a"\r\ntype: "ReLU"\r\n',
        '# first\nname: "a" # then {\n#type: "TanH"\ntype: "ReLU"#end',
        '\ufeffname: "a" type: "ReLU"',
        'name: "\\141" type: "Re" "LU"',
        'name: "a"\ntype: "Re"\n  "LU"',
    ],
)
def test_ways_to_write_one_layer(text: str) -> None:
    read = layer(text)
    assert (read.name, read.type) == ("a", "ReLU")


@pytest.mark.parametrize(
    "block", ["pooling_param { %s }", "pooling_param: { %s }", "pooling_param < %s >", "pooling_param{%s}"]
)
def test_ways_to_write_a_block(block: str) -> None:
    assert layer(block % "kernel_size: 3").pooling_param.kernel_size == 3


def test_name_and_brace_of_a_net_written_as_a_block_name() -> None:
    net = prototxt.parse('name: "n" layer: { name: "a" } layer { name: "b" }', NetParameter)
    assert [entry.name for entry in net.layer] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.", 1), (".875", 0.875), ("1e-3", 0.001), ("1E-3", 0.001), ("-1", -1), ("0.1f", 0.1), ("2", 2)],
)
def test_floats(text: str, value: float) -> None:
    assert layer(f"relu_param {{ negative_slope: {text} }}").relu_param.negative_slope == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("t", True), ("1", True), ("false", False), ("0", False)]
)
def test_booleans(text: str, value: bool) -> None:
    assert layer(f"pooling_param {{ global_pooling: {text} }}").pooling_param.global_pooling is value


@pytest.mark.parametrize("text", ["AVE", "1"])
def test_enums_by_name_and_number(text: str) -> None:
    assert layer(f"pooling_param {{ pool: {text} }}").pooling_param.pool == PoolingParameter.AVE
    assert layer(f"phase: {text.replace('AVE', 'TEST')}").phase == TEST


def test_lists() -> None:
    assert list(layer('bottom: ["a", "b"] bottom: "c" top: []').bottom) == ["a", "b", "c"]
    assert [rule.phase for rule in layer("include: [{ phase: TRAIN }, { phase: TEST }]").include] == [0, 1]
    solver = prototxt.parse("stepvalue: [10, 20]\nstepvalue: 30", SolverParameter)
    assert list(solver.stepvalue) == [10, 20, 30]


def test_names_of_any_letters() -> None:
    assert list(layer('bottom: "conv1@2x/a+b" top: "caf\u00e9"').bottom) == ["conv1@2x/a+b"]


def test_brackets_and_hashes_inside_text() -> None:
    read = layer('name: "a # { b \\" }" python_param { param_str: \'{"x": [1, 2]}\' } type: "Python"')
    assert read.name == 'a # { b " }'
    assert read.python_param.param_str == '{"x": [1, 2]}'
    assert read.type == "Python"


def test_comments_may_hold_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'# caf\xe9\nname: "n" # \xb5\nlayer { name: "a" }\n')
    assert prototxt.read(path, NetParameter).layer[0].name == "a"


def test_empty_text_is_an_empty_message() -> None:
    assert prototxt.parse("# nothing\n", NetParameter) == NetParameter()
