"""NetState rules: which layers a phase, a level and stages keep."""

import itertools

import pytest
import toys

from netdef import prototxt
from netdef.errors import GraphError
from netdef.graph.filter import filter_net
from netdef.graph.prepare import prepare

TRAIN, TEST = 0, 1
NET = toys.registry().schema.message("NetParameter")


def net(*rules):
    """One layer for each string of rules, named 0, 1, ..."""
    text = "".join(f'layer {{ name: "{i}" type: "T" {rule} }}\n' for i, rule in enumerate(rules))
    return prototxt.parse(text, NET, "net.prototxt")


def kept(rules, phase=TRAIN, level=0, stages=()):
    return [layer.name for layer in filter_net(net(*rules), phase, level, tuple(stages)).layer]


# rule, state, whether the rule is met
RULES = [
    ("phase: TRAIN", (TRAIN, 0, ""), True),
    ("phase: TRAIN", (TEST, 0, ""), False),
    ("phase: TEST", (TEST, 0, ""), True),
    ("", (TEST, -7, "any"), True),
    ("min_level: 2", (TRAIN, 1, ""), False),
    ("min_level: 2", (TRAIN, 2, ""), True),
    ("max_level: 2", (TRAIN, 2, ""), True),
    ("max_level: 2", (TRAIN, 3, ""), False),
    ("min_level: 0", (TRAIN, -1, ""), False),
    ("max_level: 0", (TRAIN, 1, ""), False),
    ("min_level: 1 max_level: 3", (TRAIN, 3, ""), True),
    ("min_level: 3 max_level: 1", (TRAIN, 2, ""), False),
    ('stage: "a"', (TRAIN, 0, ""), False),
    ('stage: "a"', (TRAIN, 0, "b"), False),
    ('stage: "a"', (TRAIN, 0, "b a"), True),
    ('stage: "a" stage: "b"', (TRAIN, 0, "a"), False),
    ('stage: "a" stage: "b"', (TRAIN, 0, "b a c"), True),
    ('not_stage: "a"', (TRAIN, 0, ""), True),
    ('not_stage: "a"', (TRAIN, 0, "a"), False),
    ('not_stage: "a" not_stage: "b"', (TRAIN, 0, "c b"), False),
    ('stage: "a" not_stage: "b"', (TRAIN, 0, "a"), True),
    ('stage: "a" not_stage: "b"', (TRAIN, 0, "a b"), False),
    ('phase: TEST min_level: 1 stage: "a"', (TEST, 1, "a"), True),
    ('phase: TEST min_level: 1 stage: "a"', (TEST, 0, "a"), False),
    ('phase: TEST min_level: 1 stage: "a"', (TRAIN, 1, "a"), False),
]


@pytest.mark.parametrize(("rule", "state", "met"), RULES)
def test_one_rule(rule, state, met):
    phase, level, stages = state
    assert kept([f"include {{ {rule} }}"], phase, level, stages.split()) == (["0"] if met else [])
    assert kept([f"exclude {{ {rule} }}"], phase, level, stages.split()) == ([] if met else ["0"])


def test_any_of_two_rules_counts():
    for (one, state, first), (two, _, _) in itertools.combinations(RULES, 2):
        phase, level, stages = state
        second = bool(kept([f"include {{ {two} }}"], phase, level, stages.split()))
        both = f"include {{ {one} }} include {{ {two} }}"
        assert bool(kept([both], phase, level, stages.split())) == (first or second), (both, state)
        neither = both.replace("include", "exclude")
        assert bool(kept([neither], phase, level, stages.split())) == (not (first or second)), (neither, state)


def test_all_but_the_layers_is_kept():
    written = prototxt.parse('name: "n" force_backward: true layer { name: "a" exclude { } }', NET)
    found = filter_net(written, TRAIN)
    assert (found.name, found.force_backward, len(found.layer)) == ("n", True, 0)
    assert found.state.level == 0


def test_a_layer_without_rules_stays_and_the_order_holds():
    rules = ["", "include { phase: TEST }", "exclude { phase: TEST }", ""]
    assert kept(rules, TRAIN) == ["0", "2", "3"]
    assert kept(rules, TEST) == ["0", "1", "3"]


def test_both_kinds_of_rules_are_refused_at_the_layer():
    with pytest.raises(GraphError, match=r"net.prototxt:2:1: layer '1' \(T\): has both include and exclude rules"):
        kept(["", "include { phase: TRAIN } exclude { stage: 'a' }"])


def test_the_original_is_left_alone_and_the_state_is_noted():
    written = net("include { phase: TEST }", "")
    before = written.SerializeToString(deterministic=True)
    found = filter_net(written, TRAIN, 3, ("a", "b"))
    assert written.SerializeToString(deterministic=True) == before
    assert (found.state.phase, found.state.level, list(found.state.stage)) == (TRAIN, 3, ["a", "b"])


@pytest.mark.parametrize(("level", "stages", "names"), [(None, (), "ab"), (0, (), "a"), (None, ("v",), "abc")])
def test_the_files_own_state_holds_where_the_caller_names_none(level, stages, names):
    layer = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ dim: 1 }} }} include {{ {1} }} }}\n'
    text = 'state { level: 2 stage: "u" }\n'
    text += layer.format("a", 'stage: "u"') + layer.format("b", "min_level: 2") + layer.format("c", 'stage: "v"')
    found = prepare(prototxt.parse(text, NET), toys.registry(), TRAIN, level, stages)
    assert "".join(layer.name for layer in found.layer) == names


def test_a_net_with_no_layer_left_says_for_which_phase():
    written = net("include { phase: TRAIN }")
    with pytest.raises(GraphError, match="net '': no layer is left for phase TEST"):
        prepare(written, toys.registry(), TEST, None, ())
