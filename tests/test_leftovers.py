"""What a killed writer leaves behind goes with the next write in the folder, unless its writer may be alive."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from netdef import leftovers
from netdef.files import hdf5_with_room, replacing, replacing_folder, replacing_path

pytestmark = pytest.mark.skipif(not leftovers._ending(), reason="the system does not tell its kernels apart")
HALF = """
import sys
from netdef.files import replacing, replacing_folder
with {way}(sys.argv[1]) as made:
    {write}
    print("half", flush=True)
    sys.stdin.read()
"""
WAYS = {
    "replacing": 'made.write(b"half"); made.flush()',
    "replacing_folder": '(made / "deep").mkdir(); (made / "deep" / "f").write_text("half")',
}


def half_way(path: Path, way: str) -> subprocess.Popen:
    """A process that has begun to write, and waits."""
    code = HALF.format(way=way, write=WAYS[way])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], text=True, **pipes)
    assert writer.stdout.readline() == "half\n"
    return writer


def write_in_a_new_process(path: Path) -> None:
    code = 'import sys; from netdef.files import replacing\nwith replacing(sys.argv[1]) as f: f.write(b"new")'
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def parts(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


@pytest.mark.parametrize("way", WAYS)
def test_only_what_a_dead_process_left_is_removed(tmp_path, way):
    with half_way(tmp_path / "a", way) as dead, half_way(tmp_path / "a", way) as alive:
        dead.kill()
        dead.wait()
        assert len(parts(tmp_path)) == 2
        write_in_a_new_process(tmp_path / "b")
        assert (tmp_path / "b").read_text() == "new"
        assert len(parts(tmp_path)) == 1, "that of the process which still writes"
        alive.communicate("")
        assert alive.returncode == 0
    made = tmp_path / "a" if way == "replacing" else tmp_path / "a" / "deep" / "f"
    assert made.read_text() == "half"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


LEAVES = """
import os, subprocess, sys
from netdef.files import replacing_path
with replacing_path(sys.argv[1]):
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **nothing).pid, flush=True)
    os._exit(9)
"""


def test_a_child_that_its_writer_left_behind_keeps_nothing_from_being_removed(tmp_path):
    """A lock goes with the process that took it, not with programs that it started."""
    done = subprocess.run([sys.executable, "-c", LEAVES, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True)
    try:
        assert len(parts(tmp_path)) == 1
        write_in_a_new_process(tmp_path / "b")
        assert parts(tmp_path) == []
    finally:
        os.kill(int(done.stdout), 9)


def test_what_may_be_another_machines_stays(tmp_path):
    """The folder may be shared: of names that this kernel did not give nothing is known."""
    others = [".a.x1y2z3.part", ".a.x1y2z3.0123456789ab.part", f"a{leftovers._ending()}.keep"]
    for name in others:
        (tmp_path / name).write_text("half")
    write_in_a_new_process(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", *others])


def test_writers_side_by_side_leave_each_other_alone(tmp_path):
    with replacing(tmp_path / "a") as f, replacing(tmp_path / "a") as g, replacing_folder(tmp_path / "d") as folder:
        f.write(b"f")
        g.write(b"g")
        leftovers._remove.cache_clear()
        leftovers.remove(tmp_path)
        assert len(parts(tmp_path)) == 3 and folder.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["a", "d"]


def test_hdf5_writes_into_what_is_locked(tmp_path):
    with replacing_path(tmp_path / "a.h5") as part, hdf5_with_room(part, 8, locking=False) as file:
        file["x"] = np.arange(2)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][1] == 1


def test_a_system_without_locks_writes_as_well(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError("no locks available")

    monkeypatch.setattr(leftovers.fcntl, "flock", refuse)
    with replacing(tmp_path / "a") as f:
        f.write(b"new")
        assert not parts(tmp_path)[0].endswith(leftovers._ending())
    assert os.listdir(tmp_path) == ["a"]
