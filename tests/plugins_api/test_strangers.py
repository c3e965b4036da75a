"""The distributions under plugins/: each by itself, all at once, and what is said where they are missing."""

import csv
import io
import re
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import strangers

from netdef import known, prototxt
from netdef.errors import NetdefError, PluginError
from netdef.graph.choose import provider
from netdef.hookspecs import GROUP
from netdef.net import Net
from netdef.registry import Registry, Settings
from netdef.testing import load_cases

NAMES = strangers.NAMES
CASES = [
    pytest.param(name, case, id=f"{name}-{file.stem}-{case}")
    for name in NAMES
    for file in sorted((strangers.FOLDER / name / "tests/cases").glob("*.prototxt"))
    for case in load_cases(file)
]
TABLE = resources.files("netdef").joinpath("known.tsv").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_alone_and_brings_cases_for_its_types(name):
    needed = [n for n in NAMES if n in strangers.project(name)["dependencies"]]
    found = strangers.registry(*needed, name)
    assert found.schema
    plugins = [p for p in found.plugins if p.distribution == name]
    assert plugins and not [p.error for p in plugins if p.error]
    types = {c.thing.type for p in plugins for t in p.provides["layers"] for c in found.claims("layers", t)}
    cases = {file.stem for file in (strangers.FOLDER / name / "tests/cases").glob("*.prototxt")}
    assert types <= cases, f"no case for {', '.join(sorted(types - cases))}"


def test_all_of_them_at_once():
    found = strangers.registry(*NAMES)
    assert found.schema
    assert not [(p.name, p.error) for p in found.plugins if p.error]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_with_all_of_them_each_layer_finds_its_class(name, case):
    found = strangers.registry(*NAMES)
    net = prototxt.parse(case.text, found.schema.message("NetParameter"), case.file, ignored=[])
    own = {t for p in found.plugins if p.distribution == name for t in p.provides["layers"]}
    makers = {layer.type: provider(layer, found).plugin.distribution for layer in net.layer if layer.type in own}
    assert makers and set(makers.values()) == {name}


def test_the_engine_knows_none_of_them():
    modules = "|".join(name.replace("-", "_") for name in NAMES)
    for top in ("netdef", "plugins/netdef_plugins"):
        for file in (strangers.FOLDER.parent / top).rglob("*.py"):
            assert not re.search(rf"\b({modules})\b", file.read_text()), file


def test_the_table_is_what_they_provide():
    found = strangers.registry(*NAMES)
    want = [row for name in NAMES for row in strangers.rows(found, name)]
    told = [(r["distribution"], r["name"], r["needs"]) for r in csv.DictReader(io.StringIO(TABLE), delimiter="\t")]
    assert told == want, "run: python tests/plugins_api/strangers.py > netdef/known.tsv"


def installed():
    """The distributions that bring plugins here."""
    return {entry.dist.name for entry in metadata.entry_points(group=GROUP) if entry.dist}


@pytest.fixture(scope="module")
def bare():
    """netdef's own plugins and nothing else, whatever is installed."""
    return Registry(Settings(allow=("netdef-nn",))).load()


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (
            "Permute",
            "netdef-ssd",
            "install netdef-ssd, which provides it (in the clone: pip install plugins/netdef-ssd)",
        ),
        (
            "ROIPooling",
            "netdef-rcnn",
            "install netdef-rcnn (it needs netdef-ssd), which provides it "
            "(in the clone: pip install plugins/netdef-ssd plugins/netdef-rcnn)",
        ),
    ],
)
def test_a_missing_type_says_what_to_install(bare, kind, name, says):
    if name in installed():
        pytest.skip(f"{name} is installed, so there is nothing to install")
    text = f'layer {{ name: "l" type: "{kind}" bottom: "x" top: "y" }}'
    net = prototxt.parse(text, bare.schema.message("NetParameter"), "net.prototxt")
    with pytest.raises(PluginError) as caught:
        provider(net.layer[0], bare)
    assert str(caught.value).startswith(f"net.prototxt:1:1: layer 'l' ({kind}): unknown layer type '{kind}'; {says}")


def test_a_missing_option_says_what_to_install_at_its_place(bare):
    message = bare.schema.message("NetParameter")
    with pytest.raises(NetdefError) as caught:
        prototxt.parse('layer {\n  name: "p"\n  permute_param { order: 0 }\n}', message, "net.prototxt")
    assert str(caught.value) == (
        "net.prototxt:3:3: unknown field 'permute_param' in LayerParameter; install netdef-ssd, which provides it "
        "(in the clone: pip install plugins/netdef-ssd)"
    )
    with pytest.raises(
        NetdefError, match="unknown field 'resize_param' in TransformationParameter; install netdef-ssd"
    ):
        prototxt.parse("layer { transform_param { resize_param { } } }", message)


