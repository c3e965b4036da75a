"""Log lines against Caffe's own words, and against what people's log parsers look for."""

import errno
import io
import re
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.report import log
from netdef.report.log import Log

# lines of runs of BVLC Caffe 1.0, without prefix
CAFFE = [
    "Iteration 0 (0 iter/s, 0s/100 iters), loss = 2.3",
    "Iteration 100 (167.785 iter/s, 0.596s/100 iters), loss = 1.2e-05",
    "    Train net output #0: loss = 2.3 (* 1 = 2.3 loss)",
    "    Train net output #1: aux = 0.5 (* 0.3 = 0.15 loss)",
    "    Test net output #0: accuracy = 0.9",
]


def test_lines_are_caffe_s_to_the_letter():
    outputs = [("loss", np.array([2.3]), 1.0), ("aux", np.array([0.5]), 0.3)]
    made = [
        log.iteration_line(0, 0, 0, 100, 2.3),
        log.iteration_line(100, 167.7852349, 0.596, 100, 0.000012),
        *log.output_lines("Train", outputs),
        *log.output_lines("Test", [("accuracy", np.array(0.9), 0.0)]),
    ]
    assert made == CAFFE


def test_every_element_of_an_output_has_a_number():
    outputs = [("a", np.array([1.0, 2.0]), 0.0), ("b", np.array([[3.0]]), 2.0)]
    assert log.output_lines("Test", outputs) == [
        "    Test net output #0: a = 1",
        "    Test net output #1: a = 2",
        "    Test net output #2: b = 3 (* 2 = 6 loss)",
    ]
    assert log.value_lines(outputs, "Batch 3, ", weighed=False)[-1] == "Batch 3, b = 3"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e-5, "1e-05"), (123456789.0, "1.23457e+08"), (87.3365, "87.3365"), (float("nan"), "nan"), (-np.inf, "-inf")],
)
def test_numbers_are_those_of_a_c_stream(value, shown):
    assert log.iteration_line(1, 1, 1, 1, value).endswith(f"loss = {shown}")


def test_the_prefix_is_glog_s():
    now = datetime(2017, 11, 23, 8, 30, 0, 123456)
    assert log.prefix("iteration", now, 12345) == "I1123 08:30:00.123456 12345 solver.cpp:218] "
    assert log.prefix("rate", now, 7) == "I1123 08:30:00.123456     7 sgd_solver.cpp:105] "


def solver(iteration: int, display: int = 2) -> SimpleNamespace:
    net = SimpleNamespace(
        name="n",
        outputs=["loss"],
        blobs={"loss": SimpleNamespace(data=np.array(0.25, np.float32))},
        loss_weight=lambda name: 1.0,
    )
    param = SimpleNamespace(display=display, lr_policy="step", max_iter=4, test_compute_loss=False)
    return SimpleNamespace(iter=iteration, net=net, param=param, rate=0.01, smoothed_loss=0.5)


def run_of(display: int) -> list[str]:
    stream = io.StringIO()
    observer = Log(stream)
    observer.start(solver(0, display))
    observer.test(solver(0, display), 1, [("accuracy", np.array(0.5), 0.0)])
    for i in range(5):
        observer.iteration(solver(i, display), 0.125)
    observer.snapshot(solver(4, display), ("a_iter_4.caffemodel.h5", "a_iter_4.solverstate.h5"))
    observer.end(solver(4, display), "stopped early")
    return stream.getvalue().splitlines()


def test_a_parser_written_for_caffe_reads_a_run():
    found, current = [], ""
    for line in run_of(2):
        iteration = re.search(r"Iteration (\d+)", line)
        rate = re.search(r"lr = ([-+]?[0-9]*\.?[0-9]+(?:[eE]?[-+]?[0-9]+)?)", line)
        output = re.search(r"(Train|Test) net output #(\d+): (\S+) = ([.\deE+-]+)", line)
        if output:
            found.append((int(current), output[1], output[3], float(output[4])))
        if iteration:
            current = iteration[1]
        if rate:
            found.append((int(current), "lr", float(rate[1])))
    assert found == [
        (0, "Test", "accuracy", 0.5),
        (0, "Train", "loss", 0.25),
        (0, "lr", 0.01),
        (2, "Train", "loss", 0.25),
        (2, "lr", 0.01),
    ]


def test_a_run_from_start_to_end():
    texts = [line.split("] ", 1)[1] for line in run_of(2)]
    assert texts[0:3] == ["Solving n", "Learning Rate Policy: step", "Iteration 0, Testing net (#1)"]
    assert texts[-5:] == [
        "Iteration 4, loss = 0.125",
        "Snapshotting to HDF5 file a_iter_4.caffemodel.h5",
        "Snapshotting solver state to HDF5 file a_iter_4.solverstate.h5",
        "Optimization stopped early.",
        "Optimization Done.",
    ]


def test_the_loss_of_a_test_is_printed_where_asked():
    stream, built = io.StringIO(), solver(4)
    built.param.test_compute_loss = True
    results = [("accuracy", np.array(0.5), 0.0), ("aux", np.array(2.0), 0.25), ("loss", np.array(1.5), 1.0)]
    Log(stream).test(built, 0, iter(results))
    texts = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    assert texts[:3] == ["Iteration 4, Testing net (#0)", "Test loss: 2", "    Test net output #0: accuracy = 0.5"]


def test_without_display_there_are_no_iterations():
    assert not [line for line in run_of(0) if "iter/s" in line]


class Full(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def writelines(self, lines):
        raise self.error


def test_a_full_disk_ends_the_log_and_not_the_run(capsys):
    observer = Log(Full(OSError(errno.ENOSPC, "No space left on device")))
    observer.start(solver(0))
    observer.end(solver(0), "done")
    assert capsys.readouterr().err == "netdef: warning: the log ends here: No space left on device\n"


def test_a_reader_that_goes_away_ends_the_run():
    with pytest.raises(BrokenPipeError):
        Log(Full(BrokenPipeError())).start(solver(0))
