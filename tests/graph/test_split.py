"""Splits: Caffe's names, each top read once, loss weights moved to the split."""

import pytest
import toys

from netdef import prototxt
from netdef.errors import GraphError
from netdef.graph.split import insert_splits

NET = toys.registry().schema.message("NetParameter")


def split(text):
    return insert_splits(prototxt.parse(text, NET, "net.prototxt"), lambda: "Split")


def layer(name, bottom="", top="", more=""):
    names = "".join(f' bottom: "{b}"' for b in bottom.split()) + "".join(f' top: "{t}"' for t in top.split())
    return f'layer {{ name: "{name}" type: "T"{names} {more} }}\n'


def wires(net):
    """Each layer as "name: bottoms -> tops"."""
    return [f"{la.name}: {' '.join(la.bottom)} -> {' '.join(la.top)}" for la in net.layer]


def test_caffes_names():
    found = split(
        layer("mnist", "", "data label") + layer("ip", "data", "ip") + layer("acc", "ip label", "acc")
        + layer("loss", "ip label", "loss")
    )  # fmt: skip
    assert wires(found) == [
        "mnist:  -> data label",
        "label_mnist_1_split: label -> label_mnist_1_split_0 label_mnist_1_split_1",
        "ip: data -> ip",
        "ip_ip_0_split: ip -> ip_ip_0_split_0 ip_ip_0_split_1",
        "acc: ip_ip_0_split_0 label_mnist_1_split_0 -> acc",
        "loss: ip_ip_0_split_1 label_mnist_1_split_1 -> loss",
    ]
    assert [la.type for la in found.layer] == ["T", "Split", "T", "Split", "T", "T"]


def test_nothing_to_split_changes_nothing():
    text = layer("a", "", "x") + layer("b", "x", "y") + layer("c", "y", "y")
    assert split(text) == prototxt.parse(text, NET, "net.prototxt")


def test_splitting_again_changes_nothing():
    once = split(layer("a", "", "x") + layer("b", "x", "y") + layer("c", "x", "z"))
    assert insert_splits(once, lambda: "Split") == once


def test_in_place_chains_count_from_the_latest_maker():
    """Readers after an in-place layer read that layer's top, and only those count for its split."""
    found = split(
        layer("conv", "x0", "x").replace(' bottom: "x0"', "") + layer("relu", "x", "x") + layer("drop", "x", "x")
        + layer("p", "x", "p") + layer("q", "x", "q")
    )  # fmt: skip
    assert wires(found) == [
        "conv:  -> x",
        "relu: x -> x",
        "drop: x -> x",
        "x_drop_0_split: x -> x_drop_0_split_0 x_drop_0_split_1",
        "p: x_drop_0_split_0 -> p",
        "q: x_drop_0_split_1 -> q",
    ]


def test_a_reader_before_an_in_place_layer_keeps_the_old_data():
    found = split(layer("a", "", "x") + layer("b", "x", "y") + layer("relu", "x", "x") + layer("c", "x", "z"))
    assert wires(found) == [
        "a:  -> x",
        "x_a_0_split: x -> x_a_0_split_0 x_a_0_split_1",
        "b: x_a_0_split_0 -> y",
        "relu: x_a_0_split_1 -> x",
        "c: x -> z",
    ]


def test_a_layer_that_reads_a_blob_twice_gets_two_copies():
    assert wires(split(layer("a", "", "x") + layer("b", "x x", "y")))[1:] == [
        "x_a_0_split: x -> x_a_0_split_0 x_a_0_split_1",
        "b: x_a_0_split_0 x_a_0_split_1 -> y",
    ]


def test_the_loss_weight_of_a_top_that_is_also_read_moves_to_the_split():
    found = split(layer("l", "", "x y", "loss_weight: 0.5 loss_weight: 2") + layer("b", "y", "z"))
    assert wires(found) == ["l:  -> x y", "y_l_1_split: y -> y_l_1_split_0 y_l_1_split_1", "b: y_l_1_split_1 -> z"]
    assert list(found.layer[0].loss_weight) == [0.5, 0], "the other top keeps its own"
    assert list(found.layer[1].loss_weight) == [2, 0]


def test_a_loss_weight_of_zero_is_no_reader():
    text = layer("l", "", "x", "loss_weight: 0") + layer("b", "x", "y")
    assert wires(split(text)) == ["l:  -> x", "b: x -> y"]


def test_an_unknown_bottom_names_the_place_and_the_nearest():
    with pytest.raises(GraphError) as caught:
        split(layer("data", "", "data") + layer("conv1", "dta", "conv1"))
    message = str(caught.value)
    assert message.startswith("net.prototxt:2:1: layer 'conv1' (T): ")
    assert "bottom 'dta'" in message
    assert "did you mean 'data'?" in message


def test_a_blob_made_later_is_not_there_yet():
    with pytest.raises(GraphError, match=r"layer 'a' .* nothing before it produces bottom 'y'"):
        split(layer("a", "y", "x") + layer("b", "x", "y"))


def test_a_split_is_placed_where_its_layer_was_written():
    found = split("\n\n" + layer("a", "", "x") + layer("b", "x", "y") + layer("c", "x", "z"))
    assert found.layer[1].netdef_origin == found.layer[0].netdef_origin == "net.prototxt:3:1"
