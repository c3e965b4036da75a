"""A net beside its twin: agreement is proved layer by layer, and what differs is on neither side."""

import pytest
from twin import Twin

from netdef import prototxt, registry
from netdef.errors import PluginError
from netdef.net import Net
from netdef.report import against

NET = """
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 6 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.3 } } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }
layer { name: "out" type: "InnerProduct" bottom: "y" top: "z"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "t" top: "loss" }
"""
LAYERS = ["fc", "relu", "drop", "out", "loss"]


def build(plan: bool, phase: int = 0) -> Net:
    param = prototxt.parse(NET, registry.default().schema.message("NetParameter"), "net.prototxt")
    return Net(param, phase, seed=1, plan=plan)


def compare(iterations: int = 2, **settings) -> against.Comparison:
    return against.compare(build, type("Set", (Twin,), settings), iterations)


def test_a_twin_agrees_layer_by_layer_and_as_a_whole():
    found = compare(iterations=12)
    assert [x.name for x in found.layers] == LAYERS and found.left_out == {}
    assert found.difference < 1e-6
    assert set(found.steps) == {"", "first", "second"} and len(found.ratios) == 6
    assert all(x.forward > 0 and x.peer == {"first": (1.0, 2.0), "second": (1.0, 2.0)} for x in found.layers)
    assert [x.backward > 0 for x in found.layers] == [True] * 5


def test_in_phase_test_nobody_runs_backward():
    asked: list[bool] = []

    class Watched(Twin):
        def one(self, i, xs, dys, down):
            asked.append(dys is not None or any(down))
            return super().one(i, xs, dys, down)

        def run(self, layout, given):
            assert not any(self.checked.runs_backward)
            return super().run(layout, given)

        def __init__(self, net, sources):
            super().__init__(net, sources)
            self.checked = net

    found = against.compare(lambda plan: build(plan, phase=1), Watched, 1)
    assert asked == [False] * 5 and {x.backward for x in found.layers} == {0.0}


@pytest.mark.parametrize("wrong", [("fc", "top"), ("out", "bottom"), ("fc", "parameter"), ("loss", "top")])
def test_a_layer_that_differs_is_named_and_left_out(wrong):
    found = compare(wrong=wrong)
    assert list(found.left_out) == [wrong[0]] and "0.1" in found.left_out[wrong[0]]
    assert [x.name for x in found.layers] == [name for name in LAYERS if name != wrong[0]]
    assert found.steps == {} and found.ratios == []


def test_a_layer_that_the_peer_lacks_is_named_and_left_out():
    found = compare(without=("relu", "out"))
    assert found.left_out == {"relu": "twins do not do it", "out": "twins do not do it"}
    assert [x.name for x in found.layers] == ["fc", "drop", "loss"] and found.steps == {}


def test_a_peer_that_raises_is_a_layer_left_out():
    def one(self, i, xs, dys, down):
        if self.net.layers[i].name == "relu":
            raise RuntimeError("not that\nand more")
        return Twin.one(self, i, xs, dys, down)

    assert compare(one=one).left_out == {"relu": "twin 1 refuses it: not that"}


def test_a_whole_net_that_differs_alone_is_an_error():
    with pytest.raises(PluginError, match=r"layer .loss. differs by .* in the whole net alone"):
        compare(wrong=("", "whole"))


def test_turns_alternate_and_the_first_pass_of_each_does_not_count():
    calls: list[str] = []
    found = against.alternate({name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}, 10)
    assert "".join(calls) == "aabb" + "aaabbb" + "bbbaaa" + "aaabbb" + "bbbaaa" + "aaabbb"
    assert found["a"] == [[6, 7], [15, 16], [18, 19], [27, 28], [30, 31]]


@pytest.mark.parametrize(("iterations", "turns", "size"), [(1, 1, 1), (3, 3, 1), (5, 5, 1), (50, 5, 10), (99, 10, 10)])
def test_there_are_five_turns_where_iterations_allow(iterations, turns, size):
    found = against.alternate({"": lambda: None}, iterations)[""]
    assert (len(found), {len(turn) for turn in found}) == (turns, {size})


def test_the_ratio_is_to_the_better_layout_turn_by_turn():
    layers = [against.LayerPair("a", "A", 1, 1, {"slow": (1, 1), "fast": (5, 5)})]
    found = against.Comparison("p", 1, 0, {}, layers, {"": [1, 2, 3], "slow": [9, 9, 9], "fast": [2, 8, 2]})
    assert (found.layout, found.ratios) == ("fast", [0.5, 0.25, 1.5])
    found.steps = {}
    assert (found.layout, found.ratios) == ("slow", [])
