"""Which layers and bottoms need a gradient: those between a learnable parameter and a loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from netdef.blob import Blob
from netdef.layer import Layer


@dataclass
class Node:
    """What the analysis knows of a layer; blobs are numbers, equal where they are one blob (in place)."""

    bottoms: list[int]
    tops: list[int]
    learns: bool = False
    """Whether any parameter has lr_mult other than 0."""
    has_loss: bool = False
    propagate_down: Sequence[bool] = ()
    """The user's own word per bottom; empty where none was given."""
    no_gradient: frozenset[int] = frozenset()
    runs_backward: bool = False
    down: list[bool] = field(default_factory=list)


def nodes(
    layers: Sequence[Layer],
    bottoms: Sequence[list[Blob]],
    tops: Sequence[list[Blob]],
    learns: Sequence[bool],
    weighs: Sequence[bool],
) -> list[Node]:
    """The layers of a built net; `learns` and `weighs` say which of them learn and have a loss."""
    ids: dict[int, int] = {}
    return [
        Node(
            [ids.setdefault(id(b), len(ids)) for b in bottoms[i]],
            [ids.setdefault(id(t), len(ids)) for t in tops[i]],
            learns[i],
            weighs[i],
            list(layer.layer_param.propagate_down),
            without_gradient(layer, len(bottoms[i])),
        )
        for i, layer in enumerate(layers)
    ]


def without_gradient(layer: Layer, bottoms: int) -> frozenset[int]:
    """Which of so many bottoms can have no gradient."""
    return frozenset(j for j in range(bottoms) if layer.no_gradient == "all" or j in layer.no_gradient)


def mark(nodes: list[Node], force: bool) -> None:
    """Fill runs_backward and down of every node, as BVLC Caffe decides them."""
    needing: set[int] = set()
    for node in nodes:
        node.down = [b in needing for b in node.bottoms]
        node.runs_backward = node.learns or any(node.down)
        if len(node.propagate_down):
            node.down = list(node.propagate_down)
        if node.runs_backward:
            needing.update(node.tops)
    _cut_what_no_loss_needs(nodes)
    if force:
        _force(nodes)


def _cut_what_no_loss_needs(nodes: list[Node]) -> None:
    under_loss: set[int] = set()
    skipped: set[int] = set()
    for node in reversed(nodes):
        counts = node.has_loss or any(t in under_loss for t in node.tops)
        if not node.has_loss and all(t in skipped for t in node.tops):
            node.runs_backward, node.down = False, [False] * len(node.down)
        if counts:
            under_loss.update(node.bottoms)
        else:
            node.runs_backward, node.down = False, [False] * len(node.down)
        skipped.update(b for b, need in zip(node.bottoms, node.down, strict=True) if not need)


def _force(nodes: list[Node]) -> None:
    for node in nodes:
        node.runs_backward = True
        node.down = [need or j not in node.no_gradient for j, need in enumerate(node.down)]
