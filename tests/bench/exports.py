"""Export every net of a folder and compare it with ONNX Runtime, blob by blob; a table of what became of them.

    python tests/bench/exports.py FOLDER [--only TEXT] [--seconds 120] [--gigabytes 8] [--tsv FILE]

Each net is a process of its own with a limit of time and memory. Batches are thinned to 1, data layers become inputs
(of 3 x 227 x 227 where nothing tells the shape), and parameters that no filler fills get small random numbers.
"""

import argparse
import importlib
import os
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

GUESSES = [(1, 3, 227, 227), (1, 3, 300, 300), (1, 3, 473, 473), (1, 3, 32, 32), (1, 1, 28, 28), (1, 2, 28, 28)]
GUESSES += [(1, 4, 32, 32), (1, 3, 16, 112, 112), (1, 1, 64, 64, 64)]
AGREES, REFUSED, ABSENT, CODE, UNLOADED, DIFFERS, LARGE = (
    "agrees",
    "refused by the name of a layer",
    "a layer type or option that no plugin provides",
    "a layer of Python code that is not there",
    "does not load",
    "DIFFERS",
    "beyond the limits of this run",
)


def thinned(param: Any, registry: Any, stages: tuple[str, ...] = (), batch: bool = True) -> Any:
    """The net as it is exported, with a batch of 1, and shapes for what no file tells."""
    from netdef.export.strip import strip
    from netdef.graph.choose import layer_class
    from netdef.layer import Source

    param = strip(param, registry, stages=stages)
    role = registry.role("input")
    for layer in param.layer:
        if layer.type == role and batch:
            _thin(layer.input_param)
        elif batch and issubclass(layer_class(layer, registry), Source):
            for block in ("memory_data_param", "data_param", "image_data_param"):
                if layer.HasField(block):
                    getattr(layer, block).batch_size = 1
            _thin(layer.dummy_data_param)
    return param


def _thin(options: Any) -> None:
    for shape in options.shape:
        if len(shape.dim) == 4:
            shape.dim[0] = 1


def shaken(net: Any) -> None:
    """Numbers of a sensible size in every parameter that is constant."""
    rng = np.random.default_rng(0)
    for layer in net.layers:
        for blob, learns in zip(layer.blobs, layer.learns, strict=True):
            x = blob.data
            if not learns:
                x[...] = rng.uniform(0.5, 1.5, x.shape)
            elif x.size and x.ndim > 1 and np.ptp(x) == 0:
                x[...] = rng.standard_normal(x.shape, np.float32) * np.sqrt(2 * len(x) / x.size)
            elif x.size and np.ptp(x) == 0:
                x[...] += rng.standard_normal(x.shape, np.float32) / 10


def export(path: Path) -> tuple[str, str]:
    """(what became of it, why)."""
    from netdef import read
    from netdef import registry as registries
    from netdef.errors import ExportError, NetdefError, PluginError, PrototxtError
    from netdef.export import build, verify
    from netdef.net import Net

    registry = registries.default()
    try:
        net = _built(Net, read.net_param(path, registry, training=False), registry, path)
    except (PluginError, PrototxtError) as e:
        return ABSENT, str(e)
    except NetdefError as e:
        kind = LARGE if "memory" in str(e) else CODE if "runs code named by" in str(e) else UNLOADED
        return kind, str(e)
    shaken(net)
    try:
        exported = build(net)
    except ExportError as e:
        return (REFUSED if "layer '" in str(e) else UNLOADED), str(e)
    try:
        parity = verify(net, exported, every=True)
    except ExportError as e:
        return (LARGE if "Failed to allocate memory" in str(e) else DIFFERS), str(e)
    return AGREES, f"{parity.difference:.1e}"


def _built(make: Any, param: Any, registry: Any, path: Path) -> Any:
    """The net as it is; else of a stage that its layers name; else with the batch that it was written for."""
    stages = [(stage,) for layer in param.layer for rule in layer.include for stage in rule.stage]
    refusal: Exception | None = None
    for chosen, batch in [((), True), *((stage, True) for stage in dict.fromkeys(stages)), ((), False)]:
        try:
            return _fed(make, thinned(param, registry, chosen, batch), registry, path)
        except Exception as e:
            refusal = refusal or e
    raise refusal or AssertionError


def _fed(make: Any, thin: Any, registry: Any, path: Path) -> Any:
    """Where a data layer needs a file, or code, or is of the other phase alone, with guesses for what is in it."""
    from netdef.export.strip import strip

    try:
        return make(thin, 1, registry=registry, base=path.parent, seed=1, plan=True)
    except Exception as e:
        refusal: Exception = e
    opened = [layer for layer in thin.layer if not layer.bottom and layer.top and layer.type != registry.role("input")]
    read = {name for layer in thin.layer for name in layer.bottom}
    tops = {top: t == 0 for layer in opened for t, top in enumerate(layer.top) if top in read}
    tops |= dict.fromkeys({"data"} & read.difference(*(layer.top for layer in thin.layer)), True)
    for guess in GUESSES if tops else ():
        for other in (guess[:1], (guess[0], 1, *guess[2:])):  # a label for each image, or for each of its pixels
            shapes = {top: guess if first else other for top, first in tops.items()}
            try:
                return make(strip(thin, registry, shapes), 1, registry=registry, base=path.parent, seed=1, plan=True)
            except Exception:
                continue
    raise refusal


def apart(path: Path, seconds: int, limit: int) -> tuple[str, str]:
    """The same in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        signal.alarm(seconds)
        try:
            found = "\t".join(export(path))
        except MemoryError as e:
            found = f"{LARGE}\t{e}"
        except BaseException as e:
            found = f"{UNLOADED}\tUNEXPECTED {type(e).__name__}: {e}"
        with os.fdopen(writer, "w") as f:
            f.write(found)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as f:
        found = f.read()
    _, status = os.waitpid(child, 0)
    if not found:
        return LARGE, f"ended by signal {os.waitstatus_to_exitcode(status)}"
    what, _, why = found.partition("\t")
    return what, why


def main() -> int:
    """The number of nets that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="nets whose name holds this text")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--gigabytes", type=int, default=8)
    parser.add_argument("--tsv", type=Path, help="write every net's line here")
    args = parser.parse_args()
    from netdef import registry

    importlib.import_module("netdef.export")  # ONNX and the plugins once, for all processes

    registry.default()
    lines, counts = [], Counter()
    for path in (p for p in sorted(args.folder.rglob("*.prototxt")) if args.only in p.name):
        start = time.perf_counter()
        what, why = apart(path, args.seconds, args.gigabytes << 30)
        counts[what] += 1
        lines.append(f"{path.name}\t{what}\t{time.perf_counter() - start:.1f}\t{' '.join(why.split())[:500]}")
        if args.tsv:
            args.tsv.write_text("\n".join(lines) + "\n")
        if what == DIFFERS or "UNEXPECTED" in why:
            print(lines[-1], flush=True)
    for what, count in counts.most_common():
        print(f"{count:5} {what}")
    print(f"{sum(counts.values()):5} nets")
    return counts[DIFFERS]


if __name__ == "__main__":
    sys.exit(main() > 0)
