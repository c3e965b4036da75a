"""pycaffe's solvers as scripts use them."""

import os

import numpy as np
import pytest

KINDS = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


@pytest.fixture
def solver(caffe):
    return caffe.get_solver("solver.prototxt")


def test_solve(caffe, solver):
    assert solver.iter == 0
    solver.solve()
    assert solver.iter == 20


def test_step(solver):
    solver.step(3)
    assert solver.iter == 3
    before = solver.net.params["ip"][0].data.copy()
    solver.step(1)
    assert not np.array_equal(solver.net.params["ip"][0].data, before)


def without_momentum(path):
    path.write_text(path.read_text().replace("momentum: 0.9", ""))


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_solver(caffe, folder, kind):
    if kind in ("AdaGrad", "RMSProp"):
        without_momentum(folder / "solver.prototxt")
    solver = getattr(caffe, f"{kind}Solver")("solver.prototxt")
    assert solver.param.type == kind
    assert type(solver.engine.rule).__name__ == kind
    solver.step(1)


def test_get_solver_takes_the_type_from_the_file(caffe, folder):
    path = folder / "solver.prototxt"
    path.write_text(path.read_text() + 'type: "Adam"')
    assert type(caffe.get_solver("solver.prototxt").engine.rule).__name__ == "Adam"
    path.write_text(path.read_text().replace('type: "Adam"', "solver_type: ADAGRAD"))
    without_momentum(path)
    assert type(caffe.get_solver("solver.prototxt").engine.rule).__name__ == "AdaGrad"


def test_apply_update_takes_one_step_by_the_gradients_that_are_there(solver):
    weights = solver.net.layers[1].blobs[0]
    weights.data[...] = 0
    weights.diff[...] = 1
    solver.apply_update()
    assert weights.data == pytest.approx(np.full(weights.shape, -0.01), abs=1e-8)
    assert solver.iter == 0


def test_nets_outlive_the_solver(caffe):
    net, tests = (lambda s: (s.net, s.test_nets))(caffe.get_solver("solver.prototxt"))
    for each in (net, *tests):
        each.forward()
        assert np.isfinite(each.blobs["loss"].data)


def test_test_nets_share_the_parameters(solver):
    (test,) = solver.test_nets
    solver.net.params["ip"][0].data[...] = 3
    assert (test.params["ip"][0].data == 3).all()


def test_snapshot_and_restore(caffe, solver):
    solver.step(4)
    solver.snapshot()
    assert {"model_iter_4.caffemodel", "model_iter_4.solverstate"} <= set(os.listdir())
    solver.step(5)
    again = caffe.get_solver("solver.prototxt")
    again.restore("model_iter_4.solverstate")
    assert again.iter == 4
    again.step(5)
    assert np.array_equal(again.net.params["ip"][0].data, solver.net.params["ip"][0].data)


def test_one_net_s_parameters_are_trained_by_another_solver(caffe, solver):
    other = caffe.SGDSolver("solver.prototxt")
    other.share_weights(solver.net)
    before = solver.net.params["ip"][0].data.copy()
    other.step(1)
    assert np.shares_memory(other.net.params["ip"][0].data, solver.net.params["ip"][0].data)
    assert not np.array_equal(solver.net.params["ip"][0].data, before)


def test_solve_from_a_state(caffe, solver):
    solver.step(4)
    solver.snapshot()
    solver.solve()
    again = caffe.get_solver("solver.prototxt")
    again.solve("model_iter_4.solverstate")
    assert again.iter == 20
    assert np.array_equal(again.net.params["ip"][0].data, solver.net.params["ip"][0].data)


def test_callbacks(solver):
    seen = []
    solver.add_callback(lambda: seen.append("start"), lambda: seen.append("gradients"))
    solver.step(2)
    assert seen == ["start", "gradients"] * 2


def test_a_loop_written_by_hand_equals_step(caffe):
    """forward, backward and apply_update, as tutorials have it."""
    by_hand, by_step = (caffe.get_solver("solver.prototxt") for _ in range(2))
    for _ in range(1):
        by_hand.net.clear_param_diffs()
        by_hand.net.forward()
        by_hand.net.backward()
        by_hand.apply_update()
    by_step.step(1)
    assert np.array_equal(by_hand.net.params["ip"][0].data, by_step.net.params["ip"][0].data)


def test_the_seed_of_the_process_holds_where_the_file_names_none(caffe):
    caffe.set_random_seed(3)
    one, two = (caffe.get_solver("solver.prototxt").net.params["ip"][0].data for _ in range(2))
    assert np.array_equal(one, two)
