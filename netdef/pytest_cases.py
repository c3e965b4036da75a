"""The part of pytest: a test that takes `netdef_case` runs once for each case in cases/*.prototxt beside its file.

from netdef.testing import check_layer

def test_conforms(netdef_case):
    check_layer(netdef_case)
"""

from pathlib import Path

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Raises pytest's UsageError where there is no case, as a test of nothing would pass."""
    if "netdef_case" not in metafunc.fixturenames:
        return
    from netdef.testing import load_cases  # here, as every test run in this environment loads this module

    folder = Path(metafunc.definition.path).parent / "cases"
    files = sorted(folder.glob("*.prototxt"))
    if not files:
        raise pytest.UsageError(f"netdef_case: no {folder}/*.prototxt; see netdef.testing.load_cases for what it holds")
    cases = [pytest.param(case, id=f"{file.stem}-{case}") for file in files for case in load_cases(file)]
    metafunc.parametrize("netdef_case", cases)
