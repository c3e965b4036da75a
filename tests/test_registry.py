"""Plugins: real distributions in a temporary folder, some of them broken, and what the registry makes of them."""

import pytest
from outsiders import LAYER, load

from netdef import loading, prototxt
from netdef.errors import PluginError
from netdef.net import Net
from netdef.registry import Registry, Settings


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install("dist", "1.0", code) makes a distribution with one entry point "main"; modules have fresh names."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(dist, version, code, entry="main"):
        module = f"{tmp_path.name}_{dist}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[netdef]\n{entry} = {module}\n")

    return make


def plugin(registry, name):
    (found,) = [p for p in registry.plugins if p.name == name]
    return found


# -- finding -------------------------------------------------------------------------------------------------------


def test_a_strangers_layer_is_found_and_runs(install):
    install("netdef-strange", "1.2", LAYER.format(name="Strange", more=""))
    registry = load()
    found = registry.find("layers", "Strange")
    assert (found.plugin.name, found.plugin.version, found.plugin.error) == ("netdef-strange:main", "1.2", "")
    assert found.plugin.provides == {"layers": ["Strange"]}
    text = toys_input() + 'layer { name: "s" type: "Strange" bottom: "x" top: "y" }'
    net = Net(prototxt.parse(text, registry.schema.message("NetParameter")), registry=registry)
    net.blobs["x"].data[...] = 3
    net.forward()
    assert (net.blobs["y"].data == 3).all()


def toys_input():
    return 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'


def test_what_ships_with_netdef_comes_through_the_same_door():
    registry = load()
    assert not [p.name for p in registry.plugins if p.error]
    modules = {p.module.split(".")[0] for p in registry.plugins if p.name.startswith("netdef-nn:")}
    assert modules == {"netdef", "netdef_plugins"}
    assert {"xavier", "bilinear"} <= set(registry.names("fillers"))
    assert {"SGD", "Adam"} <= set(registry.names("rules"))
    assert {"step", "poly"} <= set(registry.names("policies"))
    assert {"ReLU", "Input"} <= set(registry.names("layers"))


def test_two_distributions_may_name_their_entry_points_alike(install):
    install("one", "1", LAYER.format(name="One", more=""))
    install("two", "1", LAYER.format(name="Two", more=""))
    registry = load()
    assert registry.find("layers", "One").plugin.name == "one:main"
    assert registry.find("layers", "Two").plugin.name == "two:main"


def test_a_folder_that_was_never_installed_says_how_to(monkeypatch):
    monkeypatch.setattr(loading.metadata, "entry_points", lambda group: [])
    with pytest.raises(PluginError, match=r"run: pip install -e \."):
        load()


# -- failing -------------------------------------------------------------------------------------------------------


def broken(*changes):
    code = LAYER.format(name="L", more="")
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    return code


