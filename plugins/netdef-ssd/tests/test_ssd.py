"""Every case in cases/ through netdef's own proof, and every type through a case."""

from pathlib import Path

import netdef_ssd
import pytest

from netdef.testing import check_layer


def test_conforms(netdef_case):
    check_layer(netdef_case)


@pytest.mark.parametrize("cls", netdef_ssd.netdef_layers(), ids=lambda cls: cls.type)
def test_type_has_cases(cls):
    assert (Path(__file__).parent / "cases" / f"{cls.type}.prototxt").is_file()
