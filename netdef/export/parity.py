"""Does the model compute what the net computes? Checked by onnx.checker, run in ONNX Runtime, compared blob by blob."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from netdef.errors import ExportError
from netdef.export.arbiter import Arbiter
from netdef.export.chain import Chain
from netdef.export.comparison import FAR, Arrays, Comparison, Pieces
from netdef.export.feeds import random_feeds
from netdef.export.model import Exported
from netdef.export.piece import Piece, in_pieces
from netdef.export.runtime import session
from netdef.export.select import Top
from netdef.export.tops import tops, untouched
from netdef.graph.filter import place
from netdef.net import Net

TOLERANCE = 1e-4
HELD = 256 << 20
"""Bytes of values that are held at once only to be compared."""
Watch = Callable[[int, int, str], None]
Feed = Mapping[str, Any]


@dataclass
class Parity:
    """The largest difference seen, as a part of the largest value of the blob it was seen in."""

    difference: float = 0.0
    blob: str = ""
    runs: int = 0
    constant: tuple[str, ...] = ()
    """Outputs that were the same for all inputs, as they are with weights of zero: of these little is proven."""


def verify(
    net: Net,
    exported: Exported,
    file: Path | None = None,
    *,
    feeds: Iterable[Feed] | None = None,
    every: bool = False,
    tolerance: float = TOLERANCE,
    threads: int = 2,
    watch: Watch = lambda done, total, what: None,
) -> Parity:
    """Run net and model on the same inputs and compare the outputs, or `every` blob between as well.

    `file` is the model on disk, which one over 2 GB needs; `feeds` are inputs by name, by default `random_feeds`. The
    net's inputs and pass counts are left as they were. Raises ExportError that names the first layer whose top differs
    by more than `tolerance`. What rounding of the input alone would change as much does not count, nor what comes after
    numbers beyond 1e18; but every value must count for some input. Other differences are looked at in their
    layers: see `Arbiter`.

    To compare every blob, the model is run in pieces: beside the weights, no more is held than the values that layers
    still have to read and 256 MB of others, or a single blob that is larger. `watch(done, total, what)` is told before
    each layer.
    """
    inputs = list(random_feeds(net, exported) if feeds is None else feeds)
    runs = _Runs(net, exported, inputs, watch)
    with untouched(net, exported):
        seen = Comparison(net, exported, list(exported.outputs), tolerance)
        whole = _outputs(seen, file, threads, runs, 0 if every else len(inputs))
        if every or seen.wrong():
            seen = _every(Arbiter(net, exported, file, tolerance, threads), runs, whole)
    runs.tell(runs.total, "")
    if seen.wrong():
        raise ExportError(_complaint(net, exported, seen, seen.wrong()))
    blob = max(seen.names, key=lambda name: seen.largest[name])
    return Parity(seen.largest[blob], blob, len(inputs), seen.constant())


@dataclass
class _Runs:
    """The net on one of the inputs, as often as that is wanted; somebody watches."""

    net: Net
    exported: Exported
    inputs: Sequence[Feed]
    watch: Watch

    def __post_init__(self) -> None:
        chosen = self.exported.selection
        self.layers = len(chosen.layers) + len(chosen.splits)
        self.total = self.layers * len(self.inputs)

    def tell(self, done: int, what: str) -> None:
        self.watch(done, self.total, what)

    def run(self, k: int) -> Iterator[tuple[Top, str]]:
        what = f"input {k + 1} of {len(self.inputs)}"
        return tops(
            self.net,
            self.exported,
            self.inputs[k],
            lambda i, name: self.tell(k * self.layers + i, f"{what}, layer '{name}'"),
        )


def _outputs(seen: Comparison, file: Path | None, threads: int, runs: _Runs, inputs: int) -> Arrays:
    """Compare the outputs for so many inputs; what the model gives for the first."""
    runs.tell(0, "the model as it is")
    model = session(seen.exported.model, file, seen.names, threads)
    for k in range(inputs):
        seen.add(seen.differences(runs.run(k), model(runs.inputs[k]), {})[0])
    return model(runs.inputs[0]) if runs.inputs else {}


def _every(arbiter: Arbiter, runs: _Runs, whole: Arrays) -> Comparison:
    """Compare every value; of the first inputs also what the whole model gave, which is what its pieces must give."""
    chain = Chain(arbiter.exported, _pieces(arbiter), arbiter.threads)
    names = [name for given in chain.gives for name in given]
    seen = Comparison(arbiter.net, arbiter.exported, names, arbiter.tolerance)
    pieces = Pieces(seen, chain, arbiter)
    for k, feed in enumerate(runs.inputs):
        pieces.add(partial(runs.run, k), feed, {} if k else whole)
    return seen


def _pieces(arbiter: Arbiter) -> Iterator[Piece]:
    """All of the model, so that little is held at once; inputs that the model prepares have pieces of their own."""
    net, exported = arbiter.net, arbiter.exported
    made = {name for node in exported.model.graph.node for name in node.output}
    sizes = {
        name: net.tops[i][t].count * net.dtype.itemsize for (i, t), name in exported.values.items() if name in made
    }
    alone = {exported.values.get(top, "") for top in exported.selection.inputs}
    return in_pieces(arbiter.cutter, sizes, HELD, alone)


def _complaint(net: Net, exported: Exported, seen: Comparison, name: str) -> str:
    i, t = next(top for top, value in exported.values.items() if value == name)
    where = f"{place(net.layers[i].layer_param)}: top '{net.layers[i].layer_param.top[t]}'"
    if name not in seen.largest:
        return f"{where} could not be compared for any input: rounding decides it, or numbers beyond {FAR:g} do"
    return (
        f"{where} is the first where ONNX Runtime and the net differ: by {seen.largest[name]:.2g} of its scale, "
        f"want at most {seen.tolerance:g}"
    )
