"""Changes to a net together with its weights: what is affine folded away, fully connected layers as convolutions."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netdef import prototxt
from netdef.distance import relative
from netdef.errors import LayerError, NetdefError
from netdef.export.select import Top, Wires, wires
from netdef.files import replacing
from netdef.graph.filter import place
from netdef.graph.fuse import compose
from netdef.layer import TEST, Changed
from netdef.net import Net
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer, write_stored


@dataclass
class Operated:
    """A net after an operation: its text as a message, its weights by layer, and which layers were changed how."""

    param: Any
    weights: list[StoredLayer]
    changes: list[str] = field(default_factory=list)

    def net(self, like: Net) -> Net:
        """It, built as another net was, with its weights in place."""
        made = Net(self.param, TEST, registry=like.registry, fill=False)
        self.give(made)
        return made

    def give(self, net: Net) -> None:
        """Put the weights into a net that was built of `param`."""
        written = {layer.name for layer in self.param.layer}
        kept = [layer for layer in net.layers if layer.name in written]
        for layer, stored in zip(kept, self.weights, strict=True):
            for blob, x in zip(layer.blobs, stored.blobs, strict=True):
                blob.data[...] = x.data.reshape(blob.shape) if x is not None else 0

    def save(self, prefix: Path | str) -> tuple[Path, Path]:
        """Write PREFIX.prototxt and PREFIX.caffemodel; their paths."""
        text, model = Path(f"{prefix}.prototxt"), Path(f"{prefix}.caffemodel")
        with replacing(model) as f:
            write_stored(f, self.param.name, [layer for layer in self.weights if layer.blobs])
        with replacing(text, "w") as f:
            f.write(prototxt.write(self.param))
        return text, model


def fold(net: Net) -> Operated:
    """Every chain of layers that multiply and add per channel goes into the layer before it, where that can take it.

    Layers say themselves what they are: `Layer.as_affine` and `Layer.absorbed`. A layer whose top others read too, or
    whose parameters are shared, stays as it is. The net must be built for TEST; what it computes does not change but
    by rounding.
    """
    w, layers = _wires(net), _Layers(net)
    for i in layers.kept():
        chain = _chain(net, w, layers, i)
        affine = compose(found for _, found in chain)
        changed = net.layers[i].absorbed(*affine) if affine is not None else None
        if changed is not None:
            changed[0].top[0] = net.layers[chain[-1][0]].layer_param.top[0]
            layers.changed[i] = changed
            layers.gone.update(j for j, _ in chain)
            names = ", ".join(f"'{net.layers[j].name}'" for j, _ in chain)
            kind = changed[0].type
            now = f", a {kind} now" if kind != net.layers[i].layer_param.type else ""
            layers.changes.append(f"{names} went into '{net.layers[i].name}'{now}")
    return layers.operated()


def convolve(net: Net) -> Operated:
    """Fully connected layers as convolutions that give the same, so that the net takes larger images too.

    Layers say themselves what they become: `Layer.as_convolution`. Raises LayerError, with its place, for a layer that
    does not take the shapes it would then get.
    """
    w, layers = _wires(net), _Layers(net)
    shapes: dict[Top, tuple[int, ...]] = {}
    for i, layer in enumerate(net.layers):
        bottoms = [shapes[top] for top in w.bottoms[i]]
        changed = layer.as_convolution(bottoms[0]) if len(bottoms) == 1 and not layers.shared(i) else None
        if changed is not None:
            layers.changed[i] = changed
            layers.changes.append(f"'{layer.name}' is a {changed[0].type} of {changed[1][0].shape}")
            shapes[i, 0] = (bottoms[0][0], len(changed[1][0]), 1, 1)
            continue
        for t, shape in enumerate(_tops(net, i, bottoms)):
            shapes[i, t] = shape
    return layers.operated()


def difference(net: Net, operated: Operated, seed: int = 1) -> float:
    """The largest difference of the outputs of both on the same random inputs, as a part of the largest output."""
    other, rng = operated.net(net), np.random.default_rng(seed)
    for name in net.inputs:
        net.blobs[name].data[...] = rng.standard_normal(net.blobs[name].shape)
        other.blobs[name].data[...] = net.blobs[name].data
    net.forward()
    other.forward()
    pairs = ((other.blobs[name].data.reshape(-1), net.blobs[name].data.reshape(-1)) for name in net.outputs)
    return max((relative(got, want, 1e-30) for got, want in pairs), default=0.0)


class _Layers:
    """The layers of a net, some of them changed or gone."""

    def __init__(self, net: Net):
        self.net = net
        self.changed: dict[int, Changed] = {}
        self.gone: set[int] = set()
        self.changes: list[str] = []
        self._looks = Counter(id(blob.storages[0]) for layer in net.layers for blob in layer.blobs)

    def kept(self) -> list[int]:
        return [i for i, layer in enumerate(self.net.layers) if layer.role != "split"]

    def shared(self, i: int) -> bool:
        return any(self._looks[id(blob.storages[0])] > 1 for blob in self.net.layers[i].blobs)

    def operated(self) -> Operated:
        """The net of what is there now; splits are left out, bottoms are what was split."""
        param = type(self.net.param)()
        param.CopyFrom(self.net.param)
        param.ClearField("layer")
        param.ClearField("state")
        behind: dict[str, str] = {}
        weights = []
        for i, layer in enumerate(self.net.layers):
            if layer.role == "split":
                behind.update((top, layer.layer_param.bottom[0]) for top in layer.layer_param.top)
                continue
            if i in self.gone:
                continue
            new, arrays = self.changed.get(i) or (layer.layer_param, [blob.data for blob in layer.blobs])
            made = param.layer.add()
            made.CopyFrom(new)
            made.bottom[:] = [behind.get(name, name) for name in made.bottom]
            for field_name in ("include", "exclude", "netdef_origin", "phase"):
                made.ClearField(field_name)
            blobs = [Stored(x.shape, np.ascontiguousarray(x, np.float32)) for x in map(np.asarray, arrays)]
            weights.append(StoredLayer(made.name, made.type, blobs))
        return Operated(param, weights, self.changes)


def _wires(net: Net) -> Wires:
    if net.phase != TEST:
        raise LayerError(f"net '{net.name}' was built for TRAIN; build it for TEST, where statistics are fixed")
    return wires(net)


def _chain(net: Net, w: Wires, layers: _Layers, i: int) -> list[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """The affine layers that follow a layer, each the only reader of the one before, and what they multiply and add."""
    layer = net.layers[i]
    if i in layers.gone or not layer.blobs or layers.shared(i) or len(layer.layer_param.top) != 1:
        return []
    if len(layer.layer_param.bottom) != 1:
        return []
    chain: list[tuple[int, tuple[np.ndarray, np.ndarray]]] = []
    top: Top = (i, 0)
    while len(w.readers[top]) == 1:
        j = w.readers[top][0]
        affine = None if layers.shared(j) else net.layers[j].as_affine()
        if affine is None or len(net.layers[j].layer_param.top) != 1:
            break
        chain.append((j, affine))
        top = (j, 0)
    return chain


def _tops(net: Net, i: int, bottoms: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    layer = net.layers[i]
    own = [b.shape for b in net.bottoms[i]]
    if bottoms == own:
        return [top.shape for top in net.tops[i]]
    try:
        return [tuple(shape) for shape in layer.infer(*bottoms)]
    except NetdefError as e:
        raise e.at(place(layer.layer_param)) from None
