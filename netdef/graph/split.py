"""Give each reader of a blob its own copy to write a gradient to, by layers that sum them: Caffe's splits."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from netdef.errors import GraphError
from netdef.graph.filter import place
from netdef.names import nearest

Top = tuple[int, int]  # (layer, index of its top)


def insert_splits(net: Any, split_type: Callable[[], str]) -> Any:
    """A copy of the net in which every top has at most one reader; names are Caffe's, as scripts know them."""
    readers, source = _readers(net)
    out = type(net)()
    out.CopyFrom(net)
    del out.layer[:]
    taken: dict[Top, int] = defaultdict(int)
    for i, layer in enumerate(net.layer):
        new = out.layer.add()
        new.CopyFrom(layer)
        for j in range(len(layer.bottom)):
            top = source[i, j]
            if readers[top] > 1:
                new.bottom[j] = f"{_split_name(net, top)}_{taken[top]}"
                taken[top] += 1
        for t in range(len(layer.top)):
            if readers[i, t] > 1:
                _add_split(out, net, (i, t), readers[i, t], split_type, new)
                taken[i, t] += _weight(layer, t) != 0
    return out


def _readers(net: Any) -> tuple[dict[Top, int], dict[tuple[int, int], Top]]:
    """How often each top is read (a loss counts as a reader), and which top each bottom reads."""
    latest: dict[str, Top] = {}
    readers: dict[Top, int] = defaultdict(int)
    source: dict[tuple[int, int], Top] = {}
    for i, layer in enumerate(net.layer):
        for j, name in enumerate(layer.bottom):
            if name not in latest:
                raise GraphError(f"{place(layer)}: nothing before it produces bottom '{name}'{nearest(name, latest)}")
            source[i, j] = latest[name]
            readers[latest[name]] += 1
        for t, name in enumerate(layer.top):
            latest[name] = (i, t)
            readers[i, t] += _weight(layer, t) != 0
    return readers, source


def _weight(layer: Any, t: int) -> float:
    return layer.loss_weight[t] if t < min(len(layer.loss_weight), len(layer.top)) else 0.0


def _split_name(net: Any, top: Top) -> str:
    layer = net.layer[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"


def _add_split(out: Any, net: Any, top: Top, count: int, split_type: Callable[[], str], new: Any) -> None:
    name = net.layer[top[0]].top[top[1]]
    split = out.layer.add(name=_split_name(net, top), type=split_type(), bottom=[name])
    split.netdef_origin = new.netdef_origin
    split.top.extend(f"{split.name}_{k}" for k in range(count))
    weight = _weight(net.layer[top[0]], top[1])
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (count - 1))
        new.loss_weight[top[1]] = 0.0
