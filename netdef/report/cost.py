"""What a net costs: parameters, multiply-adds and memory, from shapes alone."""

from dataclasses import dataclass, field

from netdef.blob import Blob
from netdef.graph.choose import provider
from netdef.memory import plan
from netdef.net import Net


@dataclass
class LayerCost:
    """A layer as built. `memory` is its tops' data in bytes, as far as it is not another layer's memory."""

    name: str
    type: str
    plugin: str
    bottoms: list[str]
    tops: list[str]
    shapes: list[tuple[int, ...]]
    parameters: int
    parameter_shapes: list[tuple[int, ...]]
    multiply_adds: int
    memory: int


@dataclass
class Cost:
    """A net's layers, without the splits that were put in, and its totals; sizes in bytes."""

    net: str
    inputs: list[str]
    outputs: list[str]
    layers: list[LayerCost] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0
    data: int = 0
    """What the tops of all layers hold."""
    one_by_one: int = 0
    """Tops and their gradients, each in memory of its own."""
    planned: int = 0
    """The same where what is never alive together shares memory, as in training."""
    weights: int = 0
    """Parameters, and their gradients where they are learnt."""

    @property
    def memory(self) -> int:
        return self.planned + self.weights


def cost(net: Net) -> Cost:
    """Of a built net; parameters need not be filled."""
    found = Cost(net.name, net.inputs, [_source(net).get(name, name) for name in net.outputs])
    shown = _source(net)
    seen: set[int] = set()
    for i, layer in enumerate(net.layers):
        memory = _new_memory(net.tops[i], seen)
        found.data += memory
        if layer.role != "split":
            found.layers.append(_layer(net, i, shown, memory))
    blobs = plan(net)
    found.one_by_one, found.planned = blobs.unplanned, blobs.arena + blobs.kept
    for p in net.parameters:
        size = p.blob.count * net.dtype.itemsize
        found.parameters += p.blob.count
        found.weights += size * (2 if net.phase == 0 and p.lr_mult else 1)
    found.multiply_adds = sum(layer.multiply_adds for layer in found.layers)
    return found


def _layer(net: Net, i: int, shown: dict[str, str], memory: int) -> LayerCost:
    layer, param = net.layers[i], net.layers[i].layer_param
    shapes = [top.shape for top in net.tops[i]]
    return LayerCost(
        layer.name,
        param.type,
        provider(param, net.registry).plugin.name,
        [shown.get(name, name) for name in param.bottom],
        list(param.top),
        shapes,
        sum(blob.count for blob in layer.blobs),
        [blob.shape for blob in layer.blobs],
        net.macs(i),
        memory,
    )


def _source(net: Net) -> dict[str, str]:
    """The blob behind each copy that a split hands out."""
    splits = [layer.layer_param for layer in net.layers if layer.role == "split"]
    return {top: param.bottom[0] for param in splits for top in param.top}


def _new_memory(blobs: list[Blob], seen: set[int]) -> int:
    """Bytes of the blobs' data in memory that is not in `seen`; adds it there."""
    size = 0
    for blob in blobs:
        storage = id(blob.storages[0])
        size += 0 if storage in seen else blob.count * blob.dtype.itemsize
        seen.add(storage)
    return size
