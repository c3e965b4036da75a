"""Compiled kernels are kept on disk: a second process links them, whatever befell the first's folder."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import logging, sys
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
from netdef_plugins.kernels import elementwise, kept, objects
compiled, cfunc = [], objects.cfunc
objects.cfunc = lambda *args, **settings: compiled.append(args) or cfunc(*args, **settings)
{before}
x = np.arange(-3, 3, dtype="f")
elementwise.relu(x, x)
assert (x == [0, 0, 0, 0, 1, 2]).all(), x
print(len(compiled), kept.folder())
"""
KERNELS = 3  # of the thread pool two, and the one that was asked for


def start(place: Path | None, before: str = "", **variables: str) -> subprocess.Popen:
    """The process begun; one thread, so that nobody compiles ahead."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NETDEF_NUM_THREADS": "1", **variables}
    env.pop("NETDEF_CACHE_DIR", None)
    if place is not None:
        env["NETDEF_CACHE_DIR"] = str(place)
    code = [sys.executable, "-c", RUN.format(before=before)]
    return subprocess.Popen(code, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """How many kernels it compiled, its folder, and what it said."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    count, folder = out.split()
    return int(count), folder, err


def run(place: Path | None, before: str = "", **variables: str) -> tuple[int, str, str]:
    return finish(start(place, before, **variables))


def test_second_process_compiles_nothing_and_says_nothing(tmp_path):
    count, folder, said = run(tmp_path)
    assert count == KERNELS
    assert said.count("\n") == 1 and said.startswith("netdef.kernels: compiling kernels") and folder in said
    assert run(tmp_path)[::2] == (0, "")


def test_damaged_objects_are_compiled_again(tmp_path):
    run(tmp_path)
    for path in (tmp_path / "netdef").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-100])
    assert run(tmp_path)[0] == KERNELS
    assert run(tmp_path)[0] == 0


