"""Public nets in old formats: all that BVLC Caffe loads upgrade, to the layer types that it finds in them."""

from collections.abc import Callable
from typing import Any

import pytest

from netdef.errors import NetdefError
from netdef.upgrade import needs_upgrade, upgrade_net, upgrade_solver


def read(found: Any) -> Any:
    if isinstance(found, NetdefError):
        raise found
    return found


def test_old_nets(corpus: Callable) -> None:
    old = failed = 0
    for row, found in corpus("net"):
        if row["format"] == "V2" and row["input_style"] == "Input":
            continue  # today's already
        try:
            old += bool(needs_upgrade(read(found)))
            upgraded = upgrade_net(found)
        except NetdefError as error:
            assert row["loads_in_bvlc"] != "yes", error
            failed += 1
            continue
        assert needs_upgrade(upgraded) == []
        types = set(row["layer_types"].split(",")) - {"(V0 padding)"}
        assert {layer.type for layer in upgraded.layer} - {"Input"} == types - {"Input"}, row["file"]
        assert all(layer.netdef_origin for layer in upgraded.layer if layer.name != "input")
    print(f"{old} old nets upgraded, {failed} not read")


@pytest.mark.parametrize("loads", ["yes", "no"])
def test_solvers(loads: str, corpus: Callable) -> None:
    failed = []
    for row, found in corpus("solver"):
        if (row["loads_in_bvlc"] == "yes") != (loads == "yes"):
            continue
        try:
            assert not upgrade_solver(read(found)).HasField("solver_type")
        except NetdefError as error:
            failed.append(str(error))
    print(f"{len(failed)} solvers not read")
    assert not failed or loads == "no"
