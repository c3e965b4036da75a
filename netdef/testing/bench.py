"""A case's net on the bench: fed the same numbers at will, its outputs pulled by the same diffs."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from netdef import prototxt
from netdef import registry as registries
from netdef.blob import Blob
from netdef.graph.filter import place
from netdef.layer import Source
from netdef.net import Net
from netdef.testing.cases import Case, Range

Arrays = dict[str, np.ndarray]


class Bench:
    """A net with force_backward, made from a case; all benches of a case hold the same parameters, whatever the dtype.

    Parameters a filler leaves constant are shaken, as a gradient through zero weights would prove nothing; statistics
    without a filler are set between 0.5 and 1.5, which a mean, a variance and a count can all be.
    """

    def __init__(
        self,
        case: Case,
        registry: registries.Registry,
        dtype: Any = np.float64,
        *,
        change: Callable[[Any], None] | None = None,
        **settings: Any,
    ):
        """`change` alters the NetParameter before the net is built; `settings` go to Net."""
        param = prototxt.parse(case.text, registry.schema.message("NetParameter"), case.file)
        param.force_backward = True
        if change:
            change(param)
        settings = {"phase": case.phase, "seed": 1, "base": case.base, "allow_code": True} | settings
        self.case = case
        self.net = Net(param, dtype=dtype, registry=registry, **settings)
        for layer, tops in zip(self.net.layers, self.net.tops, strict=True):
            _settle(layer)
            if hasattr(layer, "set_input_arrays"):  # a source whose data only Python can give
                arrays = (random(layer.name, t).standard_normal(top.shape) for t, top in enumerate(tops))
                layer.set_input_arrays(*arrays)
        self.inputs = _inputs(self.net)
        self.outputs = _outputs(self.net)
        self._statistics = [
            (blob, blob.data.copy())
            for layer in self.net.layers
            for blob, learns in zip(layer.blobs, layer.learns, strict=True)
            if not learns
        ]

    def draw(self, point: int = 0) -> Arrays:
        """Inputs in the case's ranges, others for every point."""
        return {
            name: self.case.ranges.get(name, Range()).draw(blob.shape, random(name, point))
            for name, blob in self.inputs.items()
        }

    def pulls(self) -> list[np.ndarray]:
        """A diff for every output; zero where a loss gives back something beside its loss."""
        return [
            random("pull", k).standard_normal(self.net.tops[i][t].shape) * _is_pulled(self.net, i, t)
            for k, (i, t) in enumerate(self.outputs)
        ]

    def forward(self, inputs: Arrays, before: Callable[[int], None] | None = None) -> list[np.ndarray]:
        """The outputs of the first pass, however often it is run; `before` is called with each layer's position."""
        for blob, data in self._statistics:
            blob.data[...] = data
        for name, x in inputs.items():
            self.inputs[name].data[...] = x
        for i, layer in enumerate(self.net.layers):
            layer.passes = 0
            if before:
                before(i)
            self.net.forward(i, i)
        return [self.net.tops[i][t].data.copy() for i, t in self.outputs]

    def pull(self) -> None:
        """Set the outputs' diffs and clear the parameters'."""
        for (i, t), w in zip(self.outputs, self.pulls(), strict=True):
            self.net.tops[i][t].diff[...] = w
        self.net.clear_param_diffs()

    def backward(self) -> tuple[Arrays, Arrays]:
        """The gradients of the pulled outputs with respect to inputs and to parameters, by name."""
        self.pull()
        self.net.backward()
        dx = {name: self.inputs[name].diff.copy() for name in self.differentiable()}
        return dx, {name: blob.diff.copy() for name, blob in self.parameters().items()}

    def objective(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs (weight, value) whose products add up to what `backward` differentiates."""
        pairs = [(w, self.net.tops[i][t].data.copy()) for (i, t), w in zip(self.outputs, self.pulls(), strict=True)]
        for i, weights in enumerate(self.net.loss_weights):
            for t, weight in enumerate(weights):
                if weight and (i, t) not in self.outputs:
                    pairs.append((np.asarray(weight), self.net.tops[i][t].data.copy()))
        return pairs

    def parameters(self) -> dict[str, Blob]:
        """What layers learn, by `layer/index`."""
        layers = {layer.name: layer for layer in self.net.layers}
        return {f"{p.layer}/{p.index}": p.blob for p in self.net.parameters if layers[p.layer].learns[p.index]}

    def differentiable(self) -> list[str]:
        """Inputs with a smooth range that a gradient reaches."""
        return [
            name
            for name, blob in self.inputs.items()
            if self.case.ranges.get(name, Range()).smooth and self._reached(blob)
        ]

    def reader(self, name: str) -> str:
        """The first layer that reads an input, as messages name it; splits apart."""
        for i, bottom in enumerate(self.net.bottoms):
            if self.net.layers[i].role != "split" and any(b.shares_data(self.inputs[name]) for b in bottom):
                return self.place(i)
        return ""

    def _reached(self, blob: Blob) -> bool:
        """Whether every reader of its memory writes a gradient."""
        reads = [
            self.net.propagate_down[i][j]
            for i, bottom in enumerate(self.net.bottoms)
            for j, b in enumerate(bottom)
            if b.shares_data(blob)
        ]
        return bool(reads) and all(reads)

    def place(self, i: int) -> str:
        return place(self.net.layers[i].layer_param)


def _settle(layer: Any) -> None:
    rng = layer.rng()
    for i, (blob, filler) in enumerate(zip(layer.blobs, layer.fillers, strict=True)):
        x = np.zeros(blob.shape, np.float32)
        if filler is not None:
            layer.context.filler(x, filler, rng)
        elif not layer.learns[i]:
            x[...] = random(layer.name, i).uniform(0.5, 1.5, x.shape)
        if layer.learns[i] and np.ptp(x) == 0:
            x += np.asarray(random(layer.name, i).normal(0, 0.5, x.shape), np.float32)
        blob.data[...] = x


def _inputs(net: Net) -> dict[str, Blob]:
    return {
        name: blob
        for layer, tops in zip(net.layers, net.tops, strict=True)
        if layer.role == "input"
        for name, blob in zip(layer.layer_param.top, tops, strict=True)
    }


def _outputs(net: Net) -> list[tuple[int, int]]:
    """Tops that nothing reads, but for those of sources."""
    latest: dict[str, tuple[int, int]] = {}
    unread: dict[tuple[int, int], None] = {}
    for i, layer in enumerate(net.layers):
        for name in layer.layer_param.bottom:
            unread.pop(latest[name], None)
        for t, name in enumerate(layer.layer_param.top):
            latest[name] = (i, t)
            unread[i, t] = None
    return [(i, t) for i, t in unread if not isinstance(net.layers[i], Source)]


def _is_pulled(net: Net, i: int, t: int) -> bool:
    return not net.layers[i].is_loss or bool(net.loss_weights[i][t])


def random(name: str, number: int) -> np.random.Generator:
    """Random numbers of their own for each name and number."""
    return np.random.default_rng([zlib.crc32(name.encode()), number])