def test_an_object_with_one_bit_turned_is_not_executed(tmp_path):
    folder = Path(run(tmp_path)[1])
    for path in folder.iterdir():
        data = bytearray(path.read_bytes())
        data[2 * len(data) // 3] ^= 1
        path.write_bytes(data)
    assert run(tmp_path)[0] == KERNELS
    assert run(tmp_path)[0] == 0


def test_processes_that_start_together_share_the_work(tmp_path):
    both = [finish(process) for process in [start(tmp_path), start(tmp_path)]]
    assert sum(count for count, *_ in both) == KERNELS
    assert [p.name for p in Path(both[0][1]).iterdir() if p.suffix in (".lock", ".part")] == []


def test_a_process_that_holds_a_kernel_for_too_long_is_not_waited_for(tmp_path):
    _, folder, _ = run(tmp_path)
    kernel = next(Path(folder).glob("*_relu-float32"))
    kernel.unlink()
    with kernel.with_name(f"{kernel.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run(tmp_path, "kept.PATIENCE = 0.1")[0] == 1


def test_folders_of_versions_gone_by_are_removed(tmp_path):
    place = tmp_path / "netdef"
    names = ["kernels-" + letter * 16 for letter in "abc"] + ["kernels-mine", "other"]
    for name in names:
        (place / name).mkdir(parents=True)
        (place / name / "object").write_text("")
    old = time.time() - 30 * 86400
    for name in names[1:]:
        os.utime(place / name, (old, old))
    (place / ("kernels-" + "d" * 16)).symlink_to(place / "other")
    folder = run(tmp_path)[1]
    left = {p.name for p in place.iterdir()} - {Path(folder).name}
    assert left == {names[0], "kernels-mine", "other", "kernels-" + "d" * 16}


def test_a_folder_in_use_stays_though_it_was_made_long_ago(tmp_path):
    folder = run(tmp_path)[1]
    os.utime(folder, (0, 0))
    run(tmp_path)
    assert time.time() - Path(folder).stat().st_mtime < 3600


def test_a_process_whose_folder_is_removed_compiles_what_it_still_needs(tmp_path):
    gone = "import shutil; shutil.rmtree(kept.folder())"
    count, folder, _ = run(tmp_path, gone)
    assert count == KERNELS and not Path(folder).exists()


EDITED = "kept._stamp = kept._digest = lambda: 'another'"


def test_what_is_compiled_while_the_sources_change_is_not_kept(tmp_path):
    assert run(tmp_path, EDITED)[0] == KERNELS
    assert run(tmp_path)[0] == KERNELS
    assert run(tmp_path)[0] == 0


def test_what_was_kept_is_not_called_by_a_process_whose_sources_changed(tmp_path):
    run(tmp_path)
    assert run(tmp_path, EDITED)[0] == KERNELS


def test_sources_that_were_only_touched_are_still_the_same(tmp_path):
    run(tmp_path)
    assert run(tmp_path, "kept._stamp = lambda: 'another'")[0] == 0


def test_unusable_folder_is_passed_over(tmp_path):
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "home")
    assert run(tmp_path / "file", XDG_CACHE_HOME=home)[1].startswith(home)


def test_without_a_folder_every_start_compiles(tmp_path):
    (tmp_path / "file").write_text("")
    nowhere = {name: str(tmp_path / "file/below") for name in ("XDG_CACHE_HOME", "HOME", "TMPDIR")}
    nothing = "import tempfile; tempfile.tempdir = '/dev/null/below'"
    count, folder, said = run(None, nothing, **nowhere)
    assert (count, folder) == (KERNELS, "None") and "NETDEF_CACHE_DIR" in said


def test_a_home_that_nobody_knows_is_not_made_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unknown = "import os.path; os.path.expanduser = lambda path: path; os.environ.pop('XDG_CACHE_HOME', 0)"
    assert "~" not in run(None, unknown, TMPDIR=str(tmp_path))[1]
    assert not (tmp_path / "~").exists()


def test_a_full_disk_costs_no_more_than_the_compiling(tmp_path):
    full = "import pathlib\ndef write(path, data): raise OSError(28, 'No space left')\npathlib.Path.write_bytes = write"
    assert run(tmp_path, full)[0] == KERNELS
    assert run(tmp_path)[0] == KERNELS


def test_what_others_can_replace_is_not_executed(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    home = str(tmp_path / "home")
    assert run(open_to_all, XDG_CACHE_HOME=home)[1].startswith(home)
    open_to_all.chmod(0o1777)  # as the temporary folder: nobody can move what is another's
    assert run(open_to_all, XDG_CACHE_HOME=home)[1].startswith(str(open_to_all))


FORKING = """
import os, signal, threading
busy = threading.Event()
def slow(*args, make=objects._compile):
    busy.set()
    return make(*args)
objects._compile = slow
x = np.zeros(3, "f")
thread = threading.Thread(target=elementwise.sigmoid, args=(x, x))
thread.start()
busy.wait()
child = os.fork()
if child == 0:
    signal.alarm(50)
    elementwise.relu_backward(np.ones(3, "f"), x, x)
    os._exit(0)
status = os.waitpid(child, 0)[1]
thread.join()
assert status == 0 and (x == 0.5).all(), (status, x)
"""


def test_a_child_made_while_a_thread_compiles_can_compile_too(tmp_path):
    assert run(tmp_path, FORKING)[0] > 0


def made_elsewhere(place: Path, kernel: str) -> bool:
    """Waits for a kernel that the process itself never needs."""
    for _ in range(3000):
        if list(place.glob(f"netdef/*/*{kernel}-float32")):
            return True
        time.sleep(0.02)
    return False


def ends(pid: int) -> bool:
    for _ in range(3000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def helped(tmp_path):
    """A process that has one helper and stays until its stdin is closed, and the helper's number."""
    ask = "; native.Task.address(elementwise._relu, 'f4'); print(ahead._helpers[0].pid, flush=True); sys.stdin.read()"
    before = "from netdef_plugins.kernels import ahead, native" + ask
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NETDEF_NUM_THREADS": "2"}
    code = [sys.executable, "-c", RUN.format(before=before)]
    variables = env | {"NETDEF_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(code, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process, int(process.stdout.readline())
        process.kill()


def test_another_process_makes_what_is_needed_next_and_ends_with_the_first(tmp_path, helped):
    process, helper = helped
    assert made_elsewhere(tmp_path, "_sigmoid")
    process.stdin.close()
    assert process.stdout.read().split()[0] == str(KERNELS)
    assert ends(helper)


def test_a_helper_outlives_nobody(helped):
    process, helper = helped
    process.kill()
    assert ends(helper)


def test_a_helper_that_cannot_work_costs_nothing(tmp_path):
    broken = "import subprocess as s, time; from netdef_plugins.kernels import ahead; ahead._start = lambda: "
    broken += "(lambda p: (p.wait(), p)[1])(s.Popen([sys.executable, '-c', ''], stdin=s.PIPE))"
    count, _, said = run(tmp_path, broken, NETDEF_NUM_THREADS="2")
    assert count == KERNELS and "Error" not in said


def test_only_python_is_started_as_a_helper(monkeypatch):
    from netdef_plugins.kernels import ahead

    assert ahead._is_python(sys.executable) and not ahead._is_python("/opt/gimp") and not ahead._is_python("")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not ahead._is_python(sys.executable)
