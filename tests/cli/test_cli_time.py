"""netdef time: rates beside sgemm's, and a net beside another program."""

import json
import re
import sys
from pathlib import Path

import pytest

from netdef.report import timing

PLUGIN = """
import twin
from netdef.layer import hookimpl
@hookimpl
def netdef_peers():
    return {{"twin": type("Set", (twin.Twin,), {settings})}}
"""


@pytest.fixture
def against(run, files):
    """run("time", ...) against a twin with settings."""

    def call(*words, **settings):
        Path("peer.py").write_text(PLUGIN.format(settings=settings))
        return run("time", "net.prototxt", "--against", "twin", "--plugin", "peer.py", "--iterations", 5, *words)

    return call


def test_a_net_beside_its_twin(against):
    done = against()
    assert done.status == 0 and done.err == ""
    lines = done.out.splitlines()
    assert re.fullmatch(r"net.prototxt, phase TRAIN, 1 threads: ours beside twin 1, (first|second)\.", lines[0])
    assert re.fullmatch(
        r"Checked: the same weights and data give the same; largest difference \S+ of an array's.", lines[1]
    )
    assert [line.split()[0] for line in lines[3:8]] == ["conv", "relu", "fc", "loss", "total"]
    assert re.fullmatch(r"Ratio: \d+\.\d\d \(median of 5 turns, \d+\.\d\d to \d+\.\d\d\)\.", lines[-1])


def test_a_layer_on_one_side_only_is_named_and_no_ratio_is_given(against):
    done = against(without=("relu",))
    assert "Left out on both sides: relu: twins do not do it." in done.out
    assert "Ratio" not in done.out and "No ratio for the net" in done.out
    assert not re.search(r"^relu ", done.out, re.MULTILINE)


def test_the_same_as_json(against):
    told = json.loads(against("--json").out)
    assert (told["peer"], told["threads"], told["left_out"], told["phase"]) == ("twin 1", 1, {}, "TRAIN")
    assert [x["name"] for x in told["layers"]] == ["conv", "relu", "fc", "loss"]
    conv, best = told["layers"][0], told["layout"]
    assert conv["ratio"] == pytest.approx((conv["forward"] + conv["backward"]) / 3)
    assert conv["peer"][best] == {"forward": 1, "backward": 2}
    assert len(told["whole"]["ratios"]) == 5 and set(told["whole"]["step"]) == {"ours", "first", "second"}
    assert told["whole"]["step"][best] == min(told["whole"]["step"][name] for name in ("first", "second"))
    assert json.loads(against("--json", without=("fc",)).out)["whole"] is None


def test_a_peer_that_is_not_installed_says_what_to_install(run, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = run("time", "net.prototxt", "--against", "torch")
    assert done.status == 1 and done.err.count("\n") == 1 and "pip install torch" in done.err


def test_an_unknown_peer_is_told_the_nearest(run, files):
    done = run("time", "net.prototxt", "--against", "troch")
    assert done.status == 1 and "unknown peer 'troch'; did you mean 'torch'?" in done.err


def test_rates_are_those_of_products_of_matrices(run, files, monkeypatch):
    monkeypatch.setattr(timing, "sgemm_gflops", lambda: 200.0)
    with Path("net.prototxt").open("a") as net:  # one multiplication a number is no product of matrices
        net.write('layer { name: "scale" type: "Scale" bottom: "x" top: "scaled" }')
    told = json.loads(run("time", "net.prototxt", "--iterations", 2, "--sgemm", "--json").out)
    assert told["sgemm_gflops"] == 200
    rates = {x["name"]: x for x in told["rates"]}
    assert list(rates) == ["conv", "fc"]
    layers = {x["name"]: x for x in told["layers"]}
    flop = 2 * 4 * 5 * 6 * 6 * 3 * 3 * 3  # images, outputs, places, channels, kernel
    for step in ("forward", "update"):
        assert rates["conv"][step]["gflops"] == pytest.approx(flop / layers["conv"][step] / 1e6)
        assert rates["conv"][step]["share"] == pytest.approx(flop / layers["conv"][step] / 1e6 / 200)
    assert rates["conv"]["backward"] is None and layers["conv"]["backward"] == 0  # nobody asks for the data's gradient
    assert rates["fc"]["backward"]["gflops"] > 0
    text = run("time", "net.prototxt", "--iterations", 2, "--sgemm").out
    assert "sgemm: 200 GFLOP/s" in text and re.search(r"^conv +Convolution +\d+ +\d+% +\d+ +\d+% +- +-$", text, re.M)


def test_the_machine_s_rate_is_that_of_a_product(monkeypatch):
    monkeypatch.setattr(timing, "_clock", lambda call, i: call(i) is None or 2.0)
    assert timing.sgemm_gflops() == pytest.approx(2 * timing.SIDE**3 / 2.0 / 1e6)


def test_one_comparison_at_a_time(run, files):
    assert run("time", "net.prototxt", "--against", "torch", "--sgemm").status == 2
