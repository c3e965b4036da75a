"""Which nets a solver builds from its settings, and in which state."""

import numpy as np
import pytest
from solver.small import DENSE, NET, REGISTRY, STREAM, parse

from netdef.errors import NetdefError, SolverError
from netdef.solver import Solver

BASE = 'base_lr: 0.1 lr_policy: "fixed" snapshot_after_train: false '


def build(text, **settings):
    return Solver(parse(BASE + text), registry=REGISTRY, **settings)


def refused(text):
    with pytest.raises(SolverError) as caught:
        build(text)
    return str(caught.value)


def test_a_net_in_the_solver_itself():
    built = build(f"net_param {{ {NET} }}")
    assert [layer.name for layer in built.net.layers] == ["data4", "y", "loss"]
    assert built.net.phase == 0
    assert built.test_nets == []


def test_a_net_in_a_file_beside_the_solver(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(BASE + 'net: "net.prototxt"')
    monkeypatch.chdir(tmp_path)
    assert Solver.read("models/solver.prototxt", REGISTRY).net.layers
    (tmp_path / "net.prototxt").write_text(NET.replace("data4", "data8"))
    found = Solver.read("models/solver.prototxt", REGISTRY).net
    assert found.layers[0].name == "data8", "the working directory comes first"


def test_a_missing_net_file_names_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetdefError, match=r"no file 'nets/none.prototxt'"):
        build('net: "nets/none.prototxt"')


def test_exactly_one_net_to_train():
    assert "one net to train" in refused("")
    assert refused(f"net_param {{ {NET} }} train_net_param {{ {NET} }}").endswith("got train_net_param, net_param")


def test_the_common_net_is_tested_too_and_shares_the_parameters():
    built = build(f"net_param {{ {NET} }} test_iter: 2 test_interval: 5")
    (test,) = built.test_nets
    assert test.phase == 1
    assert np.shares_memory(test.params["y"][0].data, built.net.params["y"][0].data)
    before = built.net.params["y"][0].data.copy()
    built.step(1)
    assert not np.array_equal(test.params["y"][0].data, before)


def test_several_test_nets_in_caffes_order(tmp_path):
    """test_net_param, test_net, then the common net for what test_iter is longer."""
    nets = {k: STREAM.replace("data4", f"data{k}") + DENSE % "" for k in (1, 2, 3, 4)}
    (tmp_path / "file.prototxt").write_text(nets[3])
    text = f'test_net: "{tmp_path}/file.prototxt" net_param {{ {nets[4]} }} ' + "".join(
        f"test_net_param {{ {nets[k]} }} " for k in (1, 2)
    )
    built = build(text + "test_interval: 1 " + "test_iter: 1 " * 4)
    assert [net.layers[0].name for net in built.test_nets] == ["data1", "data2", "data3", "data4"]
    assert all(np.shares_memory(n.params["y"][0].data, built.net.params["y"][0].data) for n in built.test_nets)


def test_as_many_test_iter_as_test_nets():
    message = refused(f"net_param {{ {NET} }} test_net_param {{ {NET} }} test_interval: 1")
    assert "0 test_iter for 1 test nets" in message
    message = refused(f"train_net_param {{ {NET} }} test_iter: 3 test_interval: 1")
    assert "1 test_iter for 0 test nets" in message


def test_a_test_net_needs_an_interval():
    assert "test_interval above 0" in refused(f"net_param {{ {NET} }} test_iter: 1")


def test_as_many_states_as_test_nets():
    text = f"net_param {{ {NET} }} test_iter: 1 test_iter: 1 test_interval: 1"
    assert "1 test_state for 2 test nets" in refused(text + ' test_state { stage: "a" }')


ONLY = 'layer { name: "%s" type: "Score" bottom: "y" bottom: "t" top: "%s" include { %s } }\n'


def test_states_choose_layers():
    """train_state and test_state bring stages and levels; the caller's join them, the phase is the role's."""
    extra = "".join(
        ONLY % (name, name, rule)
        for name, rule in (
            ("a", 'stage: "a"'),
            ("b", 'stage: "b"'),
            ("high", "min_level: 2"),
            ("train", "phase: TRAIN"),
            ("user", 'stage: "u"'),
        )
    )
    text = f'net_param {{ {NET} {extra} }} train_state {{ stage: "a" level: 2 }} test_iter: 1 test_iter: 1 '
    built = build(text + 'test_interval: 1 test_state { stage: "b" } test_state { level: 3 }', stages=("u",))

    def found(net):
        return [layer.name for layer in net.layers if layer.type == "Score"]

    assert found(built.net) == ["a", "high", "train", "user"]
    assert [found(net) for net in built.test_nets] == [["b", "user"], ["high", "user"]]


def test_an_unknown_rule_or_regularization():
    with pytest.raises(NetdefError, match=r"unknown solver type 'SDG'; did you mean 'SGD'\?"):
        build(f'net_param {{ {NET} }} type: "SDG"')
    assert "regularization_type 'L3'; want L1 or L2" in refused(f'net_param {{ {NET} }} regularization_type: "L3"')


def test_a_snapshot_folder_that_is_missing_is_refused_before_training(tmp_path):
    prefix = f'snapshot_prefix: "{tmp_path}/no/s"'
    with pytest.raises(NetdefError, match="mkdir -p"):
        build(f"net_param {{ {NET} }} snapshot: 5 {prefix}")
    assert build(f"net_param {{ {NET} }} {prefix}"), "nothing would be written there"
