"""A run that was interrupted and resumed equals the run that was not, bit for bit: weights, memory, losses, tests."""

import h5py
import numpy as np
import pytest

from netdef.solver import Solver

NET = """
layer { name: "data" type: "HDF5Data" top: "x" top: "label" include { phase: TRAIN }
  hdf5_data_param { source: "train.txt" batch_size: 10 shuffle: true } }
layer { name: "data" type: "HDF5Data" top: "x" top: "label" include { phase: TEST }
  hdf5_data_param { source: "train.txt" batch_size: 7 } }
layer { name: "noise" type: "DummyData" top: "noise" include { phase: TRAIN }
  dummy_data_param { shape { dim: 10 dim: 12 } data_filler { type: "gaussian" std: 0.1 } } }
layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "noise" top: "h0" include { phase: TRAIN } }
layer { name: "same" type: "Power" bottom: "x" top: "h0" include { phase: TEST } }
layer { name: "ip1" type: "InnerProduct" bottom: "h0" top: "h1" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "h1" top: "h1" }
layer { name: "relu" type: "ReLU" bottom: "h1" top: "h1" }
layer { name: "drop" type: "Dropout" bottom: "h1" top: "h1" }
layer { name: "ip2" type: "InnerProduct" bottom: "h1" top: "y"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.05 weight_decay: 0.001 max_iter: 13 random_seed: 4
lr_policy: "multistep" gamma: 0.5 stepvalue: 4 stepvalue: 9 average_loss: 3 clip_gradients: 1.5
test_iter: 2 test_interval: 3 snapshot_after_train: false
"""
RULES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


@pytest.fixture
def solver(tmp_path, monkeypatch):
    """solver("type: ...") in a folder with data: 47 rows in two files, so that batches straddle files and epochs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, rows in (("a", 30), ("b", 17)):
        with h5py.File(f"{name}.h5", "w") as f:
            f["x"], f["label"] = rng.standard_normal((rows, 12)), rng.integers(0, 3, rows)
    (tmp_path / "train.txt").write_text("a.h5\nb.h5\n")
    (tmp_path / "net.prototxt").write_text(NET)

    def make(more):
        (tmp_path / "solver.prototxt").write_text(SOLVER + more)
        return Solver.read(tmp_path / "solver.prototxt")

    return make


class Witness:
    """Everything a run says, to be compared with what another says."""

    def __init__(self, solver):
        self.said = []
        solver.observers.append(self)

    def iteration(self, solver, loss):
        self.said.append(("loss", solver.iter, loss, solver.smoothed_loss, solver.rate))

    def test(self, solver, index, results):
        self.said.append(("test", solver.iter, [(name, values.tobytes()) for name, values, _ in results]))


def everything(solver):
    memory = [m.tobytes() for slots in solver.updater.memory for m in slots]
    return [p.blob.data.tobytes() for p in solver.net.parameters] + memory


def compare(make, more, stop):
    whole = make(more)
    witness = Witness(whole)
    whole.step(13)
    first = make(more)
    early = Witness(first)
    first.step(stop)
    _, state = first.snapshot()
    again = make(more)
    late = Witness(again)
    again.restore(state)
    assert again.iter == stop
    again.step(13 - stop)
    assert everything(again) == everything(whole)
    assert early.said + late.said == witness.said


@pytest.mark.parametrize("rule", RULES)
def test_every_rule(solver, rule):
    momentum = "" if rule in ("AdaGrad", "RMSProp") else "momentum: 0.9"
    compare(solver, f'type: "{rule}" {momentum}', 6)


@pytest.mark.parametrize("stop", [0, 1, 4, 12])
def test_wherever_it_stopped(solver, stop):
    compare(solver, "momentum: 0.9", stop)


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_hdf5_snapshots(solver, rule):
    compare(solver, f'type: "{rule}" momentum: 0.9 snapshot_format: HDF5', 5)


def test_several_passes_an_iteration(solver):
    compare(solver, "momentum: 0.9 iter_size: 3", 5)


def test_the_seed_is_the_states(solver):
    """A run without a seed can be continued too: the state knows the one that was drawn."""
    whole = solver("")
    whole.net.reseed(99)
    for net in whole.test_nets:
        net.reseed(99)
    whole.seed = 99
    whole.step(3)
    _, state = whole.snapshot()
    whole.step(3)
    again = solver("")
    again.restore(state)
    assert again.seed == 99
    again.step(3)
    assert everything(again) == everything(whole)


@pytest.mark.parametrize("at", [1, 4])
def test_restoring_within_a_run_goes_back(solver, at):
    built = solver("momentum: 0.9")
    built.step(at)
    _, state = built.snapshot()
    early = list(built.losses)
    built.step(3)
    want, losses = everything(built), list(built.losses)
    built.step(2)
    built.restore(state)
    assert list(built.losses) == early
    built.step(3)
    assert everything(built) == want
    assert list(built.losses) == losses


def test_a_snapshot_does_not_disturb_the_run(solver):
    quiet, noisy = solver("momentum: 0.9"), solver("momentum: 0.9 snapshot: 1")
    for built in (quiet, noisy):
        built.step(7)
    assert everything(quiet) == everything(noisy)


def test_a_run_of_a_plan_resumes_without_one(solver, tmp_path):
    """Memory plans are no part of a state; what layers do at once with one is rounded otherwise."""
    whole = solver("momentum: 0.9")
    whole.step(8)
    planned = Solver.read(tmp_path / "solver.prototxt", plan=True)
    planned.step(5)
    _, state = planned.snapshot()
    again = solver("momentum: 0.9")
    again.restore(state)
    again.step(3)
    assert again.iter == whole.iter
    for one, other in zip(again.net.parameters, whole.net.parameters, strict=True):
        np.testing.assert_allclose(one.blob.data, other.blob.data, rtol=1e-4, atol=1e-5)


def test_a_run_of_a_plan_resumes_bit_for_bit(solver, tmp_path):
    solver("momentum: 0.9")
    whole, stopped, again = (Solver.read(tmp_path / "solver.prototxt", plan=True) for _ in range(3))
    whole.step(8)
    stopped.step(5)
    _, state = stopped.snapshot()
    again.restore(state)
    again.step(3)
    assert again.net.backward_runs
    assert everything(again) == everything(whole)
