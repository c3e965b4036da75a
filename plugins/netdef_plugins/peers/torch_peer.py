"""A net in PyTorch: the same layers, weights and data, run as a whole or layer by layer, in either memory layout."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netdef.layer import Source
from netdef_plugins.kernels import threads

from .torch_forms import FORMS, VIEWS, Call

Place = tuple[int, int]
"""A layer's position and the number of its top."""
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Torch:
    """What of a built net has a form in torch. The threads are as many as the net's own kernels use."""

    layouts = tuple(LAYOUTS)

    def __init__(self, net: Any, sources: Sequence[Sequence[Place]]):
        self.net, self.title, self.threads = net, f"torch {torch.__version__}", threads.count()
        torch.set_num_threads(self.threads)
        self.sources, self.lacking = sources, dict[int, str]()
        self.calls: dict[int, tuple[Call, Call]] = {}
        """By layer, the call that keeps its bottom, and the one that may work in place."""
        for i, layer in enumerate(net.layers):
            if isinstance(layer, Source):
                continue
            try:
                self.calls[i] = FORMS[layer.type](layer, False), FORMS[layer.type](layer, self._overwrites(i))
            except (KeyError, NotImplementedError) as e:
                self.lacking[i] = "torch has no form for it" + (f": {e}" if isinstance(e, NotImplementedError) else "")

    def _overwrites(self, i: int) -> bool:
        """Whether a layer is in place and the memory is that of a layer that makes it anew in each step."""
        param = self.net.layers[i].layer_param
        before = self.sources[i][0][0] if self.sources[i] else i
        kind = self.net.layers[before]
        return list(param.bottom) == list(param.top) and not isinstance(kind, Source) and kind.type not in VIEWS

    def is_random(self, i: int) -> bool:
        return self.net.layers[i].type == "Dropout" and self.net.layers[i].phase == 0

    def one(
        self, i: int, xs: Sequence[np.ndarray], dys: Sequence[np.ndarray] | None, down: Sequence[bool]
    ) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """A layer's tops; given their gradients those of bottoms and parameters, None where there is none."""
        weights = Weights(self.net, "contiguous").of(i)
        inputs = [torch.from_numpy(x).requires_grad_(d and dys is not None) for x, d in zip(xs, down, strict=True)]
        ys = self.calls[i][0](inputs, weights)
        if dys is None:
            return [y.detach().numpy() for y in ys], []
        found = pull(ys, [torch.from_numpy(dy) for dy in dys], [*inputs, *weights])
        return [y.detach().numpy() for y in ys], [None if g is None else g.numpy() for g in found]

    def run(self, layout: str, given: Mapping[Place, tuple[np.ndarray, np.ndarray]]) -> "Run":
        """The net in a layout; `given` holds data and diff of what no layer of it makes, or makes by chance."""
        return Run(self, layout, given)


class Weights:
    """The parameters as tensors of their own, one for all layers that share it."""

    def __init__(self, net: Any, layout: str):
        self.net, self.layout = net, layout
        self.rates = {id(p.blob.storages[0]): p.lr_mult for p in net.parameters}
        self.tensors: dict[int, Tensor] = {}

    def of(self, i: int) -> list[Tensor]:
        layer = self.net.layers[i]
        return [self._one(blob, learns) for blob, learns in zip(layer.blobs, layer.learns, strict=True)]

    def _one(self, blob: Any, learns: bool) -> Tensor:
        key = id(blob.storages[0])
        if key not in self.tensors:
            w = laid(torch.from_numpy(blob.data.copy()), self.layout)
            rate = 1 if self.net.param.force_backward else self.rates.get(key, 0)
            self.tensors[key] = w.requires_grad_(learns and bool(rate) and any(self.net.runs_backward))
        return self.tensors[key]


def laid(x: Tensor, layout: str) -> Tensor:
    """The tensor in a layout; one with a single row is left alone, as both are the same then."""
    return x.contiguous(memory_format=LAYOUTS[layout]) if x.dim() == 4 and x.shape[0] > 1 else x


