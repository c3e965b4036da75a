"""netdef upgrade: nets and solvers, to a file, to standard output, never over the input by accident."""

import os

import pytest

V1 = 'layers { name: "r" type: RELU bottom: "x" top: "y" }  # a comment\n'
SOLVER = 'net: "n.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nsolver_type: ADAM\n'


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.prototxt").write_text(V1)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path / "old.prototxt"


def test_a_net_goes_to_a_file(run, old):
    done = run("upgrade", "old.prototxt", "new.prototxt")
    assert (done.status, done.out) == (0, "") and "netdef: upgraded: " in done.err
    text = (old.parent / "new.prototxt").read_text()
    assert 'type: "ReLU"' in text and "layers" not in text and "netdef_origin" not in text
    assert old.read_text() == V1
    again = run("upgrade", "new.prototxt")
    assert again.out == text and "new.prototxt is in today's format already" in again.err


@pytest.mark.parametrize("words", [["solver.prototxt"], ["solver.prototxt", "-"]])
def test_a_solver_goes_to_standard_output(run, old, words):
    done = run("upgrade", *words)
    assert done.status == 0
    assert 'type: "Adam"' in done.out and "solver_type" not in done.out
    assert "solver_type, an enum, is now type, a name" in done.err


def test_the_input_is_kept_unless_asked(run, old):
    for target in ("old.prototxt", str(old), "link.prototxt"):
        if target == "link.prototxt":
            os.link(old, old.parent / target)
        done = run("upgrade", "old.prototxt", target)
        assert done.status == 2 and "to write over it: netdef upgrade --in-place old.prototxt" in done.err
        assert old.read_text() == V1
    assert run("upgrade", "--in-place", "old.prototxt").status == 0
    assert 'type: "ReLU"' in old.read_text()


def test_a_failure_leaves_no_file(run, old):
    (old.parent / "bad.prototxt").write_text("layers { nmae: 'x' }")
    done = run("upgrade", "bad.prototxt", "out.prototxt")
    assert done.status == 1 and "unknown field 'nmae'" in done.err
    assert run("upgrade", "old.prototxt", "no/such/out.prototxt").status == 1
    assert sorted(os.listdir(old.parent)) == ["bad.prototxt", "old.prototxt", "solver.prototxt"]


def test_a_broken_solver_is_judged_as_a_solver(run, old):
    (old.parent / "bad.prototxt").write_text('net: "n"\nbase_lr: 0.1\nmomentm: 0.9\n')
    done = run("upgrade", "bad.prototxt")
    assert done.err == (
        "netdef: error: bad.prototxt:3:1: unknown field 'momentm' in SolverParameter; did you mean 'momentum'?\n"
    )
