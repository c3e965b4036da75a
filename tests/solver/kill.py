"""Kill a training run at random moments with SIGKILL, resume it, and compare the final weights bit for bit.

usage: python tests/solver/kill.py [KILLS]; a test runs a few, this runs as many as you like.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netdef.errors import WeightsError
from netdef.solver import snapshot

ROOT = Path(__file__).resolve().parent.parent.parent
SOLVER = """
net: "{net}"
test_iter: 1 test_interval: 30 base_lr: 0.05 momentum: 0.9 weight_decay: 0.0005
lr_policy: "step" gamma: 0.5 stepsize: 40 max_iter: {iterations} snapshot: 7 random_seed: 11
{more}
"""


def write_solver(folder: Path, iterations: int, more: str = "") -> Path:
    """A solver of the digits net in a folder of its own, so that its snapshots lie there."""
    path = folder / "run.prototxt"
    path.write_text(SOLVER.format(net=ROOT / "models/digits/train_val.prototxt", iterations=iterations, more=more))
    return path


def start(solver: Path) -> subprocess.Popen[bytes]:
    """Train from the latest snapshot if there is one, else from the start."""
    command = [sys.executable, "-m", "netdef", "train", "--solver", str(solver)]
    with contextlib.suppress(WeightsError):
        command += ["--snapshot", str(snapshot.latest(solver.with_suffix("")))]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **quiet)  # type: ignore[call-overload]


def finish(solver: Path) -> None:
    process = start(solver)
    _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode())


def weights(solver: Path, iterations: int) -> bytes:
    return solver.with_name(f"run_iter_{iterations}.caffemodel").read_bytes()


def trial(folder: Path, seconds: float, kills: int, iterations: int, more: str, chance: random.Random) -> bytes:
    """The final weights of a run that was killed at random moments on its way."""
    solver = write_solver(folder, iterations, more)
    for _ in range(kills):
        process = start(solver)
        time.sleep(chance.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(solver)
    return weights(solver, iterations)


def campaign(kills: int, iterations: int = 120, more: str = "", seed: int = 0, per_run: int = 2) -> tuple[int, int]:
    """(runs that ended in the same weights, runs)."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as top:
        (whole := Path(top, "whole")).mkdir()
        began = time.monotonic()
        finish(write_solver(whole, iterations, more))
        seconds = time.monotonic() - began
        want, same, runs = weights(whole / "run.prototxt", iterations), 0, 0
        for at in range(0, kills, per_run):
            (folder := Path(top, str(at))).mkdir()
            same += trial(folder, seconds, min(per_run, kills - at), iterations, more, chance) == want
            runs += 1
            shutil.rmtree(folder)
    return same, runs


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    equal, all_runs = campaign(total, per_run=1, seed=int(time.time()))
    print(f"{total} kills: {equal} of {all_runs} resumed runs ended in the same weights, bit for bit")
