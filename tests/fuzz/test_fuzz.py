"""Some hundred damaged files through the command line, under a bound of memory; run.py does thousands."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_give_messages(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, str(RUN), "--cases", "350", "--seed", str(seed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=600)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
