"""Each layer knows where it was written, and nobody sees it in what is written back."""

from netdef_proto.netdef_pb2 import NetParameter, SolverParameter

from netdef import prototxt

NET = """# layer {
name: "layer { }"
layer { name: "a" }
  layer {
  name: "b" relu_param { }  # layer {
} layer: [{ name: "c" },
  { name: "d" }]
"""


def test_every_layer_of_a_net() -> None:
    net = prototxt.parse(NET, NetParameter, "n.prototxt")
    places = {layer.name: layer.netdef_origin for layer in net.layer}
    assert places == {"a": "n.prototxt:3:1", "b": "n.prototxt:4:3", "c": "n.prototxt:6:11", "d": "n.prototxt:7:3"}


def test_both_layers_of_v0() -> None:
    net = prototxt.parse('layers {\n  layer { name: "a" }\n}\nlayers { name: "b" }', NetParameter, "n")
    assert [layer.netdef_origin for layer in net.layers] == ["n:1:1", "n:4:1"]
    assert net.layers[0].layer.netdef_origin == "n:2:3"
    assert not net.layers[1].HasField("layer")


def test_nets_inside_a_solver() -> None:
    text = "train_net_param { layer { } }\ntest_net_param { layer { } layer { } }\ntest_net_param { layers { } }"
    solver = prototxt.parse(text, SolverParameter, "s")
    assert solver.train_net_param.layer[0].netdef_origin == "s:1:19"
    assert [layer.netdef_origin for layer in solver.test_net_param[0].layer] == ["s:2:18", "s:2:28"]
    assert solver.test_net_param[1].layers[0].netdef_origin == "s:3:18"


def test_never_written() -> None:
    net = prototxt.parse(NET + "layers { layer { name: 'v0' } }", NetParameter)
    solver = SolverParameter(net_param=net, test_net_param=[net])
    assert "origin" not in prototxt.write(net)
    assert "origin" not in prototxt.write(solver)
    assert net.layer[0].netdef_origin, "the message itself keeps it"
