"""Compiled kernels are kept on disk: a second process links them, whatever befell the first's folder."""

import os
import subprocess
import sys

import pytest

RUN = """
import numpy as np
from netdef_plugins.kernels import elementwise, objects
cold = objects.cold()
if {warm}:
    objects.cfunc = None  # compiling would fail
x = np.arange(-3, 3, dtype="f")
elementwise.relu(x, x)
assert (x == [0, 0, 0, 0, 1, 2]).all(), x
print(cold, objects.folder())
"""


def run(place, warm=False) -> list[str]:
    variables = os.environ | {"NETDEF_CACHE_DIR": str(place), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = [sys.executable, "-c", RUN.format(warm=warm)]
    return subprocess.run(code, env=variables, check=True, capture_output=True, text=True).stdout.split()


def test_second_process_compiles_nothing(tmp_path):
    assert run(tmp_path)[0] == "True"
    assert run(tmp_path, warm=True)[0] == "False"


def test_damaged_objects_are_compiled_again(tmp_path):
    run(tmp_path)
    for path in (tmp_path / "netdef").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-100])
    run(tmp_path)
    run(tmp_path, warm=True)


def test_unusable_folder_is_passed_over(tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path) not in run(tmp_path / "file")[1]


@pytest.mark.parametrize("count", [0, -1])
def test_thread_count_is_at_least_one(count):
    from netdef_plugins.kernels import threads

    with pytest.raises(ValueError, match=str(count)):
        threads.set_count(count)
