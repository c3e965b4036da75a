"""Thousands of damaged files through the command line, in one process that may not exceed a bound of memory.

    python tests/fuzz/run.py --cases 5000 --seed 1 [--corpus FOLDER] [--only KIND] [--keep FOLDER]

A case is a pure function of the seed and its number. It fails by an exception that no code meant, a status that is
none of netdef's, more than SECONDS, or memory beyond BOUND bytes where the command needs none for the net's own blobs.
"""

import argparse
import contextlib
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
BOUND = 4 << 30
"""Bytes of address space, what Python, NumPy, ONNX Runtime and the compiled kernels take included."""
SECONDS = 20

TINY = """
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "y" type: "DummyData" top: "y" dummy_data_param { shape { dim: 2 dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 4 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "y" }
"""
TINY_SOLVER = """
net: "tiny.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 1 snapshot: 1 snapshot_prefix: "tiny"
"""


@dataclass
class Seeds:
    """Whole files to damage."""

    nets: list[str]
    small: list[str]
    """Those that take no time to run."""
    solvers: list[str]
    weights: list[bytes] = field(default_factory=list)
    hdf5: list[bytes] = field(default_factory=list)
    onnx: list[bytes] = field(default_factory=list)
    means: list[bytes] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)


@dataclass
class Outcome:
    kind: str
    status: int = -1
    err: str = ""
    seconds: float = 0.0
    hung: bool = False

    @property
    def fault(self) -> str:
        """What is wrong with this outcome; empty where a message was given or nothing was wrong."""
        if self.hung:
            return f"took more than {SECONDS} seconds"
        if self.status not in (0, 1, 2):
            return f"status {self.status}"
        for sign in ("did not expect this", "Traceback", "to_onnx failed", "(plugin "):
            if sign in self.err:
                return f"'{sign}'"
        if "out of memory" in self.err and self.kind != "export":
            return "memory beyond the bound"
        return "" if self.status == 0 or "netdef: error: " in self.err else "a failure without a message"


def seeds(corpus: Path | None) -> Seeds:
    from netdef.cli import main
    from netdef.testing import load_cases
    from netdef.weights.blobproto import write_blob

    nets = [case.text.strip() for file in sorted(ROOT.glob("tests/layers/*.prototxt")) for case in load_cases(file)]
    nets += [file.read_text() for file in sorted(ROOT.glob("tests/upgrade/cases/*"))]
    nets += [(ROOT / f"models/digits/{name}.prototxt").read_text() for name in ("train_val", "deploy")]
    small = list(nets)
    if corpus:
        nets += [f.read_text(errors="replace") for f in sorted(corpus.rglob("*.prototxt")) if f.stat().st_size < 40_000]
    found = Seeds(nets, small, [(ROOT / "models/digits/solver.prototxt").read_text()])
    Path("deploy.prototxt").write_text(nets[-1] if not corpus else (ROOT / "models/digits/deploy.prototxt").read_text())
    for suffix, kind in ((".caffemodel", found.weights), (".h5", found.hdf5)):
        _save(f"whole{suffix}")
        kind.append(Path(f"whole{suffix}").read_bytes())
    if main(["export", "deploy.prototxt", "--weights", "whole.h5", "-o", "whole.onnx"]) == 0:
        found.onnx.append(Path("whole.onnx").read_bytes())
    found.means.append(b"".join(write_blob(np.full((1, 1, 8, 8), 7, np.float32))))
    np.save("picture.npy", np.zeros((1, 1, 8, 8), np.float32))
    Path("tiny.prototxt").write_text(TINY)
    Path("tiny_solver.prototxt").write_text(TINY_SOLVER)
    if main(["train", "tiny_solver.prototxt"]) == 0:
        found.states.append(Path("tiny_iter_1.solverstate").read_bytes())
    return found


def _save(name: str) -> None:
    from netdef import read, weights

    net = read.net("deploy.prototxt", 1, seed=1)
    rng = np.random.default_rng(0)
    for blob in (p.blob for p in net.parameters):
        blob.data[...] = rng.standard_normal(blob.shape) / 8
    weights.save(name, net.name, net.layers)


