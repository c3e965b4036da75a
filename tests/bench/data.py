"""How fast data comes: datums through LMDB, crop and mirror against a plain loop, and a training step with and without.

    python tests/bench/data.py [MNIST_TRAIN_LMDB]

Without an argument the step uses digits made at random; both numbers of a ratio are taken in turn, in one run.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from netdef_plugins.kernels import pixels

from netdef import prototxt, registry
from netdef.net import Net
from netdef.sources import datum, lmdb
from netdef.sources.batches import Batches
from netdef.sources.databases import Datums
from netdef.sources.draws import Keys
from netdef.sources.transform import Transform

RECORDS, BATCH, ROUNDS = 1000, 50, 9
LENET = Path(__file__).resolve().parents[2] / "models/lenet/train_val.prototxt"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def datums(folder: Path) -> None:
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, (3, 256, 256)).astype(np.uint8) for _ in range(RECORDS))
    lmdb.write_records(folder / "db", ((b"%08d" % i, datum.write(x, i % 10)) for i, x in enumerate(images)))
    records = lmdb.open_records(folder / "db")
    param = registry.default().schema.message("TransformationParameter")
    transform = Transform(param(crop_size=227, mirror=True, mean_value=[104, 117, 123]), 0, write_bytes=pixels.write)
    batches = Batches(Datums(records), transform, BATCH, Keys("data", 1))

    def plain() -> None:
        for _, value in records._items(None):
            bytes(value)

    def ours() -> None:
        old = None
        for p in range(RECORDS // BATCH):
            old = batches.read(p, old)

    plain(), ours()
    found = [(RECORDS / seconds(plain), RECORDS / seconds(ours)) for _ in range(ROUNDS)]
    ratios = [theirs / mine for theirs, mine in found]
    print(f"3x256x256 through crop 227, mirror, mean: {median(m for _, m in found):,.0f} datums/s")
    print(
        f"a plain loop that copies each value: {median(p for p, _ in found):,.0f}/s, {median(ratios):.1f} times as many"
    )


def steps(folder: Path, source: str) -> None:
    if not source:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (6400, 1, 28, 28)).astype(np.uint8)
        source = str(folder / "digits")
        lmdb.write_records(source, ((b"%08d" % i, datum.write(x, i % 10)) for i, x in enumerate(images)))
    text = LENET.read_text().replace('"mnist_train_lmdb"', f'"{source}"')
    made = registry.default().schema.message("NetParameter")
    net = Net(prototxt.parse(text, made, str(LENET)), 0, seed=1, plan=True)
    source_layer = net.layers[0]
    forward = source_layer.forward

    def some(count: int = 20) -> tuple[float, float]:
        """Seconds a step by the wall and of processors, the latter being fair where other work runs beside."""
        wall, processors = time.perf_counter(), time.process_time()
        for _ in range(count):
            net.forward()
            net.backward()
        return (time.perf_counter() - wall) / count, (time.process_time() - processors) / count

    some()
    found = []
    for _ in range(2 * ROUNDS):
        source_layer.forward = lambda bottom, top: None  # the last batch again
        without = some()
        source_layer.forward = forward
        found.append((some(), without))
    for i, what in enumerate(("wall", "processor")):
        ours, alone = (1e3 * median(pair[k][i] for pair in found) for k in (0, 1))
        more = 100 * (median(pair[0][i] / pair[1][i] for pair in found) - 1)
        print(f"LeNet, batch 64, {what}: {ours:.2f} ms a step with data, {alone:.2f} without: {more:+.1f}%")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        datums(Path(place))
        steps(Path(place), sys.argv[1] if len(sys.argv) > 1 else "")
