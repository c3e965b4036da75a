"""Batches of nothing, as detectors make them where they find nothing: every layer passes them on, or says why not."""

import re
from pathlib import Path

import numpy as np
import pytest
from nets import net

from netdef.errors import NetdefError
from netdef.testing import load_cases

CASES = [
    pytest.param(case, id=f"{path.stem}-{case.name}")
    for path in sorted((Path(__file__).parent.parent / "layers").glob("*.prototxt"))
    for case in load_cases(path)
    if not case.refused and 'type: "Input"' in case.text
]
FIRST = re.compile(r"(input_param\s*\{\s*shape\s*\{\s*dim:\s*)\d+")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_of_nothing(case, dtype, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for layers that write files
    try:
        made = net(FIRST.sub(r"\g<1>0", case.text), case.phase, dtype=dtype)
        made.forward()
        made.backward()
    except NetdefError as e:
        assert "(plugin " not in str(e)  # a message of ours, none that an accident left
        return
    for parameter in made.parameters:
        assert not parameter.blob.diff.any()
