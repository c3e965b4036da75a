"""Old text in, today's text out: every file in cases/ is a net, `# becomes`, and the net it must become."""

from pathlib import Path
from typing import Any

import pytest
from netdef_proto.netdef_pb2 import NetParameter, SolverParameter, V1LayerParameter

from netdef import prototxt
from netdef.errors import GraphError, NetdefError, PrototxtError, SolverError
from netdef.schema import Schema
from netdef.upgrade import needs_upgrade, upgrade_net, upgrade_solver, v0, v1

CASES = sorted((Path(__file__).parent / "cases").glob("*.prototxt"))


def net(text: str) -> Any:
    return prototxt.parse(text, NetParameter, "n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    old, becomes = path.read_text().split("# becomes\n")
    given = net(old)
    before = given.SerializeToString()
    assert needs_upgrade(given) == [line[10:] for line in old.splitlines() if line.startswith("# needed: ")]
    upgraded = upgrade_net(given)
    assert given.SerializeToString() == before
    assert prototxt.write(upgraded) == prototxt.write(net(becomes))
    assert needs_upgrade(upgraded) == []
    assert upgrade_net(upgraded) is upgraded


def test_origins_come_along() -> None:
    old = net(
        'input: "x" input_dim: [1, 1, 1, 1]\nlayers { layer { type: "padding" } bottom: "x" top: "p" }\n'
        'layers {\n layer { type: "conv" } bottom: "p" }\nlayers { type: RELU }'
    )
    assert [layer.netdef_origin for layer in upgrade_net(old).layer] == ["", "n:3:1", "n:5:1"]


def test_works_on_composed_classes() -> None:
    schema = Schema()
    composed = schema.message("NetParameter")
    text = 'input: "x" input_dim: [1, 1, 1, 1] layers { layer { type: "conv" kernelsize: 3 pad: 1 } bottom: "x" }'
    upgraded = upgrade_net(prototxt.parse(text, composed))
    assert isinstance(upgraded, composed) and composed is not NetParameter
    assert prototxt.write(upgraded) == prototxt.write(upgrade_net(net(text)))
    solver = upgrade_solver(
        prototxt.parse("solver_type: ADAM net_param { layers { } }", schema.message("SolverParameter"))
    )
    assert (solver.type, len(solver.net_param.layer)) == ("Adam", 1)


def test_every_v1_type_has_todays_name(shared: Path) -> None:
    """Against the layer types listed in semantics.md; NONE alone has no name."""
    text = (shared / "caffe/semantics.md").read_text()
    todays = set(text.split("## The 61 layer types of BVLC Caffe\n")[1].split("\n\n")[0].split())
    names = [v1.type_name(value.name) for value in V1LayerParameter.LayerType.DESCRIPTOR.values]
    assert set(names) - todays == {""}
    assert len(set(names)) == len(names)


def test_every_v0_type_and_setting_is_in_the_schema() -> None:
    fields = V1LayerParameter.DESCRIPTOR.fields_by_name
    enum = fields["type"].enum_type.values_by_name
    assert set(v0.TYPES.values()) <= set(enum)
    for name, blocks in v0.SETTINGS.values():
        assert set(blocks) <= set(v0.TYPES)
        assert all(name in fields[block].message_type.fields_by_name for block in blocks.values())


def test_every_v0_setting_has_a_place() -> None:
    known = {*v0.SETTINGS, *v0.TRANSFORM, *v0.KEPT, "type", "netdef_origin"}
    dropped = {field.name for field in V1LayerParameter.DESCRIPTOR.fields_by_name["layer"].message_type.fields} - known
    assert dropped == {"new_num", "new_channels"}  # of a reshape layer that Caffe never had


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            'layers { layer { name: "a" type: "convolve" } }',
            PrototxtError,
            "n:1:1: layer 'a': no V0 layer type 'convolve'; want accuracy, bnll",
        ),
        (
            'layers { layer { type: "padding" } bottom: "x" top: "p" }\n'
            'layers { layer { name: "r" type: "relu" } bottom: "p" }',
            GraphError,
            "n:2:1: layer 'r': only conv or pool of one bottom takes padding",
        ),
        (
            'layers { layer { name: "p" type: "padding" } top: "p" }\nlayers { layer { type: "conv" } bottom: "p" }',
            GraphError,
            "n:1:1: layer 'p': padding takes one bottom and makes one top",
        ),
        (
            "layers { type: RELU }\nlayer { } layer { }",
            PrototxtError,
            "n:2:1: 1 'layers' and 2 'layer' in one net; want only 'layer'",
        ),
        ("input: 'a'", PrototxtError, "1 input ('a') with 0 input_dim; want 1 input_shape, or 4 input_dim"),
        ("input: 'a' input_dim: [1, 2, 3]", PrototxtError, "1 input ('a') with 3 input_dim; want 1 input_shape"),
        ("input: 'a' input: 'b' input_shape { }", PrototxtError, "2 input ('a', 'b') with 1 input_shape; want 2"),
    ],
)
def test_what_cannot_be_carried_over_is_an_error(text: str, error: type[NetdefError], message: str) -> None:
    with pytest.raises(error) as caught:
        upgrade_net(net(text))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
        ("4", "AdaDelta"),
    ],
)
def test_solver_type(old: str, new: str) -> None:
    solver = prototxt.parse(f"base_lr: 1 solver_type: {old}", SolverParameter)
    upgraded = upgrade_solver(solver)
    assert upgraded == SolverParameter(base_lr=1, type=new)
    assert solver.HasField("solver_type") and not solver.HasField("type")


def test_solver_types_that_contradict() -> None:
    with pytest.raises(SolverError, match="solver_type: ADAM and type: 'SGD' are both given"):
        upgrade_solver(prototxt.parse("solver_type: ADAM type: 'SGD'", SolverParameter))


def test_nets_inside_a_solver() -> None:
    old = "layers { type: RELU }"
    solver = prototxt.parse(f"train_net_param {{ {old} }} test_net_param {{ {old} {old} }} net: 'n'", SolverParameter)
    upgraded = upgrade_solver(solver)
    assert [layer.type for layer in upgraded.train_net_param.layer] == ["ReLU"]
    assert [layer.type for layer in upgraded.test_net_param[0].layer] == ["ReLU", "ReLU"]
    assert not upgraded.test_net_param[0].layers and not upgraded.HasField("net_param")
    assert upgrade_solver(upgraded) == upgraded
