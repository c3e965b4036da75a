"""Every layer type that ships with netdef through its cases in tests/layers; a type without cases fails by its name."""

from pathlib import Path

import pytest

from netdef import registry
from netdef.testing import check_layer, load_cases

LAYERS = Path(__file__).parent / "layers"
CASES = {path.stem: load_cases(path) for path in sorted(LAYERS.glob("*.prototxt"))}
OWN = [p for p in registry.default().plugins if p.module.split(".")[0] == "netdef_plugins"]


@pytest.mark.parametrize("plugin", OWN, ids=lambda p: p.name)
def test_family_loads(plugin):
    assert not plugin.error


@pytest.mark.parametrize("kind", sorted(kind for plugin in OWN for kind in plugin.provides.get("layers", [])))
def test_type_has_cases(kind):
    found = registry.default().find("layers", kind)
    assert found.thing.type in CASES, f"no tests/layers/{found.thing.type}.prototxt for {kind} of {found.plugin.name}"


@pytest.mark.parametrize(
    ("kind", "case"), [pytest.param(kind, case, id=f"{kind}-{case}") for kind in CASES for case in CASES[kind]]
)
def test_case(kind, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some layers write files
    assert f'"{kind}"' in case.text, f"{case.file}: case '{case}' has no layer of type {kind}"
    check_layer(case)
