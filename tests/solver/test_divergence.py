"""A value that is not finite stops training, is named, and spoils no snapshot."""

import numpy as np
import pytest
from solver.runs import Told, digits, made

from netdef import weights
from netdef.errors import SolverError
from netdef.solver.divergence import DivergenceError

FC = """
layer {{ name: "fc1" type: "InnerProduct" bottom: "x" top: "fc1"
        inner_product_param {{ num_output: 8 weight_filler {{ type: "xavier" }} }} }}
{middle}
layer {{ name: "fc2" type: "InnerProduct" bottom: "{last}" top: "fc2"
        inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }}
"""
PLAIN = FC.format(middle='layer { name: "relu" type: "ReLU" bottom: "fc1" top: "fc1" }', last="fc1")


def data(n=64, channels=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, channels))
    return x, (x[:, 0] > 0).astype(float)


def failure(solver, iterations=50):
    with pytest.raises(DivergenceError) as caught:
        solver.step(iterations)
    return str(caught.value)


def test_weights_that_explode_name_the_layer_and_the_rate(tmp_path):
    said = failure(digits(tmp_path, base_lr=1e30, test_interval=1000))
    assert "iteration 1: the loss is nan; first seen in blob '" in said
    assert "the output of layer 'conv" in said and "a smaller base_lr (this rate was 1e+30" in said


def test_bad_data_is_named_as_the_data_s_fault(tmp_path):
    x, label = data()
    x[40, 2] = np.nan
    said = failure(made(tmp_path, PLAIN, x, label))
    assert "iteration 1: " in said and "blob 'x', read by layer 'data' (MemoryData)" in said
    assert "1 of 128 values, the first nan at (8, 2, 0, 0)" in said and "the data itself holds it" in said


def test_an_activation_is_named_where_it_arose(tmp_path):
    layers = FC.format(middle='layer { name: "log" type: "Log" bottom: "fc1" top: "log" }', last="log")
    said = failure(made(tmp_path, layers, *data()))
    assert "blob 'log', the output of layer 'log' (Log)" in said


def test_a_gradient_alone_is_found_before_it_reaches_the_weights(tmp_path):
    # the square root has a value at 0, but an infinite slope
    middle = 'layer { name: "root" type: "Power" bottom: "fc1" top: "root" power_param { power: 0.5 } }'
    x, label = data()
    solver = made(tmp_path, FC.format(middle=middle, last="root"), np.zeros_like(x), label)
    before = solver.net.params["fc1"][0].data.copy()
    said = failure(solver)
    assert "iteration 0: parameter" in said and "has a gradient that is not finite" in said
    assert "gradient of blob 'fc1', made by layer 'root' (Power)" in said
    np.testing.assert_array_equal(solver.net.params["fc1"][0].data, before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_may_be_switched_off(tmp_path):
    solver = digits(tmp_path, base_lr=1e30, test_interval=1000, stop_on_nan=False)
    solver.step(3)
    assert np.isnan(solver.losses[-1])


def test_the_last_good_snapshot_stays_and_no_bad_one_is_written(tmp_path):
    solver, told = digits(tmp_path, max_iter=60, snapshot=10, snapshot_keep=1, test_interval=1000), Told()
    solver.observers.append(told)
    solver.callbacks.append((lambda: None, lambda: None))
    solver.callbacks[0] = (lambda: spoil(solver, 25), lambda: None)
    with pytest.raises(DivergenceError, match=r"last good snapshot: .*run_iter_20.solverstate"):
        solver.solve()
    assert [p.name for p in tmp_path.glob("*.solverstate")] == ["run_iter_20.solverstate"]
    assert all(
        np.isfinite(b.data).all() for layer in weights.read(tmp_path / "run_iter_20.caffemodel") for b in layer.blobs
    )
    [(at, error)] = told.named("failed")
    assert at == 25 and "parameter 0 of layer 'conv2'" in str(error) and not told.named("end")


def spoil(solver, iteration, value=np.inf):
    if solver.iter == iteration:
        solver.net.params["conv2"][0].data.flat[7] = value


def test_a_bad_weight_never_reaches_a_snapshot(tmp_path):
    solver = digits(tmp_path)
    spoil(solver, 0, np.nan)
    with pytest.raises(DivergenceError, match="no snapshot of iteration 0: parameter 0 of layer 'conv2' has a value"):
        solver.snapshot()
    assert not list(tmp_path.iterdir())


def test_a_run_recovers_with_a_third_of_the_rate(tmp_path):
    solver, told = digits(tmp_path, max_iter=40, snapshot=10, test_interval=1000, recoveries=2), Told()
    solver.observers.append(told)
    left = [25, 31]

    def once():
        if left and solver.iter == left[0]:
            spoil(solver, left.pop(0))

    solver.callbacks.append((once, lambda: None))
    assert solver.solve() == "done"
    assert solver.recoveries == 2 and solver.rate == pytest.approx(0.05 / 9)
    assert [at for at, _ in told.named("recovered")] == [20, 30]
    again = digits(tmp_path, max_iter=40)
    again.restore(tmp_path / "run_iter_40.solverstate")
    assert again.recoveries == 2 and again.rate == solver.rate


def test_recoveries_come_to_an_end(tmp_path):
    solver = digits(tmp_path, max_iter=40, test_interval=1000, recoveries=2)
    solver.callbacks.append((lambda: spoil(solver, 5), lambda: None))
    with pytest.raises(DivergenceError, match="iteration 5"):
        solver.solve()
    assert solver.recoveries == 2


def test_a_solver_says_what_it_lacks(tmp_path):
    with pytest.raises(SolverError, match="no max_iter"):
        digits(tmp_path, max_iter=None).solve()
