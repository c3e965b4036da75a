"""The exported layers of a net, run one by one as the model's operations are."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from netdef.export.model import Exported
from netdef.export.select import Top
from netdef.net import Net


def tops(
    net: Net, exported: Exported, feed: Mapping[str, Any], watch: Callable[[int, str], None] = lambda k, name: None
) -> Iterator[tuple[Top, str]]:
    """Run the exported layers of the net; each top and its value's name while the top still holds what was computed.

    As in a first pass: a model keeps no state from run to run, as some layers do from pass to pass. `watch(k, name)` is
    told before each layer.
    """
    for name, (i, t) in exported.inputs.items():
        prepare = exported.prepared.get(name)
        x = prepare.apply(feed[name]) if prepare else np.asarray(feed[name])
        net.tops[i][t].reshape(*x.shape)
        net.tops[i][t].data[...] = x
        if (i, t) in exported.values:
            yield (i, t), exported.values[i, t]
    chosen = exported.selection
    order = sorted([*chosen.layers, *chosen.splits])
    net.reshape(order)
    net.forward(0, -1)  # blobs get their memory before the first of them is computed: later they would lose it
    for k, i in enumerate(order):
        watch(k, net.layers[i].name)
        net.layers[i].passes = 0
        net.forward_layer(i)
        for t in range(len(net.tops[i])):
            if (i, t) in exported.values:
                yield (i, t), exported.values[i, t]


@contextmanager
def untouched(net: Net, exported: Exported) -> Iterator[None]:
    """Put the inputs' data and the layers' pass counts back."""
    data = {top: net.tops[top[0]][top[1]].data.copy() for top in exported.selection.inputs}
    passes = [layer.passes for layer in net.layers]
    try:
        yield
    finally:
        for (i, t), x in data.items():
            net.tops[i][t].reshape(*x.shape)
            net.tops[i][t].data[...] = x
        for layer, n in zip(net.layers, passes, strict=True):
            layer.passes = n
