"""A built net: layers in order, blobs between them, forward, backward and update."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netdef import registry as registries
from netdef.blame import PASSED, named
from netdef.blob import Blob
from netdef.errors import LayerError
from netdef.files import finder
from netdef.graph import fuse
from netdef.graph.arity import loss_weights
from netdef.graph.choose import placed, provider
from netdef.graph.filter import place
from netdef.graph.fuse import Fusion
from netdef.graph.need import mark, nodes, without_gradient
from netdef.graph.prepare import prepare
from netdef.inplace import InPlace
from netdef.layer import TEST, TRAIN, Context, Layer
from netdef.limits import as_shapes, check_shape
from netdef.memory import bind
from netdef.names import nearest
from netdef.parameters import Parameter, Parameters, share


class Net:
    """Built from a NetParameter of the registry's schema; see `read` for one in a file.

    blobs maps names to blobs (of a blob made anew in place, the last), params maps layer names to their parameters.
    """

    def __init__(
        self,
        param: Any,
        phase: int = TRAIN,
        level: int | None = None,
        stages: Iterable[str] = (),
        *,
        dtype: Any = np.float32,
        seed: int | None = None,
        registry: registries.Registry | None = None,
        base: Path | None = None,
        allow_code: bool | None = None,
        fill: bool = True,
        plan: bool = False,
    ):
        """`base` is the folder searched after the working directory; `fill=False` leaves parameters unallocated.

        With `plan`, blobs that are never alive together share memory and hold their values only within a pass, and
        more layers do others along, which shows in rounding alone; of phase TEST, such a net runs forward only.
        """
        self.registry = registry or registries.default()
        self.param = prepare(param, self.registry, phase, level, tuple(stages))
        self.name, self.phase, self.dtype = self.param.name, phase, np.dtype(dtype)
        self.seed = int.from_bytes(os.urandom(6), "little") if seed is None else seed
        self.context = Context(phase, self.dtype, self.seed, self._fill, finder(base), self.registry.get)
        self.context.declared = self.registry.schema.declared
        self.context.allow_code = os.environ.get("NETDEF_ALLOW_CODE", "") == "1" if allow_code is None else allow_code
        self.layers: list[Layer] = []
        self.bottoms: list[list[Blob]] = []
        self.tops: list[list[Blob]] = []
        self.blobs: dict[str, Blob] = {}
        self.loss_weights: list[list[float]] = []
        self._parameters = Parameters()
        self._layer_params: list[list[Parameter]] = []
        self._seen: list[tuple[tuple[int, ...], ...]] = []
        forward_only = not self.param.force_backward and not any(any(x.loss_weight) for x in self.param.layer)
        forward_only = forward_only or (plan and phase == TEST)
        self._in_place = InPlace(self.dtype, forward_only)
        self._plan = False
        for layer_param in self.param.layer:
            self._placed(layer_param, self._append, layer_param)
        self._mark_needs(forward_only)
        self._fuse(hidden=plan)
        self._plan, self._plan_is_stale = plan, plan
        if fill:
            self.fill()

    # -- building ---------------------------------------------------------------------------------------------------

    def _placed(self, layer_param: Any, call: Any, *args: Any) -> Any:
        try:
            return call(*args)
        except PASSED:
            raise
        except BaseException as e:
            error = placed(e, layer_param, self.registry)
            raise error from error.__cause__

    def _append(self, layer_param: Any) -> None:
        layer: Layer = provider(layer_param, self.registry).thing(layer_param, self.context)
        bottom = [self.blobs[name] for name in layer_param.bottom]
        layer.setup([b.shape for b in bottom])
        for i, blob in enumerate(layer.blobs):
            check_shape(blob.shape, f"parameter {i}", blob.dtype)
        top = self._in_place.tops(layer, bottom)
        self.blobs.update(zip(layer_param.top, top, strict=True))
        self.layers.append(layer)
        self.bottoms.append(bottom)
        self.tops.append(top)
        self.loss_weights.append(loss_weights(layer_param))
        self._layer_params.append(self._parameters.add(layer))
        self._seen.append(())
        self._infer(len(self.layers) - 1)

    def _infer(self, i: int) -> None:
        self._in_place.follow(i, self.bottoms[i])
        shapes = tuple(b.shape for b in self.bottoms[i])
        found = as_shapes(self.layers[i].infer(*shapes))
        if len(self.tops[i]) and len(found) < len(self.tops[i]):
            raise LayerError(f"infer gave {len(found)} shapes for {len(self.tops[i])} tops")
        for t, (top, shape) in enumerate(zip(self.tops[i], found, strict=False)):
            check_shape(shape, f"top {t}", self.dtype)
            if top.shape != shape:
                top.reshape(*shape)
                self._plan_is_stale = self._plan
            if self.loss_weights[i][t]:
                top.diff[...] = self.loss_weights[i][t]
        self._seen[i] = shapes

    def _mark_needs(self, forward_only: bool) -> None:
        learns = [any(p.lr_mult for p in params) for params in self._layer_params]
        found = nodes(self.layers, self.bottoms, self.tops, learns, self._weighs)
        mark(found, self.param.force_backward)
        self.runs_backward = [n.runs_backward and not forward_only for n in found]
        self.propagate_down = [n.down for n in found]
        self._updates = [
            bool(layer.blobs) and (self.param.force_backward or learns[i]) for i, layer in enumerate(self.layers)
        ]

    def _fuse(self, hidden: bool) -> None:
        """Find the runs of layers that the first does along; where nobody looks, a run's tops are one memory."""
        known = self._weighs, self.runs_backward, self.propagate_down
        found = Fusion(self.layers, self.bottoms, self.tops, *known, hidden)
        self.runs = found.runs()
        for first, last in self.runs.items():
            for i in range(first, last):
                self.tops[i][0].share_data(self.tops[last][0])
        self.backward_runs, self.selecting = found.backward_runs(), found.selecting()

    def _fill(self, x: np.ndarray, filler_param: Any, rng: np.random.Generator) -> None:
        filler = self.registry.find("fillers", filler_param.type)
        with named(f"filler '{filler_param.type}'", filler.plugin, LayerError):
            filler.thing(x, filler_param, rng)

    def reseed(self, seed: int) -> None:
        """Draw what is random in later passes from another seed."""
        self.seed = self.context.seed = seed

    def fill(self) -> None:
        """Give every parameter its filler's values; a pure function of the seed and the layer's name."""
        owned = {id(p.blob) for p in self.parameters}
        for layer in self.layers:
            rng = layer.rng()
            for blob, filler in zip(layer.blobs, layer.fillers, strict=True):
                if filler is not None and id(blob) in owned:
                    self._placed(layer.layer_param, self._fill, blob.data, filler, rng)

    # -- what it holds ----------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter once, in layer order: what a solver steps through."""
        return self._parameters.owners

    @property
    def params(self) -> dict[str, list[Blob]]:
        return {layer.name: layer.blobs for layer in self.layers if layer.blobs}

    @property
    def inputs(self) -> list[str]:
        """The tops of layers that only hold what the user puts in."""
        return [name for layer in self.layers if layer.role == "input" for name in layer.layer_param.top]

    @property
    def outputs(self) -> list[str]:
        """The tops that no layer reads, sorted by name, which is how Caffe numbers them in logs and in pycaffe."""
        left: set[str] = set()
        for layer in self.layers:
            left.difference_update(layer.layer_param.bottom)
            left.update(layer.layer_param.top)
        return sorted(left)

    def loss_weight(self, blob: str) -> float:
        """How much a blob counts in the loss."""
        weights = zip(self.layers, self.loss_weights, strict=True)
        tops = (pair for layer, each in weights for pair in zip(layer.layer_param.top, each, strict=True))
        return sum(w for name, w in tops if name == blob)

    @property
    def _weighs(self) -> list[bool]:
        return [any(weights) for weights in self.loss_weights]

    def index(self, name: str) -> int:
        """The position of a layer. Raises LayerError naming the nearest."""
        names = [layer.name for layer in self.layers]
        if name not in names:
            raise LayerError(f"no layer '{name}' in net '{self.name}'{nearest(name, names)}")
        return names.index(name)

    def macs(self, i: int) -> int:
        """Multiply-adds of a layer's forward pass."""
        shapes = [[b.shape for b in blobs] for blobs in (self.bottoms[i], self.tops[i])]
        return int(self._placed(self.layers[i].layer_param, self.layers[i].macs, *shapes))

    # -- running ----------------------------------------------------------------------------------------------------

    def forward(self, start: int = 0, end: int | None = None) -> float:
        """Run layers start..end (inclusive), some along with the one before; the weighted sum of their losses."""
        if self._plan_is_stale:
            bind(self)
            self._plan_is_stale = False
        loss, i, end = 0.0, start, len(self.layers) - 1 if end is None else end
        while i <= end:
            last = self.runs.get(i, i)
            last = last if last <= end else i
            loss += self._forward(i, last)
            i = last + 1
        return loss

    def forward_layer(self, i: int) -> float:
        """Run one layer, by itself."""
        return self._forward(i, i)

    def _forward(self, first: int, last: int) -> float:
        layers, bottom, top = self.layers[first : last + 1], self.bottoms[first], self.tops[last]
        for i, layer in enumerate(layers, first):
            self._in_place.follow(i, self.bottoms[i])
            if tuple(b.shape for b in self.bottoms[i]) != self._seen[i]:
                self._placed(layer.layer_param, self._infer, i)
        self._in_place.fetch(first, bottom)
        work = layers[0].forward if first == last else partial(fuse.forward, layers)
        self._placed(layers[0].layer_param, work, bottom, top)
        for layer in layers:
            layer.passes += 1
        return sum(float(np.sum(t.data * w)) for t, w in zip(top, self.loss_weights[last], strict=True) if w)

    def backward(self, start: int | None = None, end: int = 0) -> None:
        """Run layers start..end (inclusive, start the later): update, then backward, where a gradient is needed."""
        last = len(self.layers) - 1 if start is None else start
        while last >= end:
            first = self.backward_runs.get(last, last)
            first = first if first >= end else last
            if first < last:
                self._backward(first, last)
            elif self.runs_backward[last]:
                self.update_layer(last)
                self.backward_layer(last)
            last = first - 1

    def _backward(self, first: int, last: int) -> None:
        layers, top, bottom = self.layers[first : last + 1], self.tops[first], self.bottoms[first]
        learns = self._updates[first + 1]
        self._placed(layers[0].layer_param, fuse.backward, layers, self.tops[last][0], top, bottom, learns)
        self._in_place.hand_back(first, bottom, self.propagate_down[first])

    def update_layer(self, i: int) -> None:
        layer = self.layers[i]
        if self._updates[i]:
            self._placed(layer.layer_param, layer.update, self.tops[i], self.bottoms[i])

    def backward_layer(self, i: int) -> None:
        """Run one layer backward; its gradient comes through a rectifier before it too where that goes from its top."""
        layer, down = self.layers[i], self.propagate_down[i]
        if i in self.selecting:
            before = self.layers[i - 1]
            self._placed(before.layer_param, before.backward, self.tops[i], down, self.tops[i])
        if any(down) and i + 1 not in self.selecting:
            self._refuse_gradient(layer, down)
            self._placed(layer.layer_param, layer.backward, self.tops[i], down, self.bottoms[i])
            self._in_place.hand_back(i, self.bottoms[i], down)

    def _refuse_gradient(self, layer: Layer, down: list[bool]) -> None:
        for j in without_gradient(layer, len(down)):
            if down[j]:
                name = layer.layer_param.bottom[j]
                raise LayerError(
                    f"{place(layer.layer_param)}: bottom {j} ('{name}') can have no gradient, but a layer before it "
                    "learns; say propagate_down: false for it"
                )

    def clear_param_diffs(self) -> None:
        for p in self.parameters:
            p.blob.diff[...] = 0

    def reshape(self, only: Iterable[int] | None = None) -> None:
        """Let every layer, or `only` these, see its bottoms' shapes again; forward does so where one has changed."""
        for i in range(len(self.layers)) if only is None else only:
            if self.bottoms[i]:
                self._placed(self.layers[i].layer_param, self._infer, i)

    def share_with(self, other: "Net") -> None:
        """Use the parameters of the other net's layers of the same names from now on; gradients stay apart."""
        share(self.layers, other.layers)
