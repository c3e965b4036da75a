"""Which layers run backward and where gradients go, against Caffe's rules and against brute force."""

import itertools

import numpy as np
import pytest
import toys

from netdef.errors import GraphError
from netdef.graph.need import Node, mark

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
TARGET = 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 2 } } }\n'


def dense(name, bottom, top, more="", lr=None):
    param = "" if lr is None else f"param {{ lr_mult: {lr} }} param {{ lr_mult: {lr} }}"
    return f"""layer {{ name: "{name}" type: "Dense" bottom: "{bottom}" top: "{top}" {param} {more}
      dense_param {{ filler {{ type: "gaussian" std: 1 }} }} }}\n"""


def loss(bottoms, name="loss", more=""):
    named = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    return f'layer {{ name: "{name}" type: "MeanLoss" {named} top: "{name}" {more} }}\n'


def needs(text, **settings):
    """Layer name -> (runs backward, which bottoms get a gradient)."""
    net = toys.net(text, **settings)
    found = zip(net.layers, net.runs_backward, net.propagate_down, strict=True)
    return {layer.name: (runs, down) for layer, runs, down in found}


def test_a_gradient_goes_from_the_loss_to_the_first_parameter_and_no_further():
    found = needs(INPUT + TARGET + dense("a", "x", "a") + dense("b", "a", "b") + loss("b t"))
    assert found == {
        "x": (False, []),
        "t": (False, []),
        "a": (True, [False]),
        "b": (True, [True]),
        "loss": (True, [True, False]),
    }


def test_a_frozen_layer_above_a_learning_one_passes_the_gradient_on():
    found = needs(INPUT + TARGET + dense("a", "x", "a") + dense("b", "a", "b", lr=0) + loss("b t"))
    assert found["b"] == (True, [True])


def test_frozen_layers_below_the_first_learning_one_do_nothing():
    found = needs(INPUT + TARGET + dense("a", "x", "a", lr=0) + dense("b", "a", "b") + loss("b t"))
    assert found["a"] == (False, [False])
    assert found["b"] == (True, [False])


def test_a_branch_that_no_loss_needs_does_nothing():
    text = INPUT + TARGET + dense("a", "x", "a") + dense("side", "a", "side") + loss("a t")
    found = needs(text + 'layer { name: "score" type: "Score" bottom: "side" bottom: "t" top: "score" }')
    assert found["side"] == (False, [False])
    assert found["score"] == (False, [False, False])
    assert found["a_a_0_split"] == (True, [True])
    assert found["a"] == (True, [False])


def test_propagate_down_false_cuts_a_branch():
    text = INPUT + TARGET + dense("a", "x", "a") + dense("b", "a", "b", "propagate_down: false") + loss("b t")
    found = needs(text)
    assert found["b"] == (True, [False])
    assert found["a"] == (False, [False])


def test_propagate_down_true_gives_an_input_its_gradient():
    found = needs(INPUT + TARGET + dense("a", "x", "a", "propagate_down: true") + loss("a t"))
    assert found["a"] == (True, [True])


def test_propagate_down_must_name_every_bottom_or_none():
    text = INPUT + TARGET + dense("a", "x", "a") + loss("a t", more="propagate_down: true")
    with pytest.raises(GraphError, match=r"layer 'loss' .*1 propagate_down for 2 bottoms"):
        needs(text)


def test_two_losses_each_bring_their_own():
    text = INPUT + TARGET + dense("a", "x", "a") + dense("b", "a", "b") + dense("c", "a", "c")
    found = needs(text + loss("b t", "first") + loss("c t", "second"))
    assert [found[name][0] for name in ("a", "b", "c", "first", "second")] == [True] * 5
    assert found["a_a_0_split"] == (True, [True])


def test_a_loss_of_weight_0_needs_nothing():
    found = needs(INPUT + TARGET + dense("a", "x", "a") + loss("a t", more="loss_weight: 0"))
    assert not any(runs for runs, _ in found.values())


def test_a_loss_weight_on_any_layer_starts_a_gradient():
    found = needs(INPUT + dense("a", "x", "a", "loss_weight: 1"))
    assert found["a"] == (True, [False])


def test_a_loss_whose_value_is_read_is_still_minimized():
    """Caffe trains nothing here: the reader's unneeded bottom hides the loss."""
    text = INPUT + TARGET + dense("a", "x", "a") + loss("a t")
    text += 'layer { name: "score" type: "Score" bottom: "loss" bottom: "t" top: "score" }'
    net = toys.net(text)
    net.blobs["x"].data[...] = np.arange(6).reshape(2, 3)
    total = net.forward()
    net.backward()
    alone = toys.net(INPUT + TARGET + dense("a", "x", "a") + loss("a t"))
    alone.blobs["x"].data[...] = net.blobs["x"].data
    assert alone.forward() == total != 0
    alone.backward()
    assert np.array_equal(net.params["a"][0].diff, alone.params["a"][0].diff)
    assert net.params["a"][0].diff.any()


def test_force_backward_reaches_the_inputs_but_not_labels():
    class Labelled(toys.Mean):
        type, no_gradient = "Labelled", (1,)

    text = "force_backward: true\n" + INPUT + TARGET + dense("a", "x", "a", lr=0) + loss("a t")
    found = needs(text)
    assert found["a"] == (True, [True])
    assert found["loss"] == (True, [True, True])
    found = needs(text.replace("MeanLoss", "Labelled"), registry_=toys.registry(Labelled))
    assert found["loss"] == (True, [True, False])


def test_a_gradient_towards_a_label_is_refused_by_name():
    class Labelled(toys.Mean):
        type, no_gradient = "Labelled", (1,)

    text = INPUT + dense("a", "x", "a") + dense("b", "x", "b") + loss("a b").replace("MeanLoss", "Labelled")
    net = toys.net(text, registry_=toys.registry(Labelled))
    net.forward()
    with pytest.raises(Exception, match=r"layer 'loss' .*bottom 1 \('b'\) can have no gradient"):
        net.backward()


def reference(nodes):
    """A path from a parameter up to here and from here up to a loss: what must run, by reachability."""
    above = [{j for j, n in enumerate(nodes) if set(n.bottoms) & set(m.tops)} for m in nodes]

    def reaches(i, good):
        return good(nodes[i]) or any(reaches(j, good) for j in above[i])

    def learns_below(i):
        return nodes[i].learns or any(learns_below(j) for j in range(len(nodes)) if i in above[j])

    runs = [reaches(i, lambda n: n.has_loss) and learns_below(i) for i in range(len(nodes))]
    maker = {t: i for i, n in enumerate(nodes) for t in n.tops}
    down = [[runs[i] and learns_below(maker[b]) for b in n.bottoms] for i, n in enumerate(nodes)]
    return runs, down


@pytest.mark.parametrize("seed", range(40))
def test_random_nets_without_the_users_word_equal_reachability(seed):
    rng = np.random.default_rng(seed)
    nodes, free, fresh = [], [], itertools.count()
    for i in range(12):
        bottoms = [free.pop(int(rng.integers(len(free)))) for _ in range(min(len(free), int(rng.integers(0, 3))))]
        last = i == 11
        bottoms = free[:3] if last else bottoms
        tops = [next(fresh) for _ in range(int(rng.integers(1, 3)))]
        free += tops
        nodes.append(Node(bottoms, tops, bool(rng.random() < 0.3), bool(rng.random() < 0.1) or last))
    runs, down = reference(nodes)
    mark(nodes, force=False)
    assert [n.runs_backward for n in nodes] == runs
    assert [n.down for n in nodes] == down