def pull(ys: Sequence[Tensor], dys: Sequence[Tensor | None], wanted: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of what is wanted, None for what asks for none or depends on nothing."""
    pairs = [(y, dy.reshape(y.shape)) for y, dy in zip(ys, dys, strict=True) if y.requires_grad and dy is not None]
    asked = [w for w in wanted if w.requires_grad]
    if not pairs or not asked:
        return [None] * len(wanted)
    found = iter(torch.autograd.grad([y for y, _ in pairs], asked, [dy for _, dy in pairs], allow_unused=True))
    return [next(found) if w.requires_grad else None for w in wanted]


class Run:
    """A net in one layout, its parameters and inputs made; every method is one pass."""

    def __init__(self, peer: Torch, layout: str, given: Mapping[Place, tuple[np.ndarray, np.ndarray]]):
        self.peer, self.net = peer, peer.net
        weights = Weights(peer.net, layout)
        self.weights = {i: weights.of(i) for i in peer.calls}
        self.tensors = list(weights.tensors.values())
        self.data = {place: laid(torch.from_numpy(data), layout) for place, (data, _) in given.items()}
        self.diffs = {place: laid(torch.from_numpy(diff), layout) for place, (_, diff) in given.items()}
        self.trains = any(peer.net.runs_backward)

    def clear(self) -> None:
        """Forget gradients, as a solver does once an iteration; not timed."""
        for w in self.tensors:
            w.grad = None

    def outputs(self) -> dict[Place, np.ndarray]:
        """All tops of a forward pass of the whole net; those given are what layers would draw by chance."""
        with torch.no_grad():
            values = self._forward(self.data)
        return {place: y.detach().numpy() for place, y in values.items()}

    def step(self) -> None:
        """A whole pass: forward, and backward where the net trains."""
        if not self.trains:
            with torch.inference_mode():
                self._forward({})
            return
        values = self._forward({})
        sum((w * values[place]).sum() for place, w in self._losses() if values[place].requires_grad).backward()

    def _losses(self) -> Iterator[tuple[Place, float]]:
        for i, weights in enumerate(self.net.loss_weights):
            yield from (((i, t), w) for t, w in enumerate(weights) if w)

    def _forward(self, instead: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        values = dict(self.data)
        for i, (_, call) in self.peer.calls.items():
            ys = call([values[place] for place in self.peer.sources[i]], self.weights[i])
            values.update(((i, t), instead.get((i, t), y)) for t, y in enumerate(ys))
        return values

    def layers(self) -> dict[int, tuple[float, float]]:
        """Milliseconds of each layer that has a form, forward, and backward with its parameters' gradients."""
        values, grads, made = dict(self.data), dict(self.diffs), dict[int, Any]()
        forward, backward = dict[int, float](), dict[int, float]()
        for i, (call, _) in self.peer.calls.items():
            down = self.net.propagate_down[i] if self.trains else [False] * len(self.peer.sources[i])
            places = zip(self.peer.sources[i], down, strict=True)
            xs = [values[place].detach().requires_grad_(d) for place, d in places]
            with torch.set_grad_enabled(self.trains):
                start = time.perf_counter()
                ys = call(xs, self.weights[i])
                forward[i] = 1e3 * (time.perf_counter() - start)
            made[i] = xs, ys
            values.update(((i, t), y) for t, y in enumerate(ys))
        grads.update((place, torch.full_like(values[place], w)) for place, w in self._losses() if place[0] in made)
        for i in sorted(made, reverse=True):
            xs, ys = made.pop(i)
            dys = [grads.get((i, t)) for t in range(len(ys))]
            start = time.perf_counter()
            found = pull(ys, dys, [*xs, *self.weights[i]]) if self.net.runs_backward[i] else []
            backward[i] = 1e3 * (time.perf_counter() - start) if found else 0.0
            grads.update((place, dx) for place, dx in zip(self.peer.sources[i], found, strict=False) if dx is not None)
        return {i: (forward[i], backward[i]) for i in forward}
