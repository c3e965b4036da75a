"""netdef plugins new and check: from a name to a package that passes, and what is said of a layer that does not."""

import ast
import json
import tomllib

import pytest


@pytest.fixture
def made(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("plugins", "new", "netdef-soft-clip", "--dir", "work")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith('next: cd work/netdef-soft-clip && pip install -e ".[test]" && pytest\n')
    return tmp_path / "work/netdef-soft-clip"


def test_new_writes_a_package(made):
    found = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert found == [
        "netdef_soft_clip.py",
        "pyproject.toml",
        "readme.md",
        "tests/cases/SoftClip.prototxt",
        "tests/test_netdef_soft_clip.py",
    ]
    assert not any("$" in (made / name).read_text() for name in found)
    project = tomllib.loads((made / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["netdef"] == {"soft_clip": "netdef_soft_clip"}
    for name in found[0], found[4]:
        ast.parse((made / name).read_text())


def test_what_new_wrote_passes_its_check(run, made):
    done = run("plugins", "check", made / "netdef_soft_clip.py")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("SoftClip: every promise is kept\n") and done.out.count(": ok") == 4


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Soft-Clip", "small letters, digits and single hyphens, such as soft-clip"),
        ("softClip", "such as soft-clip"),
        ("9lives", "'9lives' cannot name a package"),
        ("../up", "cannot name a package"),
        ("", "'' cannot name a package"),
        ("netdef", "a module 'netdef' is installed already"),
        ("numpy", "a module 'numpy' is installed already"),
        ("lambda", "gives the module 'lambda', which is Python's own"),
        ("json", "gives the module 'json', which is Python's own"),
        ("netdef-relu", "netdef-nn:activation 0.1.0 provides a layer type 'ReLU' already"),
        ("netdef-tan-h", "provides a layer type 'TanH' already"),
        ("netdef-transform", "option block 'transform_param' is in use already"),
    ],
)
def test_new_refuses_a_name(run, tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    done = run("plugins", "new", name)
    assert done.status == 1 and says in done.err
    assert list(tmp_path.iterdir()) == []


def test_new_touches_nothing_that_is_there(run, made, monkeypatch):
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    done = run("plugins", "new", "netdef-soft-clip", "--dir", "work")
    assert done.status == 1 and "work/netdef-soft-clip is there already" in done.err
    assert before == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}


def test_check_says_what_is_broken(run, made):
    module = made / "netdef_soft_clip.py"
    text = module.read_text()
    for right, wrong in (
        ("self.blobs[0].diff[...] +=", "self.blobs[0].diff[...] ="),
        ("out=bottom[0].diff)", "out=bottom[0].diff) * 2"),
        ('doc="What is added to every element."', ""),
        ('    """w_c * x + shift, with a learned weight w for each channel c (axis 1)."""\n', ""),
    ):
        assert right in text
        text = text.replace(right, wrong)
    module.write_text(
        text.replace("np.multiply(top[0].diff, self._along(top[0].diff)", "np.add(top[0].diff, top[0].diff")
    )
    done = run("plugins", "check", module)
    assert done.status == 1 and done.out.endswith("failed: SoftClip\n")
    assert "note: class SoftClip has no docstring" in done.out
    assert "note: no doc for shift of soft_clip_param" in done.out
    assert "SoftClip.prototxt:3:1: layer 'layer' (SoftClip): backward to bottom 'x': along a random" in done.out
    assert "update must add to the diff of parameter 0" in done.out
    assert "no_channels: ok" in done.out


def test_check_speaks_json(run, made):
    done = run("plugins", "check", made / "netdef_soft_clip.py", "--json", "--cases", made / "tests/cases")
    [found] = json.loads(done.out)
    assert found["type"] == "SoftClip" and found["passed"] is True and found["notes"] == []
    assert [case["case"] for case in found["cases"]] == ["default", "every_option", "two_axes", "no_channels"]


def test_check_finds_a_type_of_netdef_s_own(run, tmp_path):
    (tmp_path / "it.prototxt").write_text("""
# case: plain
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "y" type: "TanH" bottom: "x" top: "y" }
""")
    done = run("plugins", "check", "TanH", "--cases", tmp_path)
    assert done.status == 0 and done.out.startswith("TanH, from netdef-nn:activation 0.1.0\n  plain: ok\n")


def test_a_type_without_a_case_fails_by_name(run, tmp_path, made):
    (tmp_path / "it.prototxt").write_text('# case: none\nlayer { name: "x" type: "Input" top: "x" }\n')
    done = run("plugins", "check", made / "netdef_soft_clip.py", "--cases", tmp_path)
    assert done.status == 1
    assert "no case has a layer of type SoftClip" in done.out and "failed: SoftClip" in done.out


def test_check_says_what_it_cannot_find(run, made, tmp_path):
    assert "'SoftClop' is no plugin, file or layer type" in run("plugins", "check", "SoftClop").err
    (tmp_path / "netdef-soon").mkdir()
    assert "pip install -e" in run("plugins", "check", tmp_path / "netdef-soon").err
    assert "no such plugin file: no.py" in run("plugins", "check", "no.py").err
    done = run("plugins", "check", "TanH", "--cases", tmp_path / "empty")
    assert done.status == 1 and f"no *.prototxt in {tmp_path}/empty" in done.err
    assert "provides no layer" in run("plugins", "check", "netdef-nn:fillers").err
    broken = made / "broken.py"
    broken.write_text("from netdef.layer import Layr\n")
    done = run("plugins", "check", broken)
    assert "cannot import name 'Layr'" in done.err and "broken.py:1)" in done.err


def test_actions_are_named(run):
    assert "'chek' is no action; did you mean 'check'?" in run("plugins", "chek", "ReLU").err
    assert "want: netdef plugins new NAME" in run("plugins", "new").err
