"""What bad input and bad luck become: one line, an exit status, no traceback."""

import logging
import os
import subprocess
import sys

import pytest

from netdef.cli import check, failure, settings
from netdef.errors import NetdefError

COMMANDS = {
    "check": ["check", "FILE"],
    "time": ["time", "FILE"],
    "test": ["test", "FILE", "--weights", "w.caffemodel"],
    "export": ["export", "FILE", "--filler", "-o", "out.onnx"],
    "train": ["train", "FILE"],
    "upgrade": ["upgrade", "FILE"],
}
BAD = {
    "missing": (None, "No such file or directory"),
    "folder": ("/", "Is a directory"),
    "binary": (b"\x00\x01\x02\xff" * 20, "binary"),
    "empty": (b"", "no setting in this file"),
    "torn": (b'net_param { name: "x"', "the file ends where '}' is missing"),
    "wrong field": (b'layer { nmae: "x" }\nnet: "y"', "unknown field"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_named_in_one_line(run, tmp_path, monkeypatch, command, kind):
    monkeypatch.chdir(tmp_path)
    content, said = BAD[kind]
    path = tmp_path / "bad.prototxt"
    if content == "/":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    done = run(*(str(path) if word == "FILE" else word for word in COMMANDS[command]))
    assert done.status == 1 and done.out == ""
    assert done.err.startswith(f"netdef: error: {path}") and said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("command", ["check", "time", "export", "test"])
def test_a_solver_in_place_of_a_net_is_recognized(run, files, command):
    done = run(*("solver.prototxt" if word == "FILE" else word for word in COMMANDS[command]))
    assert done.status == 1
    assert done.err == "netdef: error: solver.prototxt: this is a solver; want the net that it names\n"


def test_a_net_in_place_of_a_solver_is_recognized(run, files):
    done = run("train", "net.prototxt")
    assert done.status == 1
    assert done.err == "netdef: error: net.prototxt: this is a net; want a solver, which names its net\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NetdefError("net.prototxt:3:1: no"), 1, "net.prototxt:3:1: no"),
        (MemoryError(), 1, "out of memory; use a smaller batch, or see what the net needs with: netdef check NET"),
        (MemoryError("2 GiB"), 1, "out of memory: 2 GiB; use a smaller batch"),
        (PermissionError(13, "Permission denied", "x.log"), 1, "x.log: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyError("x"), 1, "KeyError: 'x'; netdef did not expect this: run it again with --traceback"),
        (AssertionError(), 1, "AssertionError; netdef did not expect this"),
    ],
)
def test_errors_become_a_line_and_a_status(run, monkeypatch, error, status, said):
    def fail(args):
        raise error

    monkeypatch.setattr(check, "run", fail)
    done = run("check", "x")
    assert done.status == status
    assert done.err.startswith(f"netdef: error: {said}") and done.err.count("\n") == 1


def test_traceback_by_flag_and_by_environment(run, files, monkeypatch):
    assert "Traceback" not in run("check", "nothere").err
    shown = run("check", "nothere", "--traceback").err
    assert "Traceback" in shown and shown.endswith("netdef: error: nothere: No such file or directory\n")
    monkeypatch.setenv("NETDEF_TRACEBACK", "1")
    assert "Traceback" in run("check", "nothere").err


def test_a_reader_that_goes_away_is_no_error(files):
    command = [sys.executable, "-m", "netdef", "layers", "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == failure.PIPE


def test_a_process_ends_with_the_status(files):
    done = subprocess.run([sys.executable, "-m", "netdef", "check", "nothere"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "netdef: error: nothere: No such file or directory\n"


def test_what_the_engine_notes_becomes_a_line_while_a_command_runs(capsys):
    log = logging.getLogger("netdef.somewhere")
    log.info("before")
    with settings.heard():
        log.info("kernels")
        log.warning("odd")
    log.info("after")
    assert capsys.readouterr().err == "netdef: note: kernels\nnetdef: warning: odd\n"
