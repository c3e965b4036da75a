"""netdef tune and netdef gradcheck: rates, searches, and gradients of whole nets."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
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


SEARCH = ["tune", "search", "solver.prototxt", "--set", "base_lr=1e-4..1e-1", "--sampler", "random"]


def drawn(text):
    """The rates of all trials, by their numbers."""
    return {int(number): rate for number, rate in re.findall(r"trial (\d+): base_lr ([^ :,]+)", text)}


def start(*words):
    return subprocess.Popen([sys.executable, "-m", "netdef", *words], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("storage", ["sqlite:///both.db", os.environ.get("NETDEF_TEST_DATABASE", "")])
def test_two_processes_share_a_study(files, storage):
    optuna = pytest.importorskip("optuna")
    if not storage:
        pytest.skip("no other database; NETDEF_TEST_DATABASE gives its URL")
    name = f"both {time.time()}"
    words = [*SEARCH, "--trials", "3", "--storage", storage, "--study", name, "--iterations", "10"]
    both = [start(*words) for _ in range(2)]
    told = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    rates = [drawn(text) for text in told]
    assert sorted([*rates[0], *rates[1]]) == list(range(6))  # each number once
    assert len({*rates[0].values(), *rates[1].values()}) == 6  # and no rate tried twice
    assert len(optuna.load_study(study_name=name, storage=storage).trials) == 6


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(run, files):
    pytest.importorskip("optuna")
    whole = drawn(run(*SEARCH, "--trials", "5", "--storage", "sqlite:///whole.db").err)
    killed = start(*SEARCH, "--trials", "500")
    told = killed.stderr.readline() + killed.stderr.readline()
    killed.send_signal(signal.SIGKILL)
    told += killed.communicate()[1]
    again = run(*SEARCH, "--trials", "3")
    done = len(drawn(told))
    assert again.status == 0 and done >= 2 and re.search(r"goes on: it has \d+ trials", again.err)
    assert "1 unfinished" in again.out or min(drawn(again.err)) == done
    found = drawn(told) | drawn(again.err)
    assert all(found[number] == rate for number, rate in whole.items() if number in found)


def test_an_interrupted_search_shows_what_it_has(run, files, monkeypatch):
    pytest.importorskip("optuna")
    from netdef.cli.tune import search

    objective = search.objective

    def interrupted(trial, *rest):
        if trial.number == 3:
            raise KeyboardInterrupt
        return objective(trial, *rest)

    monkeypatch.setattr(search, "objective", interrupted)
    done = run(*SEARCH, "--trials", "9")
    assert done.status == 130 and "the same command goes on" in done.err
    assert done.out.splitlines()[0].split() == ["trial", "result", "base_lr"] and "1 unfinished" in done.out


def test_hopeless_trials_are_given_up_early(run, files):
    optuna = pytest.importorskip("optuna")
    words = ["--set", "base_lr=1e-9,1e-2", "--trials", "12", "--iterations", "50", "--sampler", "random"]
    done = run("tune", "search", "solver.prototxt", *words)
    given_up = [int(at) for at in re.findall(r"given up at iteration (\d+)", done.err)]
    assert given_up and min(given_up) < 50
    assert f"{12 - len(given_up)} trials done, {len(given_up)} given up; best: base_lr: 0.01" in done.out
    [study] = optuna.get_all_study_summaries("sqlite:///solver_search.db")
    assert study.n_trials == 12 and study.best_trial.params == {"base_lr": 0.01}


def test_a_trial_whose_net_cannot_be_is_given_up(run, files):
    pytest.importorskip("optuna")
    done = run("tune", "search", "solver.prototxt", "--set", "fc1.axis=1,7", "--trials", "6", "--iterations", "10")
    assert done.status == 0 and re.search(r"trial \d: fc1.axis 7: .*axis", done.err), done.err
    assert "best: fc1.axis: 1" in done.out


def test_a_search_draws_its_table_as_a_picture(run, files):
    pytest.importorskip("optuna")
    pytest.importorskip("matplotlib")
    done = run(*SEARCH, "--trials", "2", "--plot", "found.png")
    assert done.status == 0 and "picture: found.png" in done.out
    assert Path("found.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("module", "storage", "said"), [
    ("optuna", "sqlite:///x.db", 'pip install "netdef-nn[tune]"'),
    ("psycopg", "postgresql://nobody@127.0.0.1:9/no", "needs the Python package psycopg"),
    ("none", "nonsense://x", "--storage nonsense://x: "),
])  # fmt: skip
def test_what_a_search_lacks_is_said(run, files, monkeypatch, module, storage, said):
    if module != "optuna":
        pytest.importorskip("optuna")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setitem(sys.modules, module, None)
    done = run(*SEARCH, "--storage", storage)
    assert done.status == 1 and said in done.err and not done.out


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
