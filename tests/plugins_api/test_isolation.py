"""A stranger's layer that fails: the plugin, its line, the layer and the cause are named, and nothing else suffers."""

import re
from pathlib import Path

import numpy as np
import pytest
import toys

from netdef import prototxt
from netdef.errors import ExportError, LayerError, NetdefError, PluginError
from netdef.export import build
from netdef.net import Net
from netdef.registry import Registry, Settings
from netdef.report import cost

LAYER = '''"""A layer with one fault."""

import sys

import numpy as np
from netdef.layer import Block, Field, Layer, hookimpl


class Shaky(Layer):
    """y = x"""

    type = "Shaky"
    options = Block("shaky_param", [Field("n", "int32", 1)])

    def setup(self, bottom_shapes):
        self.add_blob((1,))

    def infer(self, x):
        return [x]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff

    def update(self, top, bottom):
        self.blobs[0].diff[...] += 0

    def to_onnx(self, graph, inputs):
        return inputs


@hookimpl
def netdef_layers():
    return [Shaky]
'''
NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "it" type: "Shaky" bottom: "x" top: "y" }
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write((old, new), ...) is a registry with the layer from a file, changed."""
    monkeypatch.chdir(tmp_path)

    def make(*changes):
        text = LAYER
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "shaky.py").write_text(text)
        return Registry(Settings(files=("shaky.py",))).load()

    return make


def net(registry):
    param = prototxt.parse(NET, registry.schema.message("NetParameter"), "net.prototxt")
    param.force_backward = True
    return Net(param, 1, registry=registry, seed=1)


def whole(registry):
    """Build, run, differentiate, count and export."""
    n = net(registry)
    n.forward()
    n.backward()
    cost.cost(n)
    build(n)


def line():
    """The line of shaky.py that holds the fault."""
    text = Path("shaky.py").read_text().splitlines()
    return next(k for k, row in enumerate(text, 1) if "1 / 0" in row)


RAISING = {
    "init": (
        "def setup",
        "def __init__(self, *args):\n        super().__init__(*args)\n        1 / 0\n\n    def setup",
    ),
    "setup": ("self.add_blob((1,))", "1 / 0"),
    "infer": ("return [x]", "1 / 0"),
    "forward": ("top[0].data[...] = bottom[0].data", "1 / 0"),
    "backward": ("bottom[0].diff[...] = top[0].diff", "1 / 0"),
    "update": ("self.blobs[0].diff[...] += 0", "1 / 0"),
    "macs": ("def setup", "def macs(self, bottom_shapes, top_shapes):\n        return 1 / 0\n\n    def setup"),
    "reads": ("def setup", "@property\n    def reads(self):\n        1 / 0\n\n    def setup"),
}


@pytest.mark.parametrize("where", RAISING)
def test_what_raises_is_named_with_plugin_line_layer_and_cause(write, where):
    registry = write(RAISING[where])
    with pytest.raises(LayerError) as caught:
        whole(registry)
    assert str(caught.value) == (
        "net.prototxt:3:1: layer 'it' (Shaky): ZeroDivisionError: division by zero "
        f"(plugin file:shaky.py, shaky.py:{line()})"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_onnx_too(write):
    registry = write(("return inputs", "1 / 0"))
    with pytest.raises(ExportError, match=r"layer 'it' \(Shaky\): .*ZeroDivisionError.* \(plugin file:shaky.py, shaky"):
        whole(registry)


def test_an_exit_in_a_layer_does_not_end_the_program(write):
    registry = write(("top[0].data[...] = bottom[0].data", "sys.exit(3)"))
    with pytest.raises(LayerError, match=r"layer 'it' \(Shaky\): SystemExit: 3 \(plugin file:shaky.py, shaky.py:"):
        whole(registry)


def test_an_interrupt_passes(write):
    registry = write(("top[0].data[...] = bottom[0].data", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        whole(registry)


def test_numpy_s_complaint_is_told_with_the_plugin_s_line(write):
    registry = write(("top[0].data[...] = bottom[0].data", "top[0].data[...] = np.ones((7, 7))"))
    with pytest.raises(LayerError, match=r"could not broadcast .*\(plugin file:shaky.py, shaky.py:\d+\)"):
        whole(registry)


@pytest.mark.parametrize("given", ["None", "7", "[3]", "[(2.5, 3)]", "['ab']"])
def test_what_infer_may_not_give(write, given):
    with pytest.raises(
        LayerError, match=r"layer 'it' \(Shaky\): infer gave .*; want a list with the shape of each top"
    ):
        net(write(("return [x]", f"return {given}")))


def test_a_refusal_in_the_author_s_words_is_not_called_a_fault(write):
    registry = write(
        ("self.add_blob((1,))", 'raise LayerError("n must be even")'),
        ("Field, Layer, hookimpl", "Field, Layer, LayerError, hookimpl"),
    )
    with pytest.raises(LayerError) as caught:
        net(registry)
    assert str(caught.value) == "net.prototxt:3:1: layer 'it' (Shaky): n must be even"


def test_a_class_with_the_three_operations_is_not_yet_a_layer(write):
    registry = write(
        ("class Shaky(Layer)", "class Shaky"),
        ("return [Shaky]", "return [Shaky, Steady]"),
        ("@hookimpl", 'class Steady(Shaky, Layer):\n    type = "Steady"\n\n\n@hookimpl'),
    )
    assert registry.plugins[-1].error == "layer 'Shaky' does not derive from netdef.layer.Layer"
    assert registry.plugins[-1].provides == {"layers": ["Steady"]}


def test_a_claim_that_raises_names_its_plugin(write, tmp_path):
    claims = "@classmethod\n    def claims(cls, layer_param):\n        return 1 / 0\n\n    def setup"
    registry = write(("def setup", claims))
    (tmp_path / "other.py").write_text(LAYER)
    registry.load_file("other.py")
    with pytest.raises(
        NetdefError, match=r"layer 'it' \(Shaky\): claims: ZeroDivisionError.*\(plugin file:shaky.py, sh"
    ):
        net(registry)


def test_what_does_not_need_it_keeps_working(write):
    registry = write(("import sys", "import no_such_module"))
    assert "no_such_module' (shaky.py:3)" in registry.plugins[-1].error
    text = NET.replace("Shaky", "ReLU")
    n = Net(prototxt.parse(text, registry.schema.message("NetParameter")), registry=registry)
    n.forward()
    with pytest.raises(
        PluginError, match=r"layer 'it' \(Shaky\): unknown layer type .*failed to load: file:shaky.py; see"
    ):
        net(registry)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("import sys", "import sys x"), r"SyntaxError: invalid syntax \(shaky.py:3\)"),
        (("import sys", "sys.exit()"), r"NameError: name 'sys' is not defined \(shaky.py:3\)"),
        (("import sys", "import sys; sys.exit('no')"), r"SystemExit: no \(shaky.py:3\)"),
        (("import sys", "class Stop(BaseException): pass\nraise Stop"), r"Stop \(shaky.py:4\)"),
        (("return [Shaky]", "return [Shaky, Shakier]"), r"NameError: name 'Shakier' is not defined \(shaky.py:36\)"),
        (
            ('"int32", 1', '"int32", "one"'),
            r"option 'n' has default 'one'; want a whole number that fits int32 \(shaky.py:",
        ),
        (('"int32", 1', '"itn32", 1'), r"unknown type 'itn32'; did you mean 'int32'\?"),
        (("shaky_param", "shaky-param"), r"'shaky-param' cannot name a block"),
        (("import Block, Field", "import Blok, Field"), r"ImportError: cannot import name 'Blok'.*\(shaky.py:6\)"),
    ],
)
def test_a_file_that_does_not_load_says_why_and_where(write, change, says):
    registry = write(change)
    assert registry.schema.message("NetParameter")
    plugin = registry.plugins[-1]
    assert re.search(says, plugin.error), plugin.error
    assert plugin.provides.get("layers", []) == []


def test_one_plugin_s_filler_in_another_s_layer(write, tmp_path):
    registry = write(("self.add_blob((1,))", "self.add_blob((1,), self.context.extra['filler'])"))
    (tmp_path / "ramp.py").write_text(
        "from netdef.layer import hookimpl\n\ndef ramp(x, p, rng):\n    x[...] = p.no_such_option\n\n"
        "@hookimpl\ndef netdef_fillers():\n    return {'ramp': ramp}\n"
    )
    registry.load_file("ramp.py")
    filler = registry.schema.message("FillerParameter")(type="ramp")
    param = prototxt.parse(NET, registry.schema.message("NetParameter"), "net.prototxt")

    class Filled(Net):
        def _append(self, layer_param):
            self.context.extra["filler"] = filler
            super()._append(layer_param)

    with pytest.raises(LayerError) as caught:
        Filled(param, registry=registry)
    assert "layer 'it' (Shaky): filler 'ramp': AttributeError: " in str(caught.value)
    assert str(caught.value).endswith("(plugin file:ramp.py, ramp.py:4)")


def test_toys_are_of_no_file(toy_registry):
    """Objects registered by hand have no line to show; their plugin is named all the same."""

    class Bad(toys.Same):
        type = "Bad"

        def forward(self, bottom, top):
            raise ValueError("no")

    n = toys.net(NET.replace("Shaky", "Bad"), registry_=toys.registry(Bad))
    with pytest.raises(LayerError, match=r"layer 'it' \(Bad\): ValueError: no \(plugin more\)$"):
        n.forward()
    assert np.isfinite(n.blobs["x"].data).all()
