"""Every hook beyond layers as a stranger would implement it, in one file, and a training run that uses them all."""

import json

import numpy as np
import pytest

from netdef import registry as registries
from netdef import weights
from netdef.cli import main

STRANGER = '''"""A filler, a rule, a policy, a data backend with its name, an option for the solver, and an observer."""

import json

import numpy as np
from netdef.layer import Block, Enum, Field, hookimpl
from netdef.sources import datum


def ramp(x, p, rng):
    """value, 2 * value, 3 * value, ..."""
    x[...] = p.value * np.arange(1, x.size + 1).reshape(x.shape)


class Signs:
    """Step rate * sign(mean of the gradients so far)."""

    memory = 1

    def __init__(self, param):
        self.scale = param.sign_scale

    def step(self, g, memory, rate, iteration):
        (total,) = memory
        total += g
        g[...] = rate * self.scale * np.sign(total)


def halving(p, iteration):
    """base_lr * 2 ^ -iteration"""
    return p.base_lr * 0.5**iteration


class Counted:
    """As many 1 x 1 images as the name of the path says, the k-th holding k and labelled k % 2."""

    def __init__(self, path):
        self.path, self.count = path, int(path.suffix[1:])

    def __len__(self):
        return self.count

    def read(self, rows):
        return [(b"%d" % k, datum.write(np.full((1, 1, 1), k, np.uint8), int(k) % 2)) for k in rows]


class Journal:
    """One line of JSON for each event."""

    def _write(self, solver, event, *what):
        with open("journal.json", "a") as file:
            print(json.dumps([event, solver.iter, *what]), file=file)

    def start(self, solver):
        self._write(solver, "start")

    def iteration(self, solver, loss):
        self._write(solver, "iteration", round(loss, 3), solver.rate)

    def test(self, solver, index, results):
        self._write(solver, "test", index, [name for name, *_ in results])

    def snapshot(self, solver, paths):
        self._write(solver, "snapshot", *[str(path) for path in paths])

    def end(self, solver, reason):
        self._write(solver, "end", reason)


@hookimpl
def netdef_fillers():
    return {"ramp": ramp}


@hookimpl
def netdef_rules():
    return {"Signs": Signs}


@hookimpl
def netdef_policies():
    return {"halving": halving}


@hookimpl
def netdef_sources():
    return {"COUNTED": Counted}


@hookimpl
def netdef_options():
    backend = Field("backend", Enum("DB", ("LEVELDB", "LMDB", "COUNTED")), "LEVELDB")
    scale = Field("sign_scale", "float", 1.0, doc="What signs are multiplied by.")
    return [Block("data_param", [backend]), Block(message="SolverParameter", fields=[scale])]


@hookimpl
def netdef_observers():
    return [Journal()]
'''
NET = """
layer {
  name: "data" type: "Data" top: "x" top: "label"
  data_param { source: "records.6" backend: COUNTED batch_size: 4 }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "ramp" value: 0.25 } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" test_iter: 1 test_interval: 2 base_lr: 0.5 lr_policy: "halving" type: "Signs" sign_scale: 2
max_iter: 3 snapshot: 2 snapshot_prefix: "run" random_seed: 1 snapshot_format: BINARYPROTO
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "records.6").mkdir()
    for name, text in (("stranger.py", STRANGER), ("net.prototxt", NET), ("solver.prototxt", SOLVER)):
        (tmp_path / name).write_text(text)
    yield tmp_path
    registries.default.cache_clear()


def train(*flags):
    return main(["train", "solver.prototxt", "--plugin", "stranger.py", *flags])


def journal():
    return [json.loads(line) for line in open("journal.json").read().splitlines()]


def test_a_run_uses_them_all(files, capsys):
    assert train() == 0, capsys.readouterr().err
    events = journal()
    assert [e[:2] for e in events] == [
        ["start", 0],
        ["test", 0],
        ["iteration", 0],
        ["iteration", 1],
        ["snapshot", 2],
        ["test", 2],
        ["iteration", 2],
        ["snapshot", 3],
        ["end", 3],
    ]
    assert [e[3] for e in events if e[0] == "iteration"] == [0.5, 0.25, 0.125]
    assert events[1][2:] == [0, ["loss"]] and events[-1][2] == "done"
    assert events[4][2:] == ["run_iter_2.caffemodel", "run_iter_2.solverstate"]
    [w] = next(layer.blobs for layer in weights.read("run_iter_3.caffemodel") if layer.name == "fc")
    np.testing.assert_allclose(w.data.reshape(2), trained_by_hand(), rtol=1e-5)


def trained_by_hand():
    """The same run in plain numbers."""
    w, total = np.array([0.25, 0.5]), np.zeros(2)
    for i in range(3):
        k = np.arange(4 * i, 4 * i + 4) % 6
        p = np.exp(np.outer(k, w) - np.outer(k, w).max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(4), k % 2] -= 1
        total += (p * k[:, None]).mean(0)
        w = w - 0.5**i * 0.5 * 2 * np.sign(total)
    return w


def test_resumed_it_ends_the_same(files):
    assert train() == 0
    whole = (files / "run_iter_3.caffemodel").read_bytes()
    assert train("--snapshot", "run_iter_2.solverstate") == 0
    assert (files / "run_iter_3.caffemodel").read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("total += g", "total += undefined"),
            "solver type 'Signs': NameError: name 'undefined' is not defined",
        ),
        (("return p.base_lr * 0.5**iteration", "return 1 / 0"), "lr_policy 'halving': ZeroDivisionError: division"),
        (("x[...] = p.value", "x[...] = p.valu"), "layer 'fc' (InnerProduct): filler 'ramp': AttributeError: "),
        (("int(path.suffix[1:])", "int(path.stem)"), "layer 'data' (Data): ValueError: invalid literal"),
        (("memory = 1", ""), "unknown solver type 'Signs' (plugins that failed to load: file:stranger.py"),
        (("self.scale = param.sign_scale", "self.scale = param.scale"), "solver type 'Signs': AttributeError: "),
    ],
)
def test_what_fails_is_named(files, capsys, change, says):
    assert STRANGER.count(change[0]) == 1
    (files / "stranger.py").write_text(STRANGER.replace(*change))
    assert train() == 1
    error = capsys.readouterr().err
    assert "did not expect" not in error
    if "memory" in change[0]:
        assert "rule 'Signs' lacks memory" in error
    else:
        assert says in error and "(plugin file:stranger.py, stranger.py:" in error


def test_an_observer_that_fails_does_not_cost_the_run(files, capsys):
    (files / "stranger.py").write_text(
        STRANGER.replace('self._write(solver, "iteration"', '1 / 0 and self._write(solver, "i"')
    )
    assert train() == 0
    assert capsys.readouterr().err.count("observer Journal: ZeroDivisionError: division by zero (plugin file:str") == 1
    assert [e[0] for e in journal()] == ["start", "test"]
    assert (files / "run_iter_3.caffemodel").exists()
    assert train("--strict-plugins") == 1


def test_an_observer_may_stop_the_run_on_purpose(files, capsys):
    stop = 'raise SolverError("loss is " + str(round(loss, 3)))'
    text = STRANGER.replace('self._write(solver, "iteration", round(loss, 3), solver.rate)', stop)
    (files / "stranger.py").write_text(
        text.replace("import json\n", "import json\nfrom netdef.errors import SolverError\n")
    )
    assert train() == 1
    assert "error: loss is " in capsys.readouterr().err
