"""Public nets in old formats: all that BVLC Caffe loads upgrade, to the layer types that it finds in them."""

import csv
from pathlib import Path

import pytest
from netdef_proto.netdef_pb2 import NetParameter, SolverParameter

from netdef import prototxt
from netdef.errors import NetdefError
from netdef.upgrade import needs_upgrade, upgrade_net, upgrade_solver


def rows(shared: Path, kind: str) -> list[dict[str, str]]:
    with (shared / "prototxts/index.tsv").open(newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]


def test_old_nets(shared: Path) -> None:
    old = failed = 0
    for row in rows(shared, "net"):
        if row["format"] == "V2" and row["input_style"] == "Input":
            continue  # today's already
        try:
            net = prototxt.read(shared / "prototxts" / row["file"], NetParameter, ignored=[])
            old += bool(needs_upgrade(net))
            upgraded = upgrade_net(net)
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
def test_solvers(loads: str, shared: Path) -> None:
    failed = []
    for row in rows(shared, "solver"):
        if (row["loads_in_bvlc"] == "yes") != (loads == "yes"):
            continue
        try:
            solver = prototxt.read(shared / "prototxts" / row["file"], SolverParameter, ignored=[])
            assert not upgrade_solver(solver).HasField("solver_type")
        except NetdefError as error:
            failed.append(str(error))
    print(f"{len(failed)} solvers not read")
    assert not failed or loads == "no"