def cases(found: Seeds, kinds: list[str]) -> dict[str, Callable[[np.random.Generator], list[str]]]:
    """By kind: write a damaged file, and give the words of a command about it."""
    import mutations

    def one(rng: np.random.Generator, choices: list) -> object:
        return choices[int(rng.integers(len(choices)))]

    def net(rng: np.random.Generator, texts: list[str], name: str) -> str:
        Path(name).write_bytes(mutations.text(str(one(rng, texts)), str(one(rng, found.nets)), rng))
        return name

    def file(rng: np.random.Generator, wholes: list[bytes], name: str) -> str:
        Path(name).write_bytes(mutations.binary(one(rng, wholes), rng))
        return name

    def weights(rng: np.random.Generator) -> str:
        return file(rng, found.weights, "bad.caffemodel") if rng.random() < 0.7 else file(rng, found.hdf5, "bad.h5")

    made: dict[str, Callable[[np.random.Generator], list[str]]] = {
        "check": lambda rng: ["check", net(rng, found.nets, "bad.prototxt"), f"--phase={one(rng, ['TRAIN', 'TEST'])}"],
        "upgrade": lambda rng: ["upgrade", net(rng, found.nets + found.solvers, "bad.prototxt")],
        "export": lambda rng: ["export", net(rng, found.small, "bad.prototxt"), "--filler", "-o", "out.onnx"],
        "load": lambda rng: ["export", "deploy.prototxt", "--weights", weights(rng), "-o", "out.onnx"],
        "show": lambda rng: ["weights", "show", weights(rng)],
        "convert": lambda rng: ["weights", "convert", weights(rng), "converted.h5"],
        "mean": lambda rng: [*PREDICT, "--mean", file(rng, found.means, "bad.binaryproto")],
        "resume": lambda rng: [
            "train",
            "tiny_solver.prototxt",
            "--snapshot",
            file(rng, found.states, "bad.solverstate"),
        ],
        "import": lambda rng: ["import", file(rng, found.onnx, "bad.onnx"), "-o", "imported"],
    }
    return {kind: make for kind, make in made.items() if kind in kinds}


@contextlib.contextmanager
def alarm(outcome: Outcome) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        outcome.hung = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def command(kind: str, words: list[str]) -> Outcome:
    """One command line in this process."""
    from netdef.cli import main

    outcome, out, err, start = Outcome(kind), io.StringIO(), io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alarm(outcome):
        try:
            outcome.status = main(words)
        except BaseException as e:
            print(f"Traceback: {type(e).__name__}: {e}", file=err)
    outcome.err, outcome.seconds = err.getvalue(), time.perf_counter() - start
    return outcome


KINDS = ["check", "upgrade", "export", "load", "show", "convert", "import", "mean", "resume"]
TRAIN = ["train", "tiny_solver.prototxt"]
PREDICT = ["predict", "deploy.prototxt", "--weights", "whole.caffemodel", "picture.npy"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--corpus", type=Path, help="a folder of more prototxts to damage")
    parser.add_argument("--only", choices=KINDS, action="append", help="only these kinds")
    parser.add_argument("--keep", type=Path, help="where to keep the files that failed")
    return parser.parse_args()


def run(args: argparse.Namespace) -> int:
    """The number of cases that failed."""
    made = cases(seeds(args.corpus), args.only or KINDS)
    resource.setrlimit(resource.RLIMIT_AS, (BOUND, BOUND))
    faults, statuses = 0, Counter()
    for number in range(args.first, args.first + args.cases):
        rng = np.random.default_rng([args.seed, number])
        kind = sorted(made)[number % len(made)]
        words = made[kind](rng)
        print(f"case {number}: {' '.join(words)}", file=sys.stderr, flush=True)
        outcome = command(kind, words)
        statuses[kind, outcome.status] += 1
        if outcome.fault:
            faults += 1
            print(
                f"FAULT case {number} ({kind}, {outcome.seconds:.1f} s): {outcome.fault}: {outcome.err.strip()[:600]}"
            )
            _keep(args.keep, words, number)
    for (kind, status), count in sorted(statuses.items()):
        print(f"{kind}: status {status} in {count} cases")
    print(f"{args.cases} cases, {faults} faults, at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
    return faults


def _keep(folder: Path | None, words: list[str], number: int) -> None:
    for name in (word for word in words if folder and word.startswith("bad.")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{Path(name).suffix}").write_bytes(Path(name).read_bytes())


if __name__ == "__main__":
    given = arguments()
    given.keep = given.keep and given.keep.absolute()
    given.corpus = given.corpus and given.corpus.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.exit(run(given) > 0)
