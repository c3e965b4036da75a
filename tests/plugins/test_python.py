"""Layers written for Caffe run unmodified, and only when the user says so."""

import sys
from pathlib import Path

import numpy as np
import pytest
from nets import TEST, fed, net

from netdef.errors import LayerError

LAYERS = Path(__file__).parents[1] / "layers"
X = {"x": np.array([[1.0, 2, 3], [-1, -2, -3], [4, 5, 6]])}


def python(name, bottoms="x", option="", module="caffe_layers", extra=""):
    names = " ".join(f'bottom: "{b}"' for b in bottoms)
    param = f'python_param {{ module: "{module}" layer: "{name}" {option} }}'
    return f'force_backward: true layer {{ name: "p" type: "Python" {names} top: "t" {param} {extra} }}'


def run(text, arrays=X, **settings):
    made = fed(text, arrays, **{"base": LAYERS, "allow_code": True, **settings})
    made.total = made.forward()
    return made


def test_forward_and_backward():
    made = run(python("Scaled", option='param_str: "-3"'))
    np.testing.assert_array_equal(made.blobs["t"].data, -3 * X["x"])
    made.blobs["t"].diff[...] = 2
    made.backward()
    assert (made.blobs["x"].diff == -6).all()
    made.blobs["x"].reshape(1, 7)
    made.blobs["x"].data[...] = 1
    made.forward()
    np.testing.assert_array_equal(made.blobs["t"].data, np.full((1, 7), -3))


def test_a_loss():
    y = np.ones((3, 3))
    made = run(python("Distance", "xy", extra="loss_weight: 2"), {**X, "y": y}, dtype=np.float64)
    assert made.total == pytest.approx(2 * ((X["x"] - y) ** 2).sum() / 6)
    made.backward()
    np.testing.assert_allclose(made.blobs["y"].diff, 2 * (y - X["x"]) / 3)


def test_parameters_learn_and_gradients_add_up():
    made = run(python("Shift"))
    assert (made.params["p"][0].data == 0.5).all()
    made.clear_param_diffs()
    made.blobs["t"].diff[...] = 2
    made.backward()
    made.backward()
    np.testing.assert_array_equal(made.params["p"][0].diff, np.full(3, 12))
    np.testing.assert_array_equal(made.blobs["x"].diff, np.full((3, 3), 2))


def test_phase_and_what_setup_wrote():
    assert run(python("Phase", ""), {}, phase=TEST).blobs["t"].data.tolist() == [1]
    assert run(python("Phase", ""), {}).blobs["t"].data.tolist() == [0]


def test_a_top_as_large_as_the_data_asks():
    made = run(python("Positive") + 'layer { type: "AbsVal" bottom: "t" top: "u" }')
    assert made.blobs["u"].data.tolist() == [[1, 2, 3], [4, 5, 6]]
    made.blobs["u"].diff[...] = 1
    made.backward()
    assert made.blobs["x"].diff[:, 0].tolist() == [1, 0, 1]


def test_old_habits():
    np.testing.assert_array_equal(run(python("OldStyle", option='param_str: "2"')).blobs["t"].data, 2 * X["x"])


@pytest.mark.parametrize("allow", ["", "0", "1"])
def test_code_runs_only_when_allowed(monkeypatch, allow):
    monkeypatch.setenv("NETDEF_ALLOW_CODE", allow)
    if allow == "1":
        run(python("Phase", ""), {}, allow_code=None)
        return
    for allowed in (None, False):
        with pytest.raises(LayerError) as error:
            run(python("Phase", ""), {}, allow_code=allowed)
        for word in (
            "class 'Phase' of module 'caffe_layers'",
            "NETDEF_ALLOW_CODE=1",
            "--allow-code",
            "allow_code=True",
        ):
            assert word in str(error.value)


def test_import_caffe_is_for_the_layers_only(monkeypatch):
    monkeypatch.delitem(sys.modules, "caffe_layers", raising=False)
    before = {name for name in sys.modules if name.split(".")[0] == "caffe"}
    run(python("Phase", ""), {})
    assert {name for name in sys.modules if name.split(".")[0] == "caffe"} == before


def test_a_real_caffe_is_put_back(monkeypatch):
    real = type(sys)("caffe")
    monkeypatch.setitem(sys.modules, "caffe", real)
    monkeypatch.delitem(sys.modules, "caffe_layers", raising=False)
    run(python("Phase", ""), {})
    assert sys.modules["caffe"] is real


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (python("Scaled", module="nowhere_at_all"), "module 'nowhere_at_all' cannot be imported"),
        (python("Scald"), "has no class 'Scald'; it has: Scaled, Distance"),
        (python("Scaled"), "Scaled.setup"),
        (python("Broken", option='param_str: "1"'), "Broken.forward"),
        (python("Distance", "xy"), "Exception: Inputs must have the same dimension."),
        (python("", ""), "want python_param { module: MODULE layer: CLASS }"),
    ],
)
def test_faults_say_where(text, words):
    with pytest.raises(LayerError) as error:
        run(text, {**X, "y": np.ones(2)})
    assert words in str(error.value) and "layer 'p' (Python)" in str(error.value)


def test_a_fault_in_the_code_names_its_line():
    with pytest.raises(LayerError, match=r"caffe_layers\.py:\d+: ValueError: could not broadcast"):
        run(python("Broken", option='param_str: "1"'))


def test_modules_in_packages_and_of_equal_names(tmp_path):
    code = "import caffe\nfrom {}.size import N\nclass A(caffe.Layer):\n"
    code += "  def setup(s, b, t): pass\n  def reshape(s, b, t): t[0].reshape(N)\n"
    code += "  def forward(s, b, t): t[0].data[...] = N\n"
    for folder in ("one", "two"):
        package = tmp_path / folder / "netdef_test_package"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "size.py").write_text("N = 4\n")
        (package / "layer.py").write_text(code.format("netdef_test_package"))
    text = python("A", "", module="netdef_test_package.layer")
    made = net(text, base=tmp_path / "one", allow_code=True)
    made.forward()
    assert made.blobs["t"].data.tolist() == [4] * 4
    with pytest.raises(LayerError, match="has that name already; rename one"):
        net(text, base=tmp_path / "two", allow_code=True)