def test_an_option_of_a_layer_that_nobody_provides_is_told_with_the_layer(bare):
    message = bare.schema.message("NetParameter")
    text = 'layer {\n  name: "data"\n  type: "CPMData"\n  cpm_transform_param { stride: 8 }\n}'
    with pytest.raises(NetdefError) as caught:
        prototxt.parse(text, message, "net.prototxt", types=bare.names("layers"))
    assert str(caught.value) == (
        "net.prototxt:4:3: layer 'data' (CPMData): unknown field 'cpm_transform_param' in LayerParameter; "
        "no plugin provides this type"
    )


def test_a_name_that_nobody_is_known_to_provide_has_the_nearest(bare):
    assert known.of_type("Convolutoin") == "" and known.of_field("LayerParameter", "convolutoin_param") == ""
    with pytest.raises(PluginError, match=r"unknown layer type 'Convolutoin'; did you mean 'Convolution'\?"):
        bare.find("layers", "Convolutoin")
    with pytest.raises(NetdefError, match="unknown field 'convolutoin_param' in LayerParameter; did you mean 'convol"):
        prototxt.parse("layer { convolutoin_param { } }", bare.schema.message("NetParameter"))


def test_what_is_installed_but_was_denied_is_not_to_be_installed(monkeypatch):
    monkeypatch.setattr(known, "table", lambda: {"ReLU": ["netdef-nn"]})
    found = Registry(Settings(deny=("netdef-nn:activation",))).load()
    with pytest.raises(PluginError, match=r"unknown layer type 'ReLU'.*not loaded, as the settings say: netdef-nn:a"):
        found.find("layers", "ReLU")


def test_several_that_provide_a_name_are_all_told(monkeypatch):
    monkeypatch.setattr(known, "table", lambda: {"BN": ["one", "two"]})
    assert known.of_type("BN") == "; install one or two, which provides it (in the clone: pip install plugins/one)"


TWINS = '''
import numpy as np
from netdef.layer import Block, Field, Loss, ParameterFree, hookimpl


class Normalize(ParameterFree):
    """x / |x| along the channels: another fork's layer of that name, with options of its own."""

    type = "Normalize"
    options = Block("normalize_param", [Field("normalize_type", "string", "L2")], message="NormalizeParameter")

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff


class SmoothL1Loss(Loss):
    """Another fork's, which says where the parabola ends instead of how steep it is."""

    type, bottoms = "SmoothL1Loss", 2
    options = Block("smoothl1_param", [Field("turn_point", "float", 1.0)])

    def infer(self, *shapes):
        return [()]

    def forward(self, bottom, top):
        top[0].data[...] = 0

    def backward(self, top, propagate_down, bottom):
        pass


@hookimpl
def netdef_layers():
    return [Normalize, SmoothL1Loss]
'''
TWIN_NET = """
layer { name: "x" type: "Input" top: "x" top: "z" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } }
layer { name: "ssd" type: "Normalize" bottom: "x" top: "a" norm_param { across_spatial: false } }
layer { name: "other" type: "Normalize" bottom: "x" top: "b" normalize_param { normalize_type: "L2" } }
layer { name: "l1" type: "SmoothL1Loss" bottom: "a" bottom: "z" bottom: "z" bottom: "z" top: "c" }
layer { name: "l2" type: "SmoothL1Loss" bottom: "a" bottom: "z" top: "d" smoothl1_param { turn_point: 2 } }
"""


@pytest.mark.skipif("netdef-ssd" not in NAMES, reason="there is no plugins/netdef-ssd")
def test_two_forks_of_one_type_in_one_net(tmp_path):
    (tmp_path / "fork.py").write_text(TWINS)
    found = strangers.registry.__wrapped__("netdef-ssd")
    fork = found.load_file(str(tmp_path / "fork.py"))
    assert not fork.error
    net = Net(prototxt.parse(TWIN_NET, found.schema.message("NetParameter"), "twins.prototxt"), registry=found)
    makers = {layer.name: provider(layer.layer_param, found).plugin.distribution for layer in net.layers}
    assert [makers[name] for name in ("ssd", "other", "l1", "l2")] == [
        "netdef-ssd",
        fork.distribution,
        "netdef-ssd",
        fork.distribution,
    ]
    assert net.layers[net.index("ssd")].param.across_spatial is False
    assert net.layers[net.index("l2")].param.turn_point == 2
    plain = TWIN_NET.replace("norm_param { across_spatial: false }", "")
    with pytest.raises(
        PluginError, match=r"twins.prototxt:3:1: layer 'ssd' \(Normalize\): .* is claimed by netdef-ssd"
    ):
        Net(prototxt.parse(plain, found.schema.message("NetParameter"), "twins.prototxt"), registry=found)
    found.settings.prefer = {"Normalize": "netdef-ssd"}
    with pytest.raises(NetdefError, match=r"layer 'other' \(Normalize\)"):
        Net(prototxt.parse(plain, found.schema.message("NetParameter"), "twins.prototxt"), registry=found)
