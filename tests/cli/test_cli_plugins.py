"""netdef layers, netdef plugins, and the flags that choose plugins."""

import json

import pytest

SQUARE = '''
import numpy as np
from netdef.layer import Block, Enum, Field, ParameterFree, hookimpl

class Square(ParameterFree):
    """scale * x^2. Rounded by mode.

    More about it.
    """
    type = "Square"
    aliases = ("Sq",)
    options = Block("square_param", [
        Field("scale", "float", 1.5, doc="What x^2 is multiplied by."),
        Field("mode", Enum("Mode", ("EXACT", "FAST")), "EXACT"),
        Field("pad", "uint32", repeated=True),
        Field("filler", "FillerParameter"),
    ])
    def forward(self, bottom, top):
        np.square(bottom[0].data, out=top[0].data)
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff

@hookimpl
def netdef_layers():
    return [Square]
'''
BROKEN = "import no_such_module\n"


@pytest.fixture
def square(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "square.py").write_text(SQUARE)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
        layer { name: "s" type: "Square" bottom: "x" top: "y" square_param { scale: 3 mode: FAST } }
    """)
    return tmp_path / "square.py"


def test_layers_lists_every_type(run):
    done = run("layers")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["type", "provider", "version", "bottoms", "tops", "in", "place", "onnx", "summary"]
    relu = next(line for line in lines if line.startswith("ReLU "))
    assert relu.split()[:7] == ["ReLU", "netdef-nn:activation", "0.1.0", "1", "1", "yes", "yes"]
    listed = json.loads(run("layers", "--json").out)
    found = {entry["type"]: entry for entry in listed}
    assert len(listed) == len(lines) - 1
    assert found["ReLU"]["onnx"] == "yes" and found["SoftmaxWithLoss"]["onnx"] == "left out"
    assert found["Filter"]["onnx"] == "no"
    assert all(entry["summary"] for entry in found.values())


def test_one_layer_is_told_with_its_options(run):
    done = run("layers", "Convolution")
    assert done.status == 0
    assert done.out.startswith("Convolution, from netdef-nn:convolution 0.1.0\n")
    assert "\nconvolution_param { }:\n" in done.out
    assert "\nFillerParameter:\n" in done.out and done.out.count("FillerParameter:\n") == 1
    lines = {line.split()[0]: line for line in done.out.splitlines() if line}
    assert lines["group"].split()[1:3] == ["uint32", "1"]
    assert "FAN_IN | FAN_OUT | AVERAGE" in lines["variance_norm"]
    assert "uint32, repeated" in lines["kernel_size"]


def test_every_layer_can_be_told(run):
    for entry in json.loads(run("layers", "--json").out):
        done = run("layers", entry["type"])
        assert done.status == 0 and done.err == ""


def test_an_unknown_type_brings_the_nearest(run):
    done = run("layers", "Convolutoin")
    assert (done.status, done.out) == (1, "")
    assert done.err == "netdef: error: unknown layer type 'Convolutoin'; did you mean 'Convolution'?\n"


def test_a_file_s_layer_is_told_like_any_other(run, square):
    done = run("layers", "Square", "--plugin", "square.py")
    assert (done.status, done.err) == (0, "")
    assert "scale * x^2. Rounded by mode.\n\nMore about it." in done.out and "also named: Sq" in done.out
    lines = {line.split()[0]: " ".join(line.split()) for line in done.out.splitlines() if line}
    assert lines["scale"] == "scale float 1.5 What x^2 is multiplied by."
    assert lines["mode"].startswith("mode EXACT | FAST EXACT")
    assert "onnx: no" in done.out
    [found] = json.loads(run("layers", "Sq", "--plugin", "square.py", "--json").out)
    assert found["aliases"] == ["Square"] and found["block"] == "square_param"
    pad = next(option for option in found["options"]["SquareParameter"] if option["name"] == "pad")
    assert (pad["type"], pad["repeated"], pad["default"]) == ("uint32", True, None)


def test_a_file_s_layer_runs_and_is_forgotten_again(run, square):
    assert run("--plugin", "square.py", "check", "net.prototxt").status == 0
    done = run("check", "net.prototxt")
    assert done.status == 1 and "'square_param'" in done.err


def test_plugins_shows_what_each_provides(run, square):
    done = run("plugins", "--plugin", "square.py")
    assert (done.status, done.err) == (0, "")
    lines = {line.split()[0]: line.split() for line in done.out.splitlines()}
    fillers, mine = lines["netdef-nn:fillers"], lines["file:square.py"]
    assert fillers[1:3] + fillers[4:] == ["0.1.0", "netdef.filler", "loaded", "fillers", "7"]
    assert mine[1:3] + mine[4:] == ["-", "square.py", "loaded", "layers", "2"]
    assert float(fillers[3]) >= 0 and float(mine[3]) > 0


def test_a_failed_plugin_is_shown_with_its_error(run, square, monkeypatch):
    done = run("plugins", "--plugin", "broken.py")
    assert done.status == 1
    assert "failed" in done.out and "file:broken.py: ModuleNotFoundError: No module named 'no_such_module'" in done.out
    monkeypatch.setenv("NETDEF_PLUGIN_FILES", "broken.py")
    registry_is_made_anew = ["--plugin", "square.py"]
    done = run("plugins", "--json", *registry_is_made_anew)
    states = {plugin["name"]: plugin["state"] for plugin in json.loads(done.out)}
    assert done.status == 0
    assert (states["file:broken.py"], states["file:square.py"]) == ("failed", "loaded")


def test_a_failed_plugin_costs_a_warning_and_never_help(run, square, monkeypatch):
    monkeypatch.setenv("NETDEF_PLUGIN_FILES", "broken.py")
    done = run("check", "net.prototxt", "--plugin", "square.py")
    assert done.status == 0
    assert done.err.startswith("netdef: warning: plugin file:broken.py: ModuleNotFoundError: ")
    assert done.err.endswith("(see: netdef plugins)\n") and done.err.count("\n") == 1
    assert run("check", "--help").err == ""


def test_a_failed_plugin_is_an_error_where_it_was_asked_for(run, square):
    done = run("check", "net.prototxt", "--plugin", "broken.py")
    assert done.status == 1 and done.err.startswith("netdef: error: --plugin broken.py: ModuleNotFoundError")
    done = run("plugins", "--plugin", "broken.py", "--strict-plugins")
    assert done.status == 1 and "file:broken.py" in done.err and done.out == ""
    done = run("layers", "--plugin", "nothere.py")
    assert done.status == 1 and "no such plugin file: nothere.py" in done.err


def test_plugins_are_denied_and_preferred(run, square):
    text = SQUARE.replace('"Square"', '"ReLU"').replace('"Sq"', '"Rel"')
    (square.parent / "relu.py").write_text(text)
    assert "unknown layer type 'ReLU'" in run("layers", "ReLU", "--deny-plugins", "netdef-nn:activation").err
    (square.parent / "relu.prototxt").write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
        layer { name: "r" type: "ReLU" bottom: "x" top: "y" }
    """)
    done = run("check", "relu.prototxt", "--plugin", "relu.py")
    assert done.status == 1 and "claimed by netdef-nn:activation 0.1.0 and file:relu.py" in done.err
    done = run("check", "relu.prototxt", "--plugin", "relu.py", "--prefer", "ReLU=file:relu.py", "--json")
    assert json.loads(done.out)["layers"][1]["plugin"] == "file:relu.py"
    both = json.loads(run("layers", "ReLU", "--plugin", "relu.py", "--json").out)
    assert {entry["plugin"] for entry in both} == {"file:relu.py", "netdef-nn:activation"}


