"""Full disks, vanished data, a plugin's failure, a hung iteration: what is kept, and what is said."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time

import pytest
from solver.runs import DIGITS, digits, weights

from netdef import files
from netdef.errors import NetdefError, SourceError
from netdef.solver.signals import SNAPSHOT, STOP, Signals


@pytest.fixture
def full(monkeypatch):
    """A disk that is full from a moment on."""
    disk = {"full": False}
    real = os.fsync

    def fsync(fd):
        if disk["full"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd)

    monkeypatch.setattr(files.os, "fsync", fsync)
    return disk


def test_a_full_disk_costs_a_snapshot_and_not_the_run(tmp_path, full, caplog):
    solver = digits(tmp_path, max_iter=30, snapshot=10, test_interval=1000)
    solver.callbacks.append((lambda: full.update(full=10 <= solver.iter < 25), lambda: None))
    with caplog.at_level(logging.WARNING, "netdef"):
        assert solver.solve() == "done"
    assert [r.getMessage() for r in caplog.records] == [
        f"iteration 20: cannot write {tmp_path}/run_iter_20.caffemodel: No space left on device; "
        "what was there before is unchanged; training goes on"
    ]
    assert sorted(p.name for p in tmp_path.glob("*.solverstate")) == [
        "run_iter_10.solverstate",
        "run_iter_30.solverstate",
    ]
    assert not list(tmp_path.glob(".*"))


def test_the_last_snapshot_is_not_lost_in_silence(tmp_path, full):
    solver = digits(tmp_path, max_iter=5, test_interval=1000)
    full["full"] = True
    with pytest.raises(NetdefError, match=r"run_iter_5.caffemodel: No space left on device"):
        solver.solve()


def test_data_that_vanishes_ends_in_a_snapshot_that_goes_on(tmp_path):
    whole = digits(tmp_path, max_iter=20, test_interval=1000)
    whole.solve()
    solver = digits(tmp_path, max_iter=20, test_interval=1000)
    source = solver.net.layers[0]
    read = source.forward

    def forward(bottom, top):
        if source.passes == 12:
            raise SourceError("train.h5: No such file or directory")
        read(bottom, top)

    source.forward = forward
    with pytest.raises(SourceError) as caught:
        solver.solve()
    said = str(caught.value)
    assert said.startswith("iteration 12: ") and "layer 'data' (HDF5Data): train.h5: No such file" in said
    assert said.endswith(f"; what was learnt is saved, go on with --snapshot {tmp_path}/run_iter_12.solverstate")
    resumed = digits(tmp_path, max_iter=20, test_interval=1000)
    resumed.restore(tmp_path / "run_iter_12.solverstate")
    resumed.solve()
    assert (weights(resumed) == weights(whole)).all()


def test_a_snapshot_asked_for_in_a_test_waits_for_its_end(tmp_path):
    solver = digits(tmp_path, max_iter=20, test_interval=5)
    asked = iter(["none"] * 2 + [SNAPSHOT])  # the third batch of the first test
    solver.wish = lambda: next(asked, "none")
    solver.step(3)
    [state] = tmp_path.glob("*.solverstate")
    assert state.name == "run_iter_1.solverstate"
    again = digits(tmp_path, max_iter=20, test_interval=5)
    again.restore(state)
    assert [layer.passes for layer in again.test_nets[0].layers] == [4] * len(again.test_nets[0].layers)


def test_a_second_interrupt_does_not_wait(monkeypatch):
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.take() == STOP and signals.stopped_by == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_a_hung_iteration_ends_with_the_status_of_an_interrupt(tmp_path):
    (tmp_path / "hang.py").write_text(
        "import time\nfrom netdef.layer import ParameterFree, hookimpl\n"
        "class Hang(ParameterFree):\n    type = 'Hang'\n    in_place = True\n"
        "    def forward(self, bottom, top):\n        print('hung', flush=True)\n        time.sleep(60)\n"
        "    def backward(self, top, propagate_down, bottom):\n        pass\n"
        "@hookimpl\ndef netdef_layers():\n    return [Hang]\n"
    )
    net = (DIGITS / "train_val.prototxt").read_text().replace('source: "', f'source: "{DIGITS}/')
    net += 'layer { name: "hang" type: "Hang" bottom: "loss" top: "loss" include { phase: TRAIN } }'
    (tmp_path / "net.prototxt").write_text(net)
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9')
    command = [sys.executable, "-m", "netdef", "--plugin", "hang.py", "train", "solver.prototxt"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "hung\n"
        process.send_signal(signal.SIGINT)
        while "Ctrl-C once more stops at once" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in err
