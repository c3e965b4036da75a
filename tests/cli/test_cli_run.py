"""netdef train, test, time, export: a small net from solver to ONNX."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from netdef.report import terminal

PREFIX = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\w+\.cpp:\d+)\] (.*)")


@pytest.fixture
def trained(run, files):
    assert run("train", "solver.prototxt").status == 0
    return files


def test_training_logs_as_caffe_does(run, files):
    done = run("train", "--solver=solver.prototxt", "--log", "run.log")
    assert (done.status, done.out) == (0, "")
    own = [line for line in done.err.splitlines() if line.startswith("netdef: ")]
    assert [line.split()[1] for line in own] == ["best", "report:"]
    lines = [PREFIX.fullmatch(line).groups() for line in done.err.splitlines() if line not in own]
    texts = [text for _, text in lines]
    assert texts[:2] == ["Solving small", "Learning Rate Policy: step"]
    assert texts[2] == "Iteration 0, Testing net (#0)"
    assert re.fullmatch(r"    Test net output #0: accuracy = \S+", texts[3])
    assert re.fullmatch(r"    Test net output #1: loss = (\S+) \(\* 1 = \1 loss\)", texts[4])
    assert re.fullmatch(r"Iteration 0 \(0 iter/s, \S+s/2 iters\), loss = \S+", texts[5])
    assert re.fullmatch(r"    Train net output #0: loss = (\S+) \(\* 1 = \1 loss\)", texts[6])
    assert texts[7] == "Iteration 0, lr = 0.01"
    assert [text for text in texts if ", lr = " in text][-1] == "Iteration 8, lr = 0.001"
    assert ("solver.cpp:447", "Snapshotting to binary proto file small_iter_5.caffemodel") in lines
    assert ("sgd_solver.cpp:273", "Snapshotting solver state to binary proto file small_iter_10.solverstate") in lines
    assert re.fullmatch(r"Iteration 10, loss = \S+", texts[-5])
    assert texts[-4] == "Iteration 10, Testing net (#0)" and texts[-1] == "Optimization Done."
    logged = [PREFIX.fullmatch(line)[2] for line in Path("run.log").read_text().splitlines()]
    assert [t for t in logged if "iter/s" not in t] == [t for t in texts if "iter/s" not in t]


def test_a_resumed_run_ends_in_the_same_weights(run, trained):
    before = Path("small_iter_10.caffemodel").read_bytes()
    Path("small_iter_10.caffemodel").unlink()
    done = run("train", "solver.prototxt", "--snapshot", "small_iter_5.solverstate", "-gpu", "all")
    assert done.status == 0 and "Iteration 5, Testing net" in done.err and "Iteration 4" not in done.err
    assert Path("small_iter_10.caffemodel").read_bytes() == before


def test_training_starts_from_weights(run, trained):
    text = Path("solver.prototxt").read_text()
    Path("stay.prototxt").write_text(text.replace("base_lr: 0.01", "base_lr: 0").replace('"small"', '"stay"'))
    for solver in ("stay.prototxt", "named.prototxt"):
        weights = ["--weights", "small_iter_10.caffemodel"] if solver == "stay.prototxt" else []
        Path("named.prototxt").write_text(Path("stay.prototxt").read_text() + 'weights: "small_iter_10.caffemodel"')
        assert run("train", solver, *weights).status == 0
        assert Path("stay_iter_10.caffemodel").read_bytes() == Path("small_iter_10.caffemodel").read_bytes()
        Path("stay_iter_10.caffemodel").unlink()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weights", "nothere"], "cannot read nothere: No such file or directory"),
        (["--snapshot", "nothere.solverstate"], "nothere.solverstate"),
        (["--snapshot", "small_iter_5.caffemodel"], "small_iter_5.caffemodel"),
        (["--log", "no/such/run.log"], "no/such/run.log: No such file or directory"),
    ],
)
def test_training_refuses_files_that_do_not_fit(run, trained, words, said):
    kept = Path("small_iter_5.caffemodel").read_bytes()
    done = run("train", "solver.prototxt", *words)
    assert done.status == 1 and done.err.startswith("netdef: error: ") and said in done.err
    assert done.err.count("\n") == 1
    assert Path("small_iter_5.caffemodel").read_bytes() == kept


def test_training_needs_an_end(run, files):
    Path("endless.prototxt").write_text(Path("solver.prototxt").read_text().replace("max_iter: 10", ""))
    assert "endless.prototxt: no max_iter" in run("train", "endless.prototxt").err


def test_a_terminal_sees_tests_and_snapshots_in_one_line_each(run, files, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    done = run("train", "solver.prototxt", "--log", "run.log")
    assert done.status == 0
    lines = [line.rstrip() for line in done.err.splitlines() if line.startswith("iteration ")]
    assert re.fullmatch(r"iteration 0  test #0  accuracy \S+, loss \S+", lines[0])
    assert "iteration 5  saved  small_iter_5.caffemodel, small_iter_5.solverstate" in lines
    assert lines[-1] == "iteration 10  done"
    assert "Optimization Done." not in done.err and "Optimization Done." in Path("run.log").read_text()


@pytest.mark.parametrize(("number", "words"), [(signal.SIGINT, []), (signal.SIGHUP, ["-sighup_effect=stop"])])
def test_a_signal_stops_training_with_a_snapshot(files, number, words):
    text = Path("solver.prototxt").read_text().replace("max_iter: 10", "max_iter: 1000000000")
    Path("long.prototxt").write_text(text.replace("snapshot: 5", ""))
    command = [sys.executable, "-m", "netdef", "train", "long.prototxt", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "Iteration 2 " in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
    assert process.returncode == 128 + number and "Optimization stopped early." in rest
    assert list(files.glob("small_iter_*.caffemodel")) and list(files.glob("small_iter_*.solverstate"))


def test_testing_prints_batches_and_means(run, trained):
    done = run("test", "-model", "net.prototxt", "-weights", "small_iter_10.caffemodel", "-iterations", "3")
    assert done.status == 0
    lines = [PREFIX.fullmatch(line).groups() for line in done.err.splitlines()]
    assert lines[0] == ("caffe.cpp:285", "Running for 3 iterations.")
    batches = [text for place, text in lines if place == "caffe.cpp:308"]
    assert [text.split(" = ")[0] for text in batches[:3]] == ["Batch 0, accuracy", "Batch 0, loss", "Batch 1, accuracy"]
    values = [float(text.split(" = ")[1]) for text in batches if ", loss" in text]
    told = done.out.splitlines()
    assert told == [text for _, text in lines[-3:]]
    assert float(told[0].removeprefix("Loss: ")) == pytest.approx(sum(values) / 3, rel=1e-4)
    assert re.fullmatch(r"accuracy = \S+", told[1]) and re.fullmatch(r"loss = (\S+) \(\* 1 = \1 loss\)", told[2])


def test_testing_on_a_terminal_leaves_the_means_alone(run, trained, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    done = run("test", "net.prototxt", "--weights", "small_iter_10.caffemodel", "--iterations", "2")
    assert done.status == 0 and "caffe.cpp" not in done.err
    assert [line.split()[0] for line in done.out.splitlines()] == ["Loss:", "accuracy", "loss"]


def test_an_export_shows_what_it_compares(run, trained, monkeypatch):
    words = ["export", "deploy.prototxt", "--weights", "small_iter_10.caffemodel", "-o", "small.onnx"]
    assert run(*words).err == ""
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    done = run(*words)
    assert done.status == 0 and "comparing" in done.err and "compared in ONNX Runtime over 5" in done.out


def test_inputs_that_nobody_fills_are_named(run, trained):
    done = run("test", "deploy.prototxt", "--weights", "small_iter_10.caffemodel", "--iterations", "1")
    assert done.status == 0 and "netdef: warning: no layer fills x, so that zeros go in" in done.err


@pytest.mark.parametrize("mode", ["", "solver_mode: CPU", "solver_mode: GPU"])
def test_a_gpu_asked_for_is_told_once(run, files, mode):
    (files / "solver.prototxt").write_text(f"{(files / 'solver.prototxt').read_text()} {mode}")
    done = run("train", "solver.prototxt")
    assert done.status == 0
    assert done.err.count("solver_mode: GPU is ignored: netdef runs on the CPU") == (mode == "solver_mode: GPU")


def test_layers_without_weights_are_named(run, trained):
    Path("other.prototxt").write_text(Path("net.prototxt").read_text().replace('name: "fc"', 'name: "fc9"'))
    done = run("test", "other.prototxt", "--weights", "small_iter_10.caffemodel", "--iterations", "1")
    assert done.status == 0
    assert "netdef: warning: small_iter_10.caffemodel: nothing for fc9; left as their fillers made them" in done.err


def test_time_tells_every_layer_and_caffe_s_sums(run, files):
    done = run("time", "net.prototxt", "--iterations", "2")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == [
        "layer",
        "type",
        "forward",
        "ms",
        "update",
        "ms",
        "backward",
        "ms",
        "sum",
        "ms",
        "share",
    ]
    assert {"data", "conv", "relu", "fc", "loss"} < {line.split()[0] for line in lines}
    assert [line.split(": ")[0] for line in lines[-4:]] == [
        "Average Forward pass",
        "Average Backward pass",
        "Average Forward-Backward",
        "Total Time",
    ]
    found = json.loads(run("time", "--model", "net.prototxt", "--iterations", "2", "--json").out)
    by_name = {layer["name"]: layer for layer in found["layers"]}
    assert by_name["conv"]["update"] > 0 and by_name["data"]["backward"] == 0
    assert found["forward_backward"] == pytest.approx(found["forward"] + found["backward"])
    assert found["total"] == pytest.approx(2 * found["forward_backward"])


def test_export_writes_a_model_that_was_compared(run, trained):
    done = run("export", "deploy.prototxt", "--weights", "small_iter_10.caffemodel", "-o", "small.onnx")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:2] == ["input x: 1x3x8x8", "output prob: 1x2"]
    assert re.match(r"compared in ONNX Runtime over \d+ random inputs: largest difference \S+ of the blob's", lines[2])
    assert re.fullmatch(r"wrote small\.onnx: \S+ kB, opset \d+", lines[3])
    onnx.checker.check_model(onnx.load("small.onnx"))


def test_an_export_that_fails_leaves_nothing(run, trained):
    there = sorted(trained.iterdir())
    for words in (["--weights", "nothere"], ["--weights", "small_iter_10.solverstate"]):
        done = run("export", "deploy.prototxt", *words, "-o", "out.onnx")
        assert done.status == 1 and done.err.startswith("netdef: error: ")
    assert run("export", "deploy.prototxt", "--filler", "-o", "no/such/out.onnx").status == 1
    assert sorted(trained.iterdir()) == there


@pytest.mark.parametrize("words", [("export", "deploy.prototxt", "-o", "o.onnx"), ("test", "net.prototxt")])
def test_the_best_model_serves_where_no_weights_are_given(run, trained, words):
    done = run(*words)
    assert done.status == 0
    assert "no --weights given; taking the best model of the last training, small_best.caffemodel" in done.err
    if words[0] == "export":
        told = {p.key: p.value for p in onnx.load("o.onnx").metadata_props}
        assert told["weights.1"] == "small_best.caffemodel"
    Path("other_best.caffemodel").write_bytes(b"")
    assert run(*words).status == 2


def test_an_untrained_net_is_exported_on_purpose(run, files):
    assert run("export", "deploy.prototxt", "--filler", "--output=out.onnx").status == 0
    assert Path("out.onnx").exists()
