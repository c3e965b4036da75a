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
    """Of the processor, which on a machine that is busy elsewhere are fairer than those of the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def made(path: Path, count: int, *shape: int) -> Path:
    """A database of images made at random."""
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, shape).astype(np.uint8) for _ in range(count))
    lmdb.write_records(path, ((b"%08d" % i, datum.write(x, i % 10)) for i, x in enumerate(images)))
    return path


def datums(folder: Path) -> None:
    records = lmdb.open_records(made(folder / "db", RECORDS, 3, 256, 256))
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


def digits(folder: Path, source: str) -> str:
    """LeNet on MNIST, or on digits made at random."""
    source = source or str(made(folder / "digits", 6400, 1, 28, 28))
    return LENET.read_text().replace('"mnist_train_lmdb"', f'"{source}"')


def photographs(folder: Path) -> str:
    """CaffeNet's first convolution and a classifier, on two batches of 3 x 256 x 256: their pages are soon known."""
    source = made(folder / "few", 2 * BATCH, 3, 256, 256)
    return f"""
    layer {{ name: "d" type: "Data" top: "data" top: "label"
      data_param {{ source: "{source}" batch_size: {BATCH} backend: LMDB }}
      transform_param {{ crop_size: 227 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }} }}
    layer {{ name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param {{ num_output: 96 kernel_size: 11 stride: 4 weight_filler {{ type: "xavier" }} }} }}
    layer {{ name: "p" type: "Pooling" bottom: "c" top: "p"
      pooling_param {{ pool: MAX kernel_size: 3 stride: 2 }} }}
    layer {{ name: "f" type: "InnerProduct" bottom: "p" top: "f" inner_product_param {{ num_output: 10 }} }}
    layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" top: "l" }}"""


def steps(name: str, text: str, count: int, turns: int) -> None:
    """A training step with data and with the last batch again, in short turns; medians of the turns and of ratios."""
    param = registry.default().schema.message("NetParameter")
    net = Net(prototxt.parse(text, param, str(LENET)), 0, seed=1, plan=True)
    source = net.layers[0]
    forward = source.forward

    clocks = {"wall": time.perf_counter, "training thread": time.thread_time, "all threads": time.process_time}

    def some() -> list[float]:
        """Seconds a step: by the wall, which is what counts, and of processors, where other work runs beside."""
        before = [clock() for clock in clocks.values()]
        for _ in range(count):
            net.forward()
            net.backward()
        return [(clock() - start) / count for clock, start in zip(clocks.values(), before, strict=True)]

    some(), some()
    found = []
    for _ in range(turns):
        source.forward = lambda bottom, top: None
        without = some()
        source.forward = forward
        found.append((some(), without))
    for i, what in enumerate(clocks):
        ours, alone = (1e3 * median(pair[k][i] for pair in found) for k in (0, 1))
        more = 100 * (median(pair[0][i] / pair[1][i] for pair in found) - 1)
        print(f"{name}, {what}: {ours:.2f} ms a step with data, {alone:.2f} without: {more:+.1f}%")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        datums(Path(place))
        steps("LeNet, batch 64", digits(Path(place), sys.argv[1] if len(sys.argv) > 1 else ""), 8, 4 * ROUNDS)
        steps("CaffeNet's first convolution, batch 50", photographs(Path(place)), 1, ROUNDS)
