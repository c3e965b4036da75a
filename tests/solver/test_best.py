"""The best model, early stopping, pruning, epochs."""

import numpy as np
import pytest
from solver.runs import Told, digits

from netdef import weights
from netdef.errors import SolverError


def judged(tmp_path, values, **settings):
    """What a judge says of tests with these values."""
    judge = digits(tmp_path, **settings).judge
    name, weight = ("loss", 1.0) if judge.name == "loss" else (judge.name, 0.0)
    return judge, [judge.see([(name, np.asarray(v), weight)], i) for i, v in enumerate(values)]


def test_less_loss_is_better_and_nan_never_is(tmp_path):
    judge, better = judged(tmp_path, [3, 2, np.nan, 2, 1.5], min_improvement=0.1)
    assert better == [True, True, False, False, True] and str(judge) == "loss 1.5 at iteration 4"


def test_more_accuracy_is_better_unless_it_is_said_otherwise(tmp_path):
    assert judged(tmp_path, [0.5, 0.6, 0.55], best_by="accuracy")[1] == [True, True, False]
    assert judged(tmp_path, [0.5, 0.6, 0.45], best_by="accuracy", best_is_larger=False)[1] == [True, False, True]
    with pytest.raises(SolverError, match=r"best_by: 'acuracy' is no output of the test net.*accuracy"):
        digits(tmp_path, best_by="acuracy")


def test_patience_ends_training_and_the_best_is_kept(tmp_path):
    solver, told = digits(tmp_path, max_iter=400, test_interval=20, patience=2, snapshot=100), Told()
    solver.observers.append(told)
    kept = {}
    real = solver.judge.see
    scripted = iter([2.0, 1.0, 1.5, 1.25, 0.1])

    def see(results, iteration):
        better = real([("loss", np.asarray(next(scripted)), 1.0)], iteration)
        kept[iteration] = solver.net.params["ip2"][0].data.copy()
        return better

    solver.judge.see = see
    assert solver.solve() == "no improvement"
    assert solver.iter == 60 and solver.judge.best.iter == 20
    assert told.named("end") == [(60, "no improvement")]
    [best] = tmp_path.glob("*_best.caffemodel")
    stored = {layer.name: layer for layer in weights.read(best)}["ip2"].blobs[0].data
    np.testing.assert_array_equal(stored.reshape(kept[20].shape), kept[20])
    assert (tmp_path / "run_iter_60.solverstate").is_file()


def test_no_best_model_where_it_is_not_wanted(tmp_path):
    digits(tmp_path, max_iter=4, test_interval=2, keep_best=False).solve()
    stepped = digits(tmp_path, test_interval=2)
    stepped.step(4)
    assert not list(tmp_path.glob("*best*"))


def test_only_the_last_snapshots_stay(tmp_path):
    digits(tmp_path, max_iter=50, snapshot=10, snapshot_keep=2, test_interval=1000).solve()
    assert sorted(p.name for p in tmp_path.glob("*iter*")) == [
        f"run_iter_{n}.{kind}" for n in (40, 50) for kind in ("caffemodel", "solverstate")
    ]


def test_epochs_become_iterations(tmp_path):
    epochs = {"max_iter": None, "max_epoch": 2, "test_interval": None, "test_interval_epoch": 0.5, "test_iter": [0]}
    solver = digits(tmp_path, **epochs, snapshot=None, snapshot_epoch=1, warmup_epoch=0.1)
    # 1,437 images in batches of 64; 360 in batches of 90
    assert solver.epoch_length == 1437 / 64
    assert (solver.param.max_iter, solver.param.test_interval, solver.test_iter) == (45, 11, [4])
    assert (solver.param.snapshot, solver.param.warmup_iter) == (22, 2)
    solver.iter = 45
    assert solver.epoch == pytest.approx(2, abs=0.01)


def test_epochs_need_a_size_and_one_spelling(tmp_path):
    with pytest.raises(SolverError, match="max_epoch and max_iter are both given"):
        digits(tmp_path, max_epoch=2)
    with pytest.raises(SolverError, match="max_epoch is -1"):
        digits(tmp_path, max_epoch=-1, max_iter=None)
    with pytest.raises(SolverError, match="test_iter is -1"):
        digits(tmp_path, test_iter=[-1])
