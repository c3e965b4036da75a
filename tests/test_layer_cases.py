"""Every registered layer type through its cases in tests/layers; a type without cases fails by its name."""

from pathlib import Path

import pytest

from netdef import registry
from netdef.testing import check_layer, load_cases

LAYERS = Path(__file__).parent / "layers"
CASES = {path.stem: load_cases(path) for path in sorted(LAYERS.glob("*.prototxt"))}


@pytest.mark.parametrize("kind", registry.default().names("layers"))
def test_type_has_cases(kind):
    claims = registry.default().find("layers", kind)
    assert claims.thing.type in CASES, f"no tests/layers/{claims.thing.type}.prototxt for {kind} of {claims.plugin.name}"


@pytest.mark.parametrize(
    ("kind", "case"), [pytest.param(kind, case, id=f"{kind}-{case}") for kind in CASES for case in CASES[kind]]
)
def test_case(kind, case):
    assert f'"{kind}"' in case.text or f"'{kind}'" in case.text, f"{case.file}: case '{case}' has no layer of type {kind}"
    check_layer(case)
