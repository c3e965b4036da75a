"""Statistics against NumPy on the whole arrays, and Caffe's debug_info."""

import io

import numpy as np
import pytest
from solver.runs import Told, digits

from netdef.report.debug import DebugInfo
from netdef.report.log import Log
from netdef.solver import watch
from netdef.solver.watch import sample


def test_statistics_are_those_of_the_arrays(tmp_path):
    solver, told = digits(tmp_path, test_interval=1000, statistics_interval=3), Told()
    solver.net._plan = solver.net._plan_is_stale = False  # so that the arrays are still there to compare with
    solver.observers.append(told)
    gradients = []
    solver.callbacks.append((lambda: None, lambda: gradients.append(solver.net.params["ip1"][0].diff.copy())))
    solver.step(1)
    [(_, found)] = told.named("statistics")
    assert found.iter == 0
    blob = next(b for b in found.blobs if b.layer == "relu3")
    x = solver.net.blobs["ip1"].data  # dropped out in place since; zeros only grow
    data = next(b for b in found.blobs if b.blob == "data")
    assert data.is_data and data.low == 0 and data.high == 1
    assert data.mean_abs == pytest.approx(np.abs(solver.net.blobs["data"].data).mean(), rel=1e-4)
    dropped = next(b for b in found.blobs if b.layer == "drop1")
    assert dropped.zeros == pytest.approx((x == 0).mean()) and blob.zeros < dropped.zeros
    assert dropped.dead == pytest.approx((x == 0).all(0).mean())
    p = next(p for p in found.parameters if (p.layer, p.index) == ("ip1", 0))
    assert p.gradient == pytest.approx(np.linalg.norm(gradients[0]), rel=1e-4)
    step = solver.net.params["ip1"][0].diff
    assert p.ratio == pytest.approx(np.linalg.norm(step) / p.norm, rel=1e-4)
    assert sum(p.weights_bins) == sum(p.gradient_bins) == step.size


def test_the_interval_is_kept_and_looking_changes_nothing(tmp_path):
    watched, told, blind = digits(tmp_path, statistics_interval=3), Told(), digits(tmp_path, statistics_interval=0)
    watched.observers.append(told)
    for solver in (watched, blind):
        solver.step(7)
    assert [found.iter for _, found in told.named("statistics")] == [0, 3, 6]
    for p, q in zip(watched.net.parameters, blind.net.parameters, strict=True):
        np.testing.assert_array_equal(p.blob.data, q.blob.data)


def test_a_sample_is_the_whole_of_what_is_small_and_never_much_more():
    assert sample(np.arange(10.0)).size == 10
    for size in (watch.SAMPLE, watch.SAMPLE + 1, 10 * watch.SAMPLE):
        assert watch.SAMPLE // 3 < sample(np.zeros(size)).size <= 2 * watch.SAMPLE


def test_histograms_count_everything_that_is_finite():
    counts, span = watch.histogram(np.array([0.0, 1.0, 1.0, 4.0]), bins=4)
    assert (counts, span) == ([1, 2, 0, 1], (0.0, 4.0))
    assert watch.histogram(np.full(3, 2.0), bins=2) == ([0, 3], (1.5, 2.5))
    assert watch.histogram(np.array([np.nan, 1])) == ([], (0.0, 0.0))


def test_debug_info_prints_caffe_s_lines(tmp_path):
    stream = io.StringIO()
    solver = digits(tmp_path, debug_info=True, display=2, test_iter=[1], test_interval=2)
    solver.observers.append(DebugInfo(Log(stream)))
    solver.step(2)
    lines = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    forward = [line for line in lines if "[Forward]" in line]
    assert "    [Forward] Layer data, top blob data data: 0.29" in forward[0]
    assert sum("Layer conv1, param blob 1 data: " in line for line in forward) == 2  # the test's pass, the first step
    backward = [line for line in lines if "[Backward]" in line]
    assert backward[0].startswith("    [Backward] Layer loss, bottom blob ip2 diff: ")
    assert any(line.startswith("    [Backward] Layer conv1, param blob 0 diff: ") for line in backward)
    assert len([line for line in backward if "All net params (data, diff): L1 norm = (" in line]) == 1
    w = np.concatenate([p.blob.data.ravel() for p in digits(tmp_path).net.parameters])
    assert f"L1 norm = ({np.abs(w).sum(dtype=float):g}, " in backward[-1]
