"""How many nets of a folder load, with netdef alone and with the distributions under plugins/; a table of what fails.

    python tests/bench/public_nets.py FOLDER [--only TEXT] [--tsv FILE]

A net counts as loaded if it is read, upgraded, filtered and its shapes are inferred in phase TEST, or in TRAIN if it
speaks of training; where it names stages, in one of them. Data layers whose files are absent are answered by the
shapes that the prototxt declares, else by those of common images and labels, as a user would give them (netdef check
--shape).
"""

import argparse
import itertools
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins_api"))
import strangers

from netdef.cli import nets
from netdef.cli.shapes import declared, feed
from netdef.errors import NetdefError
from netdef.graph.filter import included
from netdef.layer import TEST, TRAIN
from netdef.net import Net
from netdef.registry import Registry, Settings
from netdef.upgrade import upgrade_net

SIZES = [(2, 3, 224, 224), (2, 3, 227, 227), (2, 3, 32, 32), (2, 1, 28, 28), (2, 2, 28, 28)]
SIZES += [(1, 3, 473, 473), (1, 3, 713, 713), (1, 3, 600, 800), (1, 1, 64, 64, 64), (2, 1, 60, 128), (64, 1, 32, 128)]
TRAINS = re.compile(r"\bphase\s*:\s*(?:TRAIN|0)\b|\w*Loss\b|_LOSS\b")
STAGE = re.compile(r"\bstage\s*:\s*[\"']([^\"']+)")


def load(path: Path, registry: Any) -> str:
    """How a net was loaded. Raises the NetdefError of the phase that came furthest."""
    written = upgrade_net(nets.read_net(str(path), registry, []))
    text = path.read_text(errors="replace")
    phases = (TEST, TRAIN) if TRAINS.search(text) else (TEST,)
    stages = [(), *((stage,) for stage in sorted(set(STAGE.findall(text))))]
    errors = []
    for stage, phase in itertools.product(stages, phases):
        try:
            return built(written, registry, path.parent, phase, stage)
        except NetdefError as e:
            errors.append(e)
    raise max(errors, key=line)


def line(error: NetdefError) -> int:
    found = re.search(r":(\d+):\d+: ", str(error))
    return int(found[1]) if found else 0


def built(net: Any, registry: Any, base: Path, phase: int, stage: tuple[str, ...]) -> str:
    """ "as it is", "declared shapes" or "given shapes": the least that it takes."""
    first: NetdefError | None = None
    try:
        said = declared(net, registry, base, phase, 0, stage)
        build(net, registry, base, phase, stage, said)
        return "shapes as declared" if said else "as it is"
    except NetdefError as e:
        first = e
    for shapes in guesses(net, registry, phase, stage):
        try:
            build(net, registry, base, phase, stage, shapes)
            return "shapes as given"
        except NetdefError:
            continue
    raise first


def build(net: Any, registry: Any, base: Path, phase: int, stage: tuple[str, ...], shapes: Any) -> None:
    fed = feed(net, shapes, registry.role("input"), phase, 0, stage) if shapes else net
    Net(fed, phase, 0, stage, registry=registry, base=base, fill=False)


def guesses(net: Any, registry: Any, phase: int, stage: tuple[str, ...]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Shapes for the tops of sources: the first of each is an image, others are labels of some kind."""
    inputs = registry.role("input")
    known = set(registry.names("layers"))
    sources = [x for x in net.layer if not x.bottom and x.type in known and included(x, phase, 0, set(stage))]
    sources = [x for x in sources if x.type != inputs and x.top]
    if not sources:
        return
    for size, label in itertools.product(SIZES, range(5)):
        labels = [(size[0],), (size[0], 1), (size[0], 1, *size[2:]), (size[0], 1, 1, 1), (size[0], 1000)]
        shapes = {}
        for source in sources:
            first, *others = source.top
            shapes[first] = labels[label] if first == "label" else size
            shapes |= dict.fromkeys(others, labels[label])
        yield shapes


def cause(error: NetdefError, path: Path) -> str:
    """What is wrong without the place and the numbers."""
    text = str(error).replace(str(path), "").split("; to check without")[0]
    text = re.sub(r"^[:\d]+\s*", "", text)
    text = re.sub(r"no file '([^']*)'.*", "no file", text)
    return re.sub(r"\b\d+\b", "N", re.sub(r"layer '[^']*'", "layer", text))[:150]


def measure(files: list[Path], registry: Any, prefer: dict[str, str]) -> dict[Path, str | NetdefError]:
    found: dict[Path, str | NetdefError] = {}
    for path in files:
        try:
            found[path] = load(path, registry)
        except NetdefError as e:
            found[path] = preferring(path, registry, prefer) or e
    return found


def preferring(path: Path, registry: Any, prefer: dict[str, str]) -> str:
    """Which choice loads a net that does not load without one; empty where none does."""
    for name, plugin in prefer.items():
        registry.settings.prefer = {name: plugin}
        try:
            load(path, registry)
            return f"with --prefer {name}={plugin}"
        except NetdefError:
            continue
        finally:
            registry.settings.prefer = {}
    return ""


def show(title: str, found: dict[Path, str | NetdefError]) -> None:
    ways = Counter(how for how in found.values() if isinstance(how, str))
    causes = Counter(cause(e, path) for path, e in found.items() if isinstance(e, NetdefError))
    told = ", ".join(f"{n} {how}" for how, n in ways.most_common())
    print(f"\n{title}: {sum(ways.values())} of {len(found)} load ({told})")
    for what, n in causes.most_common():
        print(f"{n:5}  {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of prototxt nets")
    parser.add_argument("--only", default="", help="only nets whose name holds this")
    parser.add_argument("--with-all-only", action="store_true", help="leave out the run with netdef alone")
    parser.add_argument(
        "--prefer", action="append", default=[], metavar="TYPE=PLUGIN", help="for nets that fail without"
    )
    parser.add_argument("--tsv", type=Path, help="write what became of each net")
    args = parser.parse_args()
    logging.disable()
    files = [path for path in sorted(args.folder.glob("*.prototxt")) if args.only in path.name]
    runs: dict[str, dict[Path, str | NetdefError]] = {}
    if not args.with_all_only:
        alone = Registry(Settings(allow=("netdef-nn",))).load()
        runs["netdef alone"] = measure(files, alone, {})
    prefer = dict(choice.split("=", 1) for choice in args.prefer)
    runs[f"with {', '.join(strangers.NAMES)}"] = measure(files, strangers.registry(*strangers.NAMES), prefer)
    for title, found in runs.items():
        show(title, found)
    if args.tsv:
        rows = ["\t".join(("net", *runs))]
        rows += [
            "\t".join((path.name, *(" ".join(str(found[path]).split()) for found in runs.values()))) for path in files
        ]
        args.tsv.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
