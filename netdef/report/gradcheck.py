"""A whole net's gradients, measured layer by layer with the numbers that it really computes with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netdef.layer import Loss, Metric, Source
from netdef.net import Net

STEP = 1e-7
TOLERANCE = 1e-4
RETRIES = 3


@dataclass
class Check:
    """One gradient along a random direction: as the layer says, as forward moves; relative to the larger."""

    layer: str
    type: str
    what: str
    said: float
    moved: float
    error: float
    verdict: str
    """ "right", "wrong", or "kink" where forward is not smooth enough there to say."""


def check(net: Net, seed: int = 1, step: Callable[[], None] = lambda: None) -> list[Check]:
    """Of every bottom and parameter that can have a gradient. The net should be float64 and unplanned.

    Each layer is moved alone, so that a wrong one is named itself and not the layers below it. `step` is called after
    each layer.
    """
    rng = np.random.default_rng(seed)
    found: list[Check] = []
    with np.errstate(all="ignore"):
        for i, layer in enumerate(net.layers):
            skip = isinstance(layer, Source | Metric) or layer.role in ("input", "split") or not net.bottoms[i]
            if not skip:
                found += _Layer(net, i, rng).checks()
            net.forward(i, i)
            step()
    return found


class _Layer:
    def __init__(self, net: Net, i: int, rng: np.random.Generator):
        self.net, self.i, self.rng = net, i, rng
        self.layer, self.bottom, self.top = net.layers[i], net.bottoms[i], net.tops[i]
        self.given = self.x = [b.data.copy() for b in self.bottom]
        fixed = self.layer.no_gradient
        self.down = [fixed != "all" and k not in fixed for k in range(len(self.bottom))]
        self.w = [b.data.copy() for b in self.layer.blobs]
        self.pulls: list[np.ndarray] = []

    def checks(self) -> list[Check]:
        found = self._at_this_point()
        for _ in range(RETRIES):  # equal numbers, such as zeros under a maximum, are a kink: take others close by
            if any(c.verdict == "kink" for c in found):
                self._jitter()
                again = self._at_this_point()
                found = [new if old.verdict == "kink" else old for old, new in zip(found, again, strict=True)]
        self.x = self.given
        self._restore()
        return found

    def _jitter(self) -> None:
        self.x = [
            x + 5e-2 * (float(x.std()) or 1.0) * self.rng.standard_normal(x.shape) * down
            for x, down in zip(self.given, self.down, strict=True)
        ]

    def _at_this_point(self) -> list[Check]:
        self._restore()
        self._forward()
        self.pulls = [self._pull(t) for t in range(len(self.top))]
        dx, dw = self._backward(self.down)
        names = self.layer.layer_param.bottom
        found = [self._compare(f"bottom '{names[k]}'", self.x, k, dx[k]) for k in range(len(dx)) if self.down[k]]
        learns = [k for k, learns in enumerate(self.layer.learns) if learns]
        return found + [self._compare(f"parameter {k}", self.w, k, dw[k]) for k in learns]

    def _pull(self, t: int) -> np.ndarray:
        """What the top is pulled by: a loss by its weight, whatever else at random."""
        if any(self.net.loss_weights[self.i]) or isinstance(self.layer, Loss):
            return np.full(self.top[t].shape, self.net.loss_weights[self.i][t])
        return self.rng.standard_normal(self.top[t].shape)

    def _restore(self) -> None:
        for blob, x in zip([*self.bottom, *self.layer.blobs], [*self.x, *self.w], strict=True):
            blob.data[...] = x

    def _forward(self) -> None:
        """From what the bottoms and parameters hold; the pass counts for nothing."""
        passes = self.layer.passes
        self.net.forward(self.i, self.i)
        self.layer.passes = passes

    def _objective(self, held: list[np.ndarray], k: int, move: np.ndarray) -> float:
        self._restore()
        blob = (self.bottom if held is self.x else self.layer.blobs)[k]
        blob.data[...] += move
        self._forward()
        return sum(float(np.sum(t.data * pull)) for t, pull in zip(self.top, self.pulls, strict=True))

    def _backward(self, down: list[bool]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        self._restore()
        self._forward()
        kept = [t.diff.copy() for t in self.top]
        for blob in (*self.bottom, *self.layer.blobs):
            blob.diff[...] = 0
        for top, pull in zip(self.top, self.pulls, strict=True):
            top.diff[...] = pull
        self.layer.update(self.top, self.bottom)
        self.layer.backward(self.top, down, self.bottom)
        gradients = [b.diff.copy() for b in self.bottom], [b.diff.copy() for b in self.layer.blobs]
        for top, diff in zip(self.top, kept, strict=True):  # a loss's weight lives there
            top.diff[...] = diff
        return gradients

    def _compare(self, what: str, held: list[np.ndarray], k: int, gradient: np.ndarray) -> Check:
        v = self.rng.standard_normal(gradient.shape)
        scale = max(1.0, float(np.abs(held[k]).max(initial=0)))
        said, size = float(np.sum(gradient * v)), float(np.linalg.norm(gradient))
        behind, here, ahead = (self._objective(held, k, s * STEP * scale * v) for s in (-1, 0, 1))
        moved, bend = (ahead - behind) / (2 * STEP * scale), (ahead - 2 * here + behind) / (STEP * scale)
        whole = max(abs(said), abs(moved), size, 1e-8)
        error = abs(said - moved) / whole
        kink = abs(bend) > 0.5 * abs(said - moved)  # the slopes ahead and behind differ by as much as is wrong
        verdict = "right" if error <= TOLERANCE else "kink" if kink else "wrong"
        return Check(self.layer.name, self.layer.layer_param.type, what, said, moved, error, verdict)
