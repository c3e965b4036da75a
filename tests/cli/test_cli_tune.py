"""netdef tune and netdef gradcheck: rates, searches, and gradients of whole nets."""

import itertools
import re
from pathlib import Path

import pytest

from netdef.solver import Solver

NET = """
name: "lines"
layer {
  name: "data" type: "DummyData" top: "x" top: "label"
  dummy_data_param {
    shape { dim: 16 dim: 6 } shape { dim: 16 }
    data_filler { type: "gaussian" mean: 0.5 std: 1 } data_filler { type: "constant" value: 1 }
  }
}
layer { name: "fc1" type: "InnerProduct" bottom: "x" top: "fc1"
        inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "fc1" top: "fc1" }
layer { name: "drop" type: "Dropout" bottom: "fc1" top: "fc1" dropout_param { dropout_ratio: 0.5 } }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2"
        inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" test_iter: 2 test_interval: 10 base_lr: 0.01 lr_policy: "fixed" max_iter: 40 random_seed: 1
"""
BROKEN = """
from netdef.layer import ParameterFree, hookimpl

class Double(ParameterFree):
    "y = 2 x, with the gradient of y = x"
    type = "Double"
    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff

@hookimpl
def netdef_layers():
    return [Double]
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_rate_is_found_and_nothing_is_written(run, files):
    there = sorted(files.iterdir())
    done = run("tune", "lr", "solver.prototxt", "--start", "1000", "--iterations", "30")
    assert done.status == 0 and sorted(files.iterdir()) == there
    rows = [line.split() for line in done.out.splitlines()[1:-1]]
    rates = [float(row[0]) for row in rows]
    assert all(a / b == pytest.approx(3, rel=0.01) for a, b in itertools.pairwise(rates))
    assert rows[-1][-1] == "learns" and "diverges" in rows[0]
    assert float(re.search(r"take base_lr: (\S+)", done.out)[1]) == pytest.approx(rates[-1], rel=0.05)


def test_a_net_that_no_rate_suits_is_said_so(run, files):
    done = run("tune", "lr", "solver.prototxt", "--start", "1e6", "--tries", "2", "--iterations", "10")
    assert done.status == 1 and "no rate learns" in done.out


def test_a_search_shows_a_table_and_goes_on_from_its_file(run, files):
    pytest.importorskip("optuna")
    words = ["tune", "search", "solver.prototxt", "--set", "base_lr=1e-4..1e-1", "--set", "drop.dropout_ratio=0.1..0.6",
             "--set", "fc1.num_output=4,8", "--set", "fc1.weight_filler.type=xavier,msra"]  # fmt: skip
    done = run(*words, "--trials", "4")
    assert done.status == 0, done.err
    head = done.out.splitlines()[0].split()
    assert head == ["trial", "result", "base_lr", "drop.dropout_ratio", "fc1.num_output", "fc1.weight_filler.type"]
    assert re.search(r"\d+ trials done, \d given up; best: base_lr: ", done.out)
    assert Path("solver_search.db").is_file() and not list(files.glob("*.caffemodel"))
    again = run(*words, "--trials", "2", "--iterations", "10", "--sampler", "random")
    assert again.status == 0 and "study 'solver' goes on: it has 4 trials" in again.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("base_rl=1..2", "'base_rl' is no setting of a solver; did you mean 'base_lr'?"),
        ("fc.num_output=1..2", "no layer 'fc'"),
        ("fc1.num_outputs=1..2", "layer 'fc1' has no option 'num_outputs'; did you mean 'num_output'?"),
        ("base_lr=low..high", "want base_lr=LOW..HIGH"),
        ("base_lr=", "want base_lr=LOW..HIGH"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_runs(run, files, given, said):
    pytest.importorskip("optuna")
    done = run("tune", "search", "solver.prototxt", "--set", given)
    assert done.status in (1, 2) and said in done.err and not list(files.glob("*.db"))


def test_gradcheck_finds_every_gradient_right(run, files):
    done = run("gradcheck", "net.prototxt")
    assert done.status == 0 and re.search(r"(\d+) right, 0 wrong, 0 too near", done.out), done.out
    told = [line.split()[:1] for line in done.out.splitlines()[1:-1]]
    assert ["fc1"] in told and ["loss"] in told and ["data"] not in told


def test_gradcheck_names_the_layer_that_is_wrong_and_no_other(run, files):
    (files / "broken.py").write_text(BROKEN)
    text = NET.replace(
        'layer { name: "fc2"', 'layer { name: "two" type: "Double" bottom: "fc1" top: "two" }\nlayer { name: "fc2"'
    )
    (files / "net.prototxt").write_text(text)
    done = run("gradcheck", "net.prototxt", "--plugin", "broken.py")
    assert done.status == 1
    wrong = [line.split()[0] for line in done.out.splitlines() if line.rstrip().endswith(" wrong")]
    assert wrong == ["two"]


def test_a_solver_is_not_changed_by_its_trials(files):
    before = Path("solver.prototxt").read_bytes()
    assert Solver.read("solver.prototxt").param.max_iter == 40 and Path("solver.prototxt").read_bytes() == before
