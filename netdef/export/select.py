"""Which layers of a net go into a model: those between inputs and outputs, without sources, losses and metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from netdef.errors import ExportError
from netdef.export.strip import judges
from netdef.layer import Source
from netdef.names import nearest
from netdef.net import Net

Top = tuple[int, int]
"""(layer, index of its top): one version of a blob, which a name alone is not where layers work in place."""


@dataclass
class Wires:
    """Who makes what each layer reads, splits left out: reading a split's top is reading what was split."""

    bottoms: list[list[Top]] = field(default_factory=list)
    readers: dict[Top, list[int]] = field(default_factory=dict)
    last: dict[str, Top] = field(default_factory=dict)


@dataclass
class Selection:
    """What to export: tops that are fed, layers that become operations, tops that are given back."""

    inputs: list[Top]
    layers: list[int]
    outputs: list[Top]
    splits: list[int]
    """Splits among the layers: nothing in the model, but the net needs them to run."""
    bottoms: list[list[Top]]
    """What each layer of the net reads, by position in the net."""


def wires(net: Net) -> Wires:
    """The wiring of a built net."""
    w = Wires()
    behind: dict[Top, Top] = {}
    for i, layer in enumerate(net.layers):
        w.bottoms.append([w.last[name] for name in layer.layer_param.bottom])
        for t, name in enumerate(layer.layer_param.top):
            behind[i, t] = w.bottoms[i][0] if layer.role == "split" else (i, t)
            w.last[name] = behind[i, t]
            w.readers.setdefault(behind[i, t], [])
        if layer.role != "split":
            for top in w.bottoms[i]:
                w.readers[top].append(i)
    return w


def select(net: Net, outputs: Sequence[str] | None = None) -> Selection:
    """The layers that lead from inputs to outputs.

    Inputs are the tops of Input layers and of data sources that are still read. Outputs are the blobs named, else what
    no remaining layer reads, else what layers without tops read, such as Silence; where losses, metrics or data sources
    were left out, only what depends on a learned parameter counts, for the rest are labels. Raises ExportError where
    nothing remains.
    """
    w = wires(net)
    gone = _stripped(net, w)
    ends = _named(net, w, gone, outputs) if outputs else _ends(net, w, gone)
    if not ends:
        raise ExportError(f"net '{net.name}': nothing is left to export without its sources, losses and metrics")
    needed: set[int] = set()
    todo = [i for i, _ in ends]
    while todo:
        i = todo.pop()
        if i not in needed:
            needed.add(i)
            todo += [] if _feeds(net, i) else [maker for maker, _ in w.bottoms[i]]
    read = {top for i in needed if not _feeds(net, i) for top in w.bottoms[i]} | set(ends)
    inputs = [top for top in w.readers if _feeds(net, top[0]) and top in read]
    splits = [i for i, layer in enumerate(net.layers) if layer.role == "split" and w.bottoms[i][0][0] in needed]
    return Selection(inputs, [i for i in sorted(needed) if not _feeds(net, i)], ends, splits, w.bottoms)


def _feeds(net: Net, i: int) -> bool:
    return net.layers[i].role == "input" or isinstance(net.layers[i], Source)


def _stripped(net: Net, w: Wires) -> set[int]:
    """Losses, metrics, and whatever reads a top of theirs."""
    gone: set[int] = set()
    for i, layer in enumerate(net.layers):
        if judges(layer.layer_param, type(layer)) or any(maker in gone for maker, _ in w.bottoms[i]):
            gone.add(i)
    return gone


def _ends(net: Net, w: Wires, gone: set[int]) -> list[Top]:
    made = [top for top in w.readers if top[0] not in gone and not _feeds(net, top[0])]
    silent = {i for i, tops in enumerate(net.tops) if not tops}
    unread = [top for top in made if gone.issuperset(w.readers[top])]
    unread = unread or [top for top in made if (gone | silent).issuperset(w.readers[top])]
    whole = not gone and not any(isinstance(layer, Source) for layer in net.layers)
    learned = _learned(net, w)
    return unread if whole else [top for top in unread if top[0] in learned] or unread


def _learned(net: Net, w: Wires) -> set[int]:
    """Layers whose tops depend on a parameter."""
    found: set[int] = set()
    for i, layer in enumerate(net.layers):
        if layer.blobs or any(maker in found for maker, _ in w.bottoms[i]):
            found.add(i)
    return found


def _named(net: Net, w: Wires, gone: set[int], names: Sequence[str]) -> list[Top]:
    for name in names:
        if name not in w.last:
            raise ExportError(f"net '{net.name}' has no blob '{name}' to export{nearest(name, w.last)}")
        layer = net.layers[w.last[name][0]]
        if w.last[name][0] in gone:
            raise ExportError(f"blob '{name}' comes from {layer.type} layer '{layer.name}', a loss or a metric")
    return [w.last[name] for name in dict.fromkeys(names)]
