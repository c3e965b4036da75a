"""The whole benchmark: import time first, then the first and the second start, then steps of known nets.

python tests/bench/suite.py [NET ...] [--history FILE] [--lenet FOLDER] [the flags of steps.py]

Nothing is asserted. --history names a file that gets one line of JSON for the run, with date, machine, versions and
threads. --lenet names a folder with LeNet's solver and databases to start with, in place of models/digits.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import history
import steps

ROOT = Path(__file__).resolve().parents[2]
TIMES = 7
MODULES = ("netdef", "netdef.read", "netdef.pycaffe")
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def import_seconds(module: str) -> float:
    """The median of importing it in processes of their own."""
    command = [sys.executable, "-c", IMPORT.format(module)]
    return statistics.median(float(subprocess.check_output(command, cwd=ROOT)) for _ in range(TIMES))


def start_seconds(folder: Path, cache: str) -> float:
    """From the command to the first iteration of training; the run is then ended."""
    command = [sys.executable, "-m", "netdef", "train", "solver.prototxt", "--no-report"]
    env = os.environ | {"NETDEF_CACHE_DIR": cache, "PYTHONUNBUFFERED": "1"}
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as child:
        said = []
        for line in child.stderr:
            said.append(line)
            if re.search(r"Iteration 0 .*loss = ", line):
                child.kill()
                return time.perf_counter() - start
    sys.exit(f"{' '.join(command)} in {folder}: {''.join(said)}")


def starts(folder: Path) -> dict[str, float]:
    """With no kernel kept, and with all."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        work.mkdir()
        for file in folder.iterdir():  # what training writes does not belong beside them
            if file.name != "solver_best.caffemodel":
                (work / file.name).symlink_to(file.resolve())
        cache = f"{place}/cache"
        return {"first": start_seconds(work, cache), "second": start_seconds(work, cache)}


def main() -> None:
    parser = steps.parser(__doc__)
    parser.add_argument("--lenet", metavar="FOLDER", help="start LeNet, whose databases are there")
    args = parser.parse_args()
    os.environ["NETDEF_NUM_THREADS"] = str(args.threads)
    record = history.about(args.threads)
    record["import"] = {module: round(import_seconds(module), 4) for module in MODULES}
    print("import: " + ", ".join(f"{name} {s * 1e3:.0f} ms" for name, s in record["import"].items()), flush=True)
    record["start"] = {name: round(s, 2) for name, s in starts(Path(args.lenet or ROOT / "models/digits")).items()}
    print("start: " + ", ".join(f"{name} {s:.2f} s" for name, s in record["start"].items()), flush=True)
    record["nets"] = [steps.measured(net, args) for net in args.nets]
    if args.history:
        history.append(args.history, record)


if __name__ == "__main__":
    main()
