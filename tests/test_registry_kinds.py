"""What a registry holds beside installed distributions: files, objects, every kind of thing, and names unknown."""

from types import SimpleNamespace

import pytest
import toys
from outsiders import LAYER, load

from netdef.errors import PluginError
from netdef.hookspecs import hookimpl
from netdef.registry import Registry, Settings
from netdef.solver.rules import Rule


def test_a_file_is_a_plugin_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LAYER.format(name="Mine", more="aliases = ('My', 'Meine')"))
    registry = load(files=(str(path),))
    for name in ("Mine", "My", "Meine"):
        assert registry.get("layers", name).type == "Mine"
    assert registry.find("layers", "My").plugin.name == f"file:{path}"


@pytest.mark.parametrize(("name", "words"), [("none.py", "no such plugin file"), ("notes.txt", "not a Python file")])
def test_a_file_that_is_none(tmp_path, name, words):
    (tmp_path / "notes.txt").touch()
    registry = load(files=(str(tmp_path / name),))
    assert words in registry.plugins[-1].error


def test_an_alias_can_be_disputed_like_any_name(tmp_path):
    for name in ("One", "Two"):
        (tmp_path / f"{name}.py").write_text(LAYER.format(name=name, more="aliases = ('Both',)"))
    registry = load(files=(str(tmp_path / "One.py"), str(tmp_path / "Two.py")))
    with pytest.raises(PluginError, match=r"layer type 'Both' is claimed by file:.*One.py and file:.*Two.py"):
        registry.get("layers", "Both")


def test_one_plugin_with_two_classes_of_one_type_is_settled_by_the_class():
    class Other(toys.Relu):
        type = "Relu"

    module = SimpleNamespace(netdef_layers=hooked("layers", [toys.Relu, Other]))
    registry = Registry(Settings())
    registry.add("twice", module)
    with pytest.raises(
        PluginError, match=r"claimed by twice.Relu and twice.Other; choose with --prefer Relu=twice.Relu or"
    ):
        registry.get("layers", "Relu")
    registry = Registry(Settings(prefer={"Relu": "twice.Other"}))
    registry.add("twice", module)
    assert registry.get("layers", "Relu") is Other


def test_the_same_class_from_two_plugins_is_one():
    registry = toys.registry(toys.Relu)
    assert registry.get("layers", "Relu") is toys.Relu


def hooked(kind, value):
    return hookimpl(specname=f"netdef_{kind}")(lambda: value)


class Halve(Rule):
    def step(self, g, memory, rate, iteration):
        g *= rate / 2


class Listener:
    def end(self, solver, reason):
        pass


def test_every_kind_of_thing():
    registry, listener = Registry(Settings()), Listener()
    everything = {"fillers": {"f": min}, "rules": {"r": Halve}, "policies": {"p": max}, "sources": {"s": open}}
    module = SimpleNamespace(**{f"netdef_{kind}": hooked(kind, value) for kind, value in everything.items()})
    module.netdef_observers = hooked("observers", [listener])
    added = registry.add("all", module)
    assert not added.error
    assert added.provides == {kind: list(value) for kind, value in everything.items()} | {"observers": ["Listener"]}
    for kind, value in everything.items():
        ((name, thing),) = value.items()
        assert registry.get(kind, name) is thing
        assert registry.claims(kind, "nothing") == []
    assert [o.thing for o in registry.observers] == [listener]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("fillers", [min], "netdef_fillers gave [<built-in function min>]; want a dict with a function for each name"),
        ("fillers", {"f": 3}, "netdef_fillers gave 3 under 'f'; want a function"),
        ("rules", {"r": Halve(SimpleNamespace(momentum=0, delta=0))}, "under 'r'; want a class"),
        ("rules", {"r": dict}, "rule 'r' lacks memory and step"),
        ("rules", {"r": Rule}, "rule 'r' lacks step"),
        ("policies", {"p": "step"}, "netdef_policies gave 'step' under 'p'; want a function"),
        ("observers", [Listener], "netdef_observers gave the class Listener; want an object: Listener()"),
        ("observers", [object()], "observer object has none of start, iteration, updated, test, best, snapshot"),
        ("options", [3], "netdef_options gave 3; want a Block"),
    ],
)
def test_things_of_the_wrong_kind(kind, value, words):
    registry = Registry(Settings())
    added = registry.add("wrong", SimpleNamespace(**{f"netdef_{kind}": hooked(kind, value)}))
    assert words in added.error
    assert not added.provides


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("layers", "Dens", "unknown layer type 'Dens'; did you mean 'Dense'?"),
        ("fillers", "gausian", "unknown filler 'gausian'; did you mean 'gaussian'?"),
        ("rules", "Adamm", "unknown solver type 'Adamm'"),
        ("policies", "stepp", "unknown lr_policy 'stepp'"),
        ("sources", "LMBD", "unknown data backend 'LMBD'"),
    ],
)
def test_unknown_names(kind, name, words):
    with pytest.raises(PluginError) as caught:
        toys.registry().get(kind, name)
    assert str(caught.value) == words


def test_the_role_of_a_layer():
    assert toys.registry().role("split") == "Split"
    with pytest.raises(PluginError, match="no plugin provides a layer for the role 'conjurer'"):
        toys.registry().role("conjurer")
