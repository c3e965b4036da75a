"""Sizes that a model leaves open: the model is built at other sizes as well, and must come out the same."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from netdef.errors import ExportError, LayerError, NetdefError
from netdef.export.graph import Graph
from netdef.export.select import Selection, Top
from netdef.graph.filter import place
from netdef.layer import Layer
from netdef.net import Net

BATCH, IMAGE = "batch", "image"
STEPS = ((2, 64, 128), (1, 1, 3))  # batch, height, width: what pyramids of strides take, and what strides trip over
NAMES = {0: "batch", 2: "height", 3: "width"}
Sizes = dict[Top, tuple[int, ...]]
T = TypeVar("T")


@dataclass
class Trial:
    """What layers added to a graph at one size: where each layer's part of it ends."""

    graph: Graph
    ends: list[tuple[int, int, int]] = field(default_factory=list)
    """(layer, operations so far, initializers so far)."""


def other_sizes(net: Net, chosen: Selection, dynamic: Collection[str]) -> list[Sizes]:
    """Shapes of the inputs at other sizes of what shall stay open; the net takes each of them.

    Raises ExportError that names the layer which has only one size.
    """
    unknown = set(dynamic) - {BATCH, IMAGE}
    if unknown:
        raise ExportError(f"cannot leave '{min(unknown)}' open; want {BATCH}, {IMAGE} or both")
    taken, refusal = [], None
    for step in STEPS if dynamic else ():
        sizes = _grown(net, chosen.inputs, step, dynamic)
        try:
            with at(net, chosen, sizes):
                taken.append(sizes)
        except NetdefError as e:
            refusal = refusal or e
    if dynamic and not taken:
        what = " and ".join(sorted(dynamic))
        raise ExportError(
            f"the {what} size cannot stay open: {refusal}; change that layer, or export one size"
        ) from refusal
    return taken


@contextmanager
def at(net: Net, chosen: Selection, sizes: Sizes) -> Iterator[None]:
    """The net at other sizes of its inputs for a while, shapes only."""
    before = {top: net.tops[top[0]][top[1]].shape for top in sizes}
    try:
        _reshape(net, chosen, sizes)
        yield
    finally:
        _reshape(net, chosen, before)


def each(net: Net, chosen: Selection, many: Iterable[Sizes], what: Callable[[], T]) -> list[T]:
    """What a function gives with the net at each of these sizes."""
    found = []
    for sizes in many:
        with at(net, chosen, sizes):
            found.append(what())
    return found


def _reshape(net: Net, chosen: Selection, sizes: Sizes) -> None:
    for (i, t), shape in sizes.items():
        net.tops[i][t].reshape(*shape)
    net.reshape(sorted([*chosen.layers, *chosen.splits]))


def _grown(net: Net, inputs: Iterable[Top], step: tuple[int, int, int], dynamic: Collection[str]) -> Sizes:
    """Every input with the batch of the first has another batch; every one with four axes another height and width."""
    shapes = {top: net.tops[top[0]][top[1]].shape for top in inputs}
    batch = next((shape[0] for shape in shapes.values() if shape), 0)
    found = {}
    for top, shape in shapes.items():
        grown = list(shape)
        if BATCH in dynamic and shape and shape[0] == batch:
            grown[0] += step[0]
        if IMAGE in dynamic and len(shape) == 4:
            grown[2:] = [shape[2] + step[1], shape[3] + step[2]]
        found[top] = tuple(grown)
    return found


def shapes(net: Net, chosen: Selection) -> Sizes:
    """The shape of every top of the exported part."""
    tops = [*chosen.inputs, *((i, t) for i in chosen.layers for t in range(len(net.tops[i])))]
    return {(i, t): net.tops[i][t].shape for i, t in tops}


def open_axes(found: list[Sizes]) -> dict[Top, tuple[int, ...]]:
    """By top, the axes that differ among the sizes that were tried."""
    return {
        top: tuple(axis for axis, sizes in enumerate(zip(*(s[top] for s in found), strict=True)) if len(set(sizes)) > 1)
        for top in found[0]
    }


def size_name(top: Top, axis: int, inputs: Collection[Top], found: list[Sizes]) -> str:
    """ "batch", "height" or "width" of an input; of another top "batch" where it always is that; else nothing."""
    if top in inputs:
        return NAMES.get(axis, "")
    first = next(iter(inputs))
    always = axis == 0 and all(s[top][:1] == s[first][:1] for s in found)
    return BATCH if always else ""


def note_varying(layer: Layer, graph: Graph, inputs: list[str], outputs: list[str]) -> None:
    """Where the data decides how much is in a bottom, note the axes of the layer's tops that grow with it."""
    if graph.varying.keys().isdisjoint(inputs):
        return
    own = [graph.shape(v) for v in inputs]
    more = [
        tuple(n + (axis in graph.varying.get(v, ())) for axis, n in enumerate(shape))
        for v, shape in zip(inputs, own, strict=True)
    ]
    try:
        tops = zip(outputs, layer.infer(*own), layer.infer(*more), strict=False)
    except LayerError:  # it takes one size alone
        return
    for value, x, y in tops:
        if x != y:
            graph.varies(value, *(axis for axis, (a, b) in enumerate(zip(x, y, strict=True)) if a != b))


def check_same(net: Net, trials: list[Trial]) -> None:
    """Raises ExportError that names the first layer whose operations hold a size that shall stay open."""
    first = trials[0]
    for other in trials[1:]:
        for mine, its, begin in zip(first.ends, other.ends, [(0, 0, 0), *first.ends], strict=False):
            if mine != its or not _same(first.graph, other.graph, begin, mine):
                layer = net.layers[mine[0]]
                raise ExportError(
                    f"{place(layer.layer_param)}: its ONNX form holds a size that shall stay open; "
                    "export it at one size, without --dynamic"
                )


def _same(a: Graph, b: Graph, begin: tuple[int, int, int], end: tuple[int, int, int]) -> bool:
    nodes, consts = slice(begin[1], end[1]), slice(begin[2], end[2])
    if [n.SerializeToString() for n in a.nodes[nodes]] != [n.SerializeToString() for n in b.nodes[nodes]]:
        return False
    pairs = zip(list(a.initializers.items())[consts], list(b.initializers.items())[consts], strict=True)
    return all(name == other and _equal(x, y) for (name, x), (other, y) in pairs)


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    return x.ctypes.data == y.ctypes.data or np.array_equal(x, y)
