"""What loading weights costs: time against reading the file's bytes, memory against its size.

    python tests/bench/weights.py [--megabytes 240] [--folder FOLDER]

The bars: at most 2.5 times the time, at most once the size (beyond what the net's own parameters take). With 2200
megabytes and more, files beyond protobuf's limit are measured.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LAYERS = 8
BARS = (2.5, 1.0)


def net(megabytes: int) -> str:
    """Inner products whose weights are of that size together."""
    side = int((megabytes * 1e6 / 4 / LAYERS) ** 0.5)
    text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: {side} }} }} }}'
    for i in range(LAYERS):
        text += f'layer {{ name: "fc{i}" type: "InnerProduct" bottom: "x" top: "y{i}" '
        text += f"inner_product_param {{ num_output: {side} }} }}\n"
    return text


def best(what, times: int = 5) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        what()
        found.append(time.perf_counter() - start)
    return min(found)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(folder: Path) -> str:
    """In a process of its own: the ratio of times, and of memory to the file's size."""
    from netdef import read, weights

    text, file = folder / "net.prototxt", folder / "net.caffemodel"
    made = read.net(text, 1)
    for parameter in made.parameters:
        parameter.blob.data[...] = 0
    before = peak()
    weights.load(made.layers, file)
    memory = (peak() - before) / file.stat().st_size
    reading = best(lambda: file.read_bytes())
    loading = best(lambda: weights.load(made.layers, file))
    return f"{loading / reading:.2f} {memory:.2f} {reading * 1e3:.0f} {loading * 1e3:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=240)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        print(measured(args.folder))
        return 0
    from netdef import read, weights

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.prototxt").write_text(net(args.megabytes))
        made = read.net(folder / "net.prototxt", 1)
        for parameter in made.parameters:
            parameter.blob.data[...] = np.float32(0.5)
        weights.save(folder / "net.caffemodel", "net", made.layers)
        del made, parameter
        command = [sys.executable, __file__, "--folder", name]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        size = (folder / "net.caffemodel").stat().st_size / 1e6
    time_, memory, reading, loading = map(float, out.split())
    print(f"{size:.0f} MB: reading {reading:.0f} ms, loading {loading:.0f} ms, {time_:.2f} times (bar {BARS[0]})")
    print(f"memory beyond the net's own: {memory:.2f} of the file's size (bar {BARS[1]}), mapped pages included")
    return int(time_ > BARS[0] or memory > BARS[1])


if __name__ == "__main__":
    sys.exit(main())
