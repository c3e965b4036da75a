"""Public nets and solvers: what BVLC Caffe loads must read, and write back to the same message."""

from collections.abc import Callable

import pytest

from netdef import prototxt
from netdef.errors import PrototxtError


@pytest.mark.parametrize("kind", ["net", "solver"])
def test_what_caffe_loads_reads(kind: str, corpus: Callable) -> None:
    refused = {}
    for number, (row, read) in enumerate(corpus(kind)):
        if isinstance(read, PrototxtError):
            refused[row["file"]] = str(read)
        elif number % 5 == 0:  # a fifth of them is enough to write back, and a good deal faster
            text = prototxt.write(read)
            assert prototxt.write(prototxt.parse(text, type(read))) == text, row["file"]
    caffes = {row["file"] for row, _ in corpus(kind) if row["loads_in_bvlc"] == "yes"}
    assert len(caffes) >= 199
    assert {name: refused[name] for name in caffes & refused.keys()} == {}
    print(f"{kind}: {len(corpus(kind)) - len(refused)} of {len(corpus(kind))} read, {len(caffes)} load in Caffe")
