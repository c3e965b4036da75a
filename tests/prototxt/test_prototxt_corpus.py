"""Public nets and solvers: what BVLC Caffe loads must read, and write back to the same message."""

import csv
from pathlib import Path

import pytest
from netdef_proto.netdef_pb2 import NetParameter, SolverParameter

from netdef import prototxt
from netdef.errors import PrototxtError


@pytest.mark.parametrize(("kind", "message"), [("net", NetParameter), ("solver", SolverParameter)])
def test_what_caffe_loads_reads(kind: str, message: type, shared: Path) -> None:
    with (shared / "prototxts/index.tsv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]
    refused = {}
    for number, row in enumerate(rows):
        try:
            read = prototxt.read(shared / "prototxts" / row["file"], message, ignored=[])
        except PrototxtError as error:
            refused[row["file"]] = str(error)
            continue
        if number % 5:  # a fifth of them is enough to write back, and a good deal faster
            continue
        text = prototxt.write(read)
        assert prototxt.write(prototxt.parse(text, message)) == text, row["file"]
    caffes = {row["file"] for row in rows if row["loads_in_bvlc"] == "yes"}
    assert len(caffes) >= 199
    assert {name: refused[name] for name in caffes & refused.keys()} == {}
    print(f"{kind}: {len(rows) - len(refused)} of {len(rows)} read, {len(caffes)} load in Caffe")
