"""Kill training runs at random moments with SIGKILL, resume them, and compare how they end, bit for bit.

usage: python tests/solver/kill.py [KILLS]; a test runs a few, this runs as many as you like, over all KINDS in turn.
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

import numpy as np

from netdef import weights
from netdef.errors import WeightsError
from netdef.solver import snapshot
from netdef.sources import datum, lmdb

ROOT = Path(__file__).resolve().parent.parent.parent
SOLVER = """
net: "{net}"
test_iter: 1 test_interval: 15 weight_decay: 0.0005 max_iter: {iterations} snapshot: 7 random_seed: 11
{more}
"""
STEP = 'base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 20 '
SMALL = 'base_lr: 0.002 lr_policy: "fixed" '
KINDS = {
    "SGD": STEP + "momentum: 0.9 ",
    "Nesterov": STEP + 'type: "Nesterov" momentum: 0.9 snapshot_format: HDF5 ',
    "AdaGrad": SMALL + 'type: "AdaGrad" ',
    "RMSProp": SMALL + 'type: "RMSProp" rms_decay: 0.98 ',
    "AdaDelta": 'base_lr: 1 lr_policy: "fixed" type: "AdaDelta" momentum: 0.95 delta: 1e-6 ',
    "Adam": SMALL + 'type: "Adam" momentum: 0.9 clip_gradients: 5 iter_size: 2 ',
    "AdamW": 'base_lr: 0.002 lr_policy: "cosine" warmup_iter: 10 type: "AdamW" momentum: 0.9 ',
    "plateau": 'base_lr: 0.05 lr_policy: "plateau" gamma: 0.5 plateau_winsize: [5, 5, 5] average_loss: 4 ',
    "prefetching": STEP + "momentum: 0.9 ",
    "early stopping": STEP + 'momentum: 0.9 patience: 2 best_by: "accuracy" min_improvement: 0.05 snapshot_keep: 2 ',
}
"""Every rule, and every policy, test and setting whose state a snapshot holds."""


DATA = """
layer {{
  name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} prefetch: 4 }}
  transform_param {{ scale: 0.0625 mirror: true crop_size: 8 }}
}}
"""


def database_net(folder: Path) -> Path:
    """The digits net over a database, whose records threads read ahead, mirrored at random."""
    import h5py

    text = (ROOT / "models/digits/train_val.prototxt").read_text()
    layers = text[text.index('layer {\n  name: "conv1"') :]
    for phase, batch in (("TRAIN", 64), ("TEST", 90)):
        name = phase.lower()
        with h5py.File(ROOT / f"models/digits/{name}.h5") as f:
            images, labels = np.asarray(f["data"]) * 16, np.asarray(f["label"])
        pairs = zip(images.astype(np.uint8), labels, strict=True)
        items = ((f"{i:08d}".encode(), datum.write(x, int(label))) for i, (x, label) in enumerate(pairs))
        lmdb.write_records(folder / f"{name}_lmdb", items)
        layers = DATA.format(phase=phase, source=folder / f"{name}_lmdb", batch=batch) + layers
    (folder / "net.prototxt").write_text('name: "digits"\n' + layers)
    return folder / "net.prototxt"


def write_solver(folder: Path, iterations: int, kind: str) -> Path:
    """A solver in a folder of its own, so that its snapshots lie there."""
    net = database_net(folder) if kind == "prefetching" else ROOT / "models/digits/train_val.prototxt"
    path = folder / "run.prototxt"
    path.write_text(SOLVER.format(net=net, iterations=iterations, more=KINDS[kind]))
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


def ending(solver: Path) -> dict[str, object]:
    """All that a run leaves, by name: its last weights and state, and the best model."""
    last = snapshot.latest(solver.with_suffix(""))
    state = snapshot.read_state(last)
    left = {f"history {i}": stored.data.tobytes() for i, stored in enumerate(state.history)}
    left |= {name: str(value) for name, value in vars(state).items() if name not in ("history", "learned_net")}
    best = solver.parent.glob("run_best.caffemodel*")  # what a kill left half written begins with a dot
    models = [last.with_name(last.name.replace("solverstate", "caffemodel")), *best]
    for model in models:
        blobs = [(layer.name, i, blob) for layer in weights.read(model) for i, blob in enumerate(layer.blobs)]
        left |= {f"{model.name}: {name} {i}": blob.data.tobytes() for name, i, blob in blobs}
    return left


def trial(
    folder: Path, seconds: float, kills: int, iterations: int, kind: str, chance: random.Random
) -> dict[str, object]:
    """How a run ended that was killed at random moments on its way."""
    solver = write_solver(folder, iterations, kind)
    for _ in range(kills):
        process = start(solver)
        time.sleep(chance.uniform(0.3 * seconds, seconds))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(solver)
    return ending(solver)


def campaign(kills: int, iterations: int = 50, kind: str = "SGD", seed: int = 0, per_run: int = 2) -> tuple[int, int]:
    """(runs that ended as the one that nobody killed, runs)."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as top:
        (whole := Path(top, "whole")).mkdir()
        began = time.monotonic()
        finish(write_solver(whole, iterations, kind))
        seconds = time.monotonic() - began
        want, same, runs = ending(whole / "run.prototxt"), 0, 0
        for at in range(0, kills, per_run):
            (folder := Path(top, str(at))).mkdir()
            got = trial(folder, seconds, min(per_run, kills - at), iterations, kind, chance)
            if differing := sorted(name for name in want | got if want.get(name) != got.get(name)):
                print(f"{kind}, seed {seed}, run {runs} differs in {', '.join(differing)}", file=sys.stderr)
            same += not differing
            runs += 1
            shutil.rmtree(folder)
    return same, runs


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 2 * len(KINDS)
    equal = all_runs = 0
    for number, name in enumerate(KINDS):
        share = total // len(KINDS) + (number < total % len(KINDS))
        seed = int(time.time())
        good, ran = campaign(share, kind=name, seed=seed) if share else (0, 0)
        equal, all_runs = equal + good, all_runs + ran
        print(f"{name}: {share} kills from seed {seed}, {good} of {ran} runs ended alike", flush=True)
    print(f"{total} kills: {equal} of {all_runs} resumed runs ended in the same weights, state and best model")
