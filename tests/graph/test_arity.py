"""Counts of bottoms and tops, automatic tops, tops made twice: what is refused, and in which words."""

import pytest
import toys

from netdef.errors import GraphError, PluginError
from netdef.graph.arity import spelled
from netdef.layer import ParameterFree

INPUT = 'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 4 } } }\n'


class Many(ParameterFree):
    type, bottoms, tops = "Many", (2, None), (1, 2)

    def infer(self, *shapes):
        return [shapes[0]] * len(self.layer_param.top)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


def refused(text):
    with pytest.raises(GraphError) as caught:
        toys.net(INPUT + text, registry_=toys.registry(Many))
    return str(caught.value)


COUNTS = {
    'layer { name: "d" type: "Dense" bottom: "a" bottom: "b" top: "d" }': "Dense takes 1 bottom, got 2 ('a', 'b')",
    'layer { name: "d" type: "Dense" top: "d" }': "Dense takes 1 bottom, got 0 (none)",
    'layer { name: "d" type: "Dense" bottom: "a" }': "Dense takes 1 top, got 0 (none)",
    'layer { name: "h" type: "Halves" bottom: "a" top: "h" }': "Halves takes 2 tops, got 1 ('h')",
    'layer { name: "m" type: "Many" bottom: "a" top: "m" }': "Many takes 2 or more bottoms, got 1 ('a')",
    'layer { name: "m" type: "Many" bottom: "a" bottom: "b" }': "Many takes 1 or 2 tops, got 0 (none)",
    'layer { name: "m" type: "Many" bottom: "a" bottom: "b" top: "x" top: "y" top: "z" }': (
        "Many takes 1 or 2 tops, got 3 ('x', 'y', 'z')"
    ),
}


@pytest.mark.parametrize("text", COUNTS)
def test_a_wrong_count_shows_what_is_wanted_and_what_was_written(text):
    name, kind = text.split('"')[1], text.split('"')[3]
    assert refused(text) == f"toy.prototxt:2:1: layer '{name}' ({kind}): {COUNTS[text]}"


@pytest.mark.parametrize(
    ("declared", "words"),
    [(0, "0"), (1, "1"), ((2, None), "2 or more"), ((1, 2), "1 or 2"), ((1, 3), "1 to 3"), ((2, 2), "2")],
)
def test_counts_in_words(declared, words):
    assert spelled(declared) == words


def test_a_loss_without_a_top_gets_one_that_is_minimized():
    net = toys.net(INPUT + 'layer { name: "l" type: "MeanLoss" bottom: "a" bottom: "b" }')
    (top,) = net.tops[-1]
    assert net.outputs == [net.layers[-1].layer_param.top[0]]
    net.blobs["a"].data[...] = 3
    assert net.forward() == 9
    assert top.diff == 1


def test_several_losses_without_tops_do_not_meet():
    text = INPUT + "".join(f'layer {{ name: "{n}" type: "MeanLoss" bottom: "a" bottom: "b" }}\n' for n in "lm")
    net = toys.net(text)
    net.blobs["a"].data[...] = 3
    assert net.forward() == 18
    assert len(net.outputs) == 2


def test_a_top_made_twice_names_both_places():
    message = refused('layer { name: "s" type: "Relu" bottom: "b" top: "a" }')
    place = "toy.prototxt:2:1: layer 's' (Relu)"
    assert message == f"{place}: top 'a' is already made by toy.prototxt:1:1: layer 'in' (Input)"


def test_a_layer_cannot_give_two_tops_one_name():
    assert "top 'h' is already made by" in refused('layer { name: "h" type: "Halves" bottom: "a" top: "h" top: "h" }')


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Dence", "unknown layer type 'Dence'; did you mean 'Dense'?"),
        ("relu", "unknown layer type 'relu'; did you mean 'Relu'?"),
        ("Zzzzzzzz", "unknown layer type 'Zzzzzzzz'"),
        ("", "want a type, one of those that netdef layers lists"),
    ],
)
def test_an_unknown_type_stands_at_its_place(kind, words):
    with pytest.raises(PluginError) as caught:
        toys.net(INPUT + f'layer {{ name: "d" type: "{kind}" bottom: "a" top: "d" }}')
    message = str(caught.value)
    assert message.startswith("toy.prototxt:2:1: layer 'd' (")
    assert message.endswith(words)


def test_an_unknown_type_in_another_phase_is_nobodys_business():
    text = INPUT + 'layer { name: "d" type: "Nowhere" bottom: "a" top: "d" include { phase: TRAIN } }'
    assert [layer.name for layer in toys.net(text, phase=1).layers] == ["in"]
