"""What an author leans on: a file without a package, and pytest's one test per case."""

import subprocess
import sys

import pytest

from netdef.errors import PluginError
from netdef.registry import Registry, Settings

LAYER = """
from netdef.layer import ParameterFree, hookimpl

class Same(ParameterFree):
    type, in_place, reads = "{name}", True, ()

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff

    def to_onnx(self, graph, inputs):
        return [graph.op("Identity", inputs)]

@hookimpl
def netdef_layers():
    return [Same]
"""
CASES = """
# case: small
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
layer { name: "y" type: "TanH" bottom: "x" top: "y" }

# case: %s
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "y" type: "TanH" bottom: "x" top: "y" }
"""
TEST = """
from netdef.testing import check_layer

def test_conforms(netdef_case):
    check_layer(netdef_case)

def test_another():
    pass
"""


def test_a_file_counts_once_however_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(LAYER.format(name="Mine"))
    monkeypatch.setenv("NETDEF_PLUGIN_FILES", f"mine.py,./mine.py,{tmp_path / 'mine.py'}")
    registry = Registry().load()
    assert len(registry.claims("layers", "Mine")) == 1


def test_two_files_of_one_name_are_two_plugins(tmp_path):
    files = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(LAYER.format(name=f"From{file.parent.name}"))
    registry = Registry(Settings(files=tuple(map(str, files)))).load()
    found = [registry.find("layers", f"From{name}") for name in "ab"]
    assert [c.plugin.name for c in found] == [f"file:{file}" for file in files]
    assert found[0].thing.__module__ != found[1].thing.__module__


def test_a_file_may_be_chosen_over_an_installed_plugin_and_the_other_way_round(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(LAYER.format(name="ReLU"))
    settings = Settings(files=(str(file),))
    with pytest.raises(PluginError, match=r"is claimed by netdef-nn:activation .* and file:"):
        Registry(settings).load().find("layers", "ReLU")
    for choice in (f"file:{file}", "netdef-nn"):
        settings.prefer = {"ReLU": choice}
        assert Registry(settings).load().find("layers", "ReLU").plugin.distribution == choice


def pytest_says(folder):
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-c", "/dev/null", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder).stdout


def test_each_case_is_a_test(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/TanH.prototxt").write_text(CASES % "wide x=uniform:-1:1")
    (tmp_path / "cases/More.prototxt").write_text(CASES % "refuted refused=no such words")
    said = pytest_says(tmp_path)
    for name, outcome in (
        ("test_conforms[TanH-small]", "PASSED"),
        ("test_conforms[TanH-wide]", "PASSED"),
        ("test_conforms[More-small]", "PASSED"),
        ("test_conforms[More-refuted]", "FAILED"),
        ("test_another", "PASSED"),
    ):
        assert f"test_it.py::{name} {outcome}" in said
    assert "the case says that it is refused (no such words), but it runs" in said


def test_no_cases_are_no_success(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    said = pytest_says(tmp_path)
    assert f"netdef_case: no {tmp_path}/cases/*.prototxt" in said and "1 error" in said