BROKEN = {
    "import no_such_module_anywhere": "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    "def f(:": "SyntaxError: ",
    "1 / 0": "ZeroDivisionError: division by zero",
    "raise SystemExit(3)": "SystemExit: 3",
    broken(("return [L]", "return 1 / 0")): "ZeroDivisionError: division by zero",
    broken(("return [L]", "return None")): "netdef_layers gave nothing; want a list of classes",
    broken(("return [L]", "return [3]")): "layer 3 is not a class",
    broken(('type = "L"', "pass")): "layer class L has no `type`",
    broken(("netdef_layers", "netdef_layer")): "no such hook: netdef_layer; did you mean 'netdef_layers'?",
    broken(("@hookimpl", "")): "netdef_layers is no hook without @hookimpl above it",
    "x = 1": "it has no hooks; want one of netdef_layers",
    broken(("def forward", "def forwards")): "layer 'L' lacks forward",
    broken(("def backward", "def bakward")): "layer 'L' lacks backward",
    broken(("ParameterFree", "Layer")): "layer 'L' lacks update",
    broken(("ParameterFree", "Layer"), ("def backward", "def bakward")): "layer 'L' lacks backward and update",
    broken(("class L(ParameterFree)", "class L")): "layer 'L' lacks update",
    broken(("class L(ParameterFree)", "class L"), ("def forward", "def fwd")): "layer 'L' lacks forward and update",
    broken(('type = "L"', 'type = "L"; reads = "bottom"')): "layer 'L' declares reads = 'bottom'; want a tuple",
    broken(('type = "L"', 'type = "L"; bottoms = "two"')): "layer 'L' declares bottoms = 'two'; want a number",
    broken(('type = "L"', 'type = "L"; tops = (3, 1)')): "layer 'L' declares tops = (3, 1); want a number",
    broken(
        ("import ParameterFree", "import Block, Field, ParameterFree"),
        ('type = "L"', 'type = "L"; options = Block("l_param", (Field("n", "integer"),))'),
    ): "unknown type 'integer'; want int32",
}


@pytest.mark.parametrize("code", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_a_broken_plugin_is_kept_with_its_reason_and_all_else_works(install, code):
    install("broken", "0.1", code)
    install("zz-good", "1", LAYER.format(name="Good", more=""))
    registry = load()
    assert registry.schema.message("NetParameter")
    assert BROKEN[code] in plugin(registry, "broken:main").error
    assert "L" not in registry.names("layers")
    assert registry.get("layers", "Good").type == "Good"
    with pytest.raises(PluginError, match=r"unknown layer type 'L'.*\(plugins that failed to load: .*broken:main"):
        registry.get("layers", "L")


def test_one_refused_class_does_not_take_the_others_along(install):
    code = LAYER.format(name="Whole", more="").replace(
        "@hookimpl", "class Half:\n    type = 'Half'\n    def forward(self, bottom, top): pass\n\n@hookimpl"
    )
    install("mixed", "1", code.replace("[Whole]", "[Half, Whole]"))
    registry = load()
    assert registry.get("layers", "Whole").type == "Whole"
    assert plugin(registry, "mixed:main").error == "layer 'Half' lacks backward and update"
    assert plugin(registry, "mixed:main").provides == {"layers": ["Whole"]}


def test_strict_makes_a_failure_an_error(install):
    install("broken", "0.1", "import no_such_module_anywhere")
    with pytest.raises(PluginError, match=r"plugin broken:main 0.1: ModuleNotFoundError: No module named 'no_such"):
        load(strict=True)


def test_an_interrupt_while_loading_is_no_failure_of_the_plugin(install):
    install("slow", "1", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load()


# -- two that claim one name ---------------------------------------------------------------------------------------


@pytest.fixture
def rivals(install):
    install("rival-a", "1.0", LAYER.format(name="Disputed", more="who = 'a'"))
    install("rival-b", "2.0", LAYER.format(name="Disputed", more="who = 'b'"))


def test_a_disputed_type_names_both_and_how_to_choose(rivals):
    with pytest.raises(PluginError) as caught:
        load().get("layers", "Disputed")
    assert str(caught.value) == (
        "layer type 'Disputed' is claimed by rival-a:main 1.0 and rival-b:main 2.0; "
        "choose with --prefer Disputed=rival-a:main or --prefer Disputed=rival-b:main, "
        "or set NETDEF_PREFER=Disputed=rival-a:main"
    )


@pytest.mark.parametrize("winner", ["rival-a", "rival-b"])
@pytest.mark.parametrize("form", ["{}", "{}:main"])
def test_the_preference_settles_it(rivals, monkeypatch, winner, form):
    monkeypatch.setenv("NETDEF_PREFER", f"Other=x,Disputed={form.format(winner)}")
    registry = Registry().load()
    assert registry.get("layers", "Disputed").who == winner[-1]


def test_a_preference_for_nobody_settles_nothing(rivals):
    with pytest.raises(PluginError, match="is claimed by"):
        load(prefer={"Disputed": "rival-c"}).get("layers", "Disputed")


@pytest.mark.parametrize(
    ("prefer", "says"),
    [
        ({"Disputed": "rival-c"}, "Disputed=rival-c chooses nothing: 'Disputed' is of rival-a:main, rival-b:main"),
        ({"Dispute": "rival-a"}, "Dispute=rival-a chooses nothing: 'Dispute' is of nobody"),
        ({"Disputed": "rival-a"}, ""),
    ],
)
def test_a_preference_that_chooses_nothing_is_told(rivals, caplog, prefer, says):
    load(prefer=prefer)
    assert caplog.messages == ([f"NETDEF_PREFER={says}"] if says else [])


def test_a_type_whose_plugin_is_broken_says_why(install):
    install("lame", "2", LAYER.format(name="Lame", more="update = None"))
    with pytest.raises(PluginError) as caught:
        load().get("layers", "Lame")
    assert str(caught.value).startswith(
        "unknown layer type 'Lame': plugin lame:main 2: layer 'Lame' lacks update (plugins that failed to load: lame:"
    )


def test_a_dispute_is_nobodys_business_until_the_type_is_used(rivals):
    registry = load()
    assert registry.get("layers", "ReLU").type == "ReLU"
    assert "Disputed" in registry.names("layers")


def test_a_stranger_who_claims_a_type_of_netdefs_own(install):
    install("mine", "1", LAYER.format(name="ReLU", more="who = 'me'"))
    with pytest.raises(
        PluginError, match=r"layer type 'ReLU' is claimed by netdef-nn:activation .* and mine:main 1; choose"
    ):
        load().get("layers", "ReLU")
    assert load(prefer={"ReLU": "mine"}).get("layers", "ReLU").who == "me"


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "{}:main"])
def test_allow_and_deny(install, form):
    for name in ("one", "two", "three"):
        install(name, "1", LAYER.format(name=name.capitalize(), more=""))
    names = {"One", "Two", "Three"}

    def found(**settings):
        return names & set(load(**settings).names("layers"))

    assert found() == names
    assert found(allow=(form.format("one"),)) == {"One"}
    assert found(deny=(form.format("one"),)) == {"Two", "Three"}
    assert found(allow=(form.format("one"), "two"), deny=(form.format("two"),)) == {"One"}


def test_what_ships_with_netdef_needs_no_permission_but_can_be_denied():
    assert "ReLU" in load(allow=("nobody",)).names("layers")
    registry = load(deny=("netdef-nn:activation",))
    assert "ReLU" not in registry.names("layers")
    assert "Softmax" in registry.names("layers")


def test_a_denied_plugin_is_not_even_imported(install):
    install("noisy", "1", "raise SystemExit")
    noisy = plugin(load(deny=("noisy",), strict=True), "noisy:main")
    assert noisy.denied
    assert not noisy.error


def test_a_type_that_only_a_denied_plugin_has_says_who_was_left_out(install):
    install("one", "1", LAYER.format(name="Only", more=""))
    with pytest.raises(PluginError, match=r"unknown layer type 'Only' \(.*not loaded, as the settings say: one:main"):
        load(deny=("one",)).get("layers", "Only")


def test_settings_from_the_environment():
    environ = {
        "NETDEF_ALLOW": "a, b",
        "NETDEF_DENY": "c:d",
        "NETDEF_PLUGIN_FILES": "x.py:y.py",
        "NETDEF_PREFER": "ReLU=a,Pooling=c:d",
        "NETDEF_STRICT": "1",
    }
    want = Settings(("a", "b"), ("c:d",), ("x.py", "y.py"), {"ReLU": "a", "Pooling": "c:d"}, True)
    assert Settings.from_environment(environ) == want
    assert Settings.from_environment({}) == Settings()
    assert not Settings.from_environment({"NETDEF_STRICT": "0"}).strict
