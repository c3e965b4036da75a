"""Snapshots on a disk that is full: what was there stays whole, nothing else is left, and training goes on."""

import resource
from pathlib import Path

import pytest
from solver.small import everything

from netdef import files, weights
from netdef.errors import NetdefError
from netdef.solver.snapshot import latest


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("size", [0, 64, 150])
def test_a_full_disk_leaves_the_earlier_files_whole_and_nothing_else(
    solver, tmp_path, small_disk, snapshot_format, size
):
    built = solver(f"snapshot_format: {snapshot_format}")
    built.step(1)
    first = {path: path.read_bytes() for path in built.snapshot()}
    small_disk(size)
    with pytest.raises(NetdefError, match=r"cannot write .*unchanged"):
        built.snapshot()
    small_disk(resource.RLIM_INFINITY)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == first
    built.step(1)
    built.snapshot()
    assert len(list(tmp_path.iterdir())) == 4


def test_a_disk_that_is_full_after_the_weights_leaves_no_state_without_them(solver, tmp_path, monkeypatch):
    """The state is written last, so that the latest state always has its weights."""
    built = solver()
    built.step(1)
    written = []
    save = weights.save
    monkeypatch.setattr(
        weights, "save", lambda path, *rest, **more: (written.append(Path(path)), save(path, *rest, **more))
    )
    model, state = built.snapshot()
    assert written == [model]
    assert state.stat().st_mtime_ns >= model.stat().st_mtime_ns
    built.step(1)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save", save)
    real = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: full() if "solverstate" in str(b) else real(a, b))
    with pytest.raises(NetdefError, match="No space left"):
        built.snapshot()
    assert latest(tmp_path / "s") == state
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".part"]


def test_a_full_disk_in_the_midst_of_training_costs_a_snapshot_and_not_the_run(solver, tmp_path, small_disk, caplog):
    built, quiet = solver("snapshot: 2"), solver()
    small_disk(64)
    built.step(3)
    small_disk(resource.RLIM_INFINITY)
    assert "training goes on" in caplog.text
    built.step(1)
    assert latest(tmp_path / "s").name == "s_iter_4.solverstate"
    quiet.step(4)
    assert everything(built) == everything(quiet)
