"""The models that come with netdef: whole folders, nets that hold together, Caffe's settings where they say so."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from netdef import prototxt, read
from netdef import registry as registries
from netdef.layer import TEST, TRAIN
from netdef.net import Net
from netdef.solver import Solver

MODELS = Path(__file__).resolve().parent.parent / "models"
NAMES = sorted(p.name for p in MODELS.iterdir() if p.is_dir())
INPUTS = {
    "lenet": {"data": (64, 1, 28, 28), "label": (64,)},
    "cifar10_quick": {"data": (100, 3, 32, 32), "label": (100,)},
}


def message(path):
    return read.net_param(path, registries.default())


def fed(model, phase):
    """train_val with its database replaced by inputs, since that is not there before the user makes it."""
    from netdef.cli.shapes import feed

    param = message(MODELS / model / "train_val.prototxt")
    return feed(param, INPUTS[model], "Input", phase, 0, ()) if model in INPUTS else param


@pytest.mark.parametrize("model", NAMES)
def test_a_models_folder_is_whole(model):
    found = {p.name for p in (MODELS / model).iterdir()}
    assert {"train_val.prototxt", "deploy.prototxt", "solver.prototxt", "readme.md"} <= found
    told = (MODELS / model / "readme.md").read_text()
    assert told.startswith(f"# {model}\n") and f"netdef train models/{model}/solver.prototxt" in told


@pytest.mark.parametrize("model", NAMES)
def test_deploy_takes_what_training_learns(model):
    trained = Net(fed(model, TRAIN), TRAIN, seed=1, base=MODELS / model)
    Net(fed(model, TEST), TEST, seed=1, base=MODELS / model)
    deployed = Net(message(MODELS / model / "deploy.prototxt"), TEST, seed=1)
    shapes = [{name: [b.shape for b in blobs] for name, blobs in net.params.items()} for net in (trained, deployed)]
    assert shapes[0] == shapes[1]
    deployed.forward()


def layers(path):
    """A net's layers without where they stand, where their data is and stride 1, which is the default."""
    found = {}
    for layer in prototxt.read(path, registries.default().schema.message("NetParameter")).layer:
        for block, name in [(layer, "netdef_origin"), (layer.data_param, "source")]:
            block.ClearField(name)
        layer.transform_param.ClearField("mean_file")
        layer.convolution_param.ClearField("stride")
        found[layer.name, str(layer.include)] = layer.SerializeToString()
    return found


@pytest.mark.parametrize(
    ("model", "theirs"), [("lenet", "mnist__lenet_train_test"), ("cifar10_quick", "cifar10__cifar10_quick_train_test")]
)
def test_settings_are_caffes(shared, model, theirs):
    path = shared / f"prototxts/net/BVLC__caffe__examples__{theirs}.prototxt"
    assert layers(MODELS / model / "train_val.prototxt") == layers(path)


def test_lenets_solver_is_caffes(shared):
    solver = registries.default().schema.message("SolverParameter")
    ours = prototxt.read(MODELS / "lenet/solver.prototxt", solver)
    theirs = prototxt.read(shared / "prototxts/solver/BVLC__caffe__examples__mnist__lenet_solver.prototxt", solver)
    for param in (ours, theirs):
        for name in ("net", "snapshot_prefix", "random_seed", "solver_mode"):
            param.ClearField(name)
    assert ours == theirs


def test_linear_regression_finds_least_squares():
    folder = MODELS / "linear_regression"
    solver = Solver.read(folder / "solver.prototxt")
    solver.step(solver.param.max_iter)
    with h5py.File(folder / "train.h5") as f:
        x, y = f["x"][()].astype(float), f["y"][()].astype(float)
    want, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    w, b = (blob.data.ravel() for blob in solver.net.params["line"])
    np.testing.assert_allclose([*w, *b], want.ravel(), atol=5e-4)
    np.testing.assert_allclose([*w, *b], [2, -3, 0.5, 1], atol=0.02)


def test_the_perceptron_learns():
    solver = Solver.read(MODELS / "mlp/solver.prototxt")
    solver.step(600)
    assert {name: value for name, value, _ in solver.test()}["accuracy"] > 0.9


@pytest.mark.parametrize("model", ["linear_regression"])
def test_data_is_made_as_told(model, tmp_path):
    script = tmp_path / "make.py"
    script.write_text((MODELS / model / "make.py").read_text())
    subprocess.run([sys.executable, str(script)], check=True)
    for name in ("train.h5", "test.h5"):
        with h5py.File(tmp_path / name) as new, h5py.File(MODELS / model / name) as old:
            assert list(new) == list(old)
            for key in new:
                np.testing.assert_array_equal(new[key][()], old[key][()])