def test_json_says_everything_of_each_plugin(run, square):
    (square.parent / "relu.py").write_text(SQUARE.replace('"Square"', '"ReLU"').replace('"Sq"', '"Rel"'))
    flags = ["--plugin", "square.py", "--plugin", "relu.py", "--deny-plugins", "netdef-nn:loss"]
    found = {plugin["name"]: plugin for plugin in json.loads(run("plugins", "--json", *flags).out)}
    mine = found["file:square.py"]
    assert mine.pop("ms") > 0
    assert mine == {
        "name": "file:square.py",
        "distribution": "file:square.py",
        "version": "",
        "module": "square.py",
        "state": "loaded",
        "provides": {"layers": ["Square", "Sq"]},
        "shared": {},
        "error": "",
    }
    assert found["netdef-nn:loss"]["state"] == "denied" and found["netdef-nn:loss"]["provides"] == {}
    assert found["file:relu.py"]["shared"] == {"ReLU": ["netdef-nn:activation"]}
    assert found["netdef-nn:activation"]["shared"] == {"ReLU": ["file:relu.py"]}


def test_twins_are_shown_with_what_decides(run, square):
    (square.parent / "relu.py").write_text(SQUARE.replace('"Square"', '"ReLU"').replace('"Sq"', '"Rel"'))
    says = "ReLU: provided by file:relu.py, netdef-nn:activation; "
    out = run("plugins", "--plugin", "relu.py").out
    assert says + "each layer's options decide, or NETDEF_PREFER=ReLU=PLUGIN\n" in out
    out = run("plugins", "--plugin", "relu.py", "--prefer", "ReLU=netdef-nn").out
    assert says + "netdef-nn is preferred\n" in out


def test_options_that_fit_nowhere_fail_in_the_list(run, square):
    text = (
        SQUARE.replace('"Square"', '"Cube"')
        .replace('"Sq"', '"Cu"')
        .replace('"scale", "float", 1.5', '"scale", "string", "x"')
    )
    (square.parent / "cube.py").write_text(text)
    done = run("plugins", "--plugin", "square.py", "--plugin", "cube.py")
    assert done.status == 1
    assert (
        "file:cube.py: option 'scale' of SquareParameter is declared one way by file:cube.py, another way by "
        "file:square.py: string cannot be read as float; deny one of the two plugins\n" in done.out
    )
    assert run("check", "net.prototxt", "--plugin", "square.py").status == 0


def test_a_name_that_is_not_installed_is_said_to_be_none(run, square):
    done = run("plugins", "--deny-plugins", "netdef-n")
    assert (
        done.err == "netdef: warning: NETDEF_DENY names 'netdef-n', which is not installed; did you mean 'netdef-nn'?\n"
    )
