"""Divergence: where the first value that is not finite arose, and what to try."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.errors import NetdefError, SolverError
from netdef.layer import Source
from netdef.net import Net
from netdef.parameters import Parameter
from netdef.solver import passes


class DivergenceError(SolverError):
    """A NaN or an infinite value in loss, activations, gradients or weights."""


@dataclass
class Origin:
    """The first place that is not finite: a "weight", "data" (of a source), "activation" or "gradient"."""

    kind: str
    text: str


def origin(net: Net, iter_size: int) -> Origin | None:
    """Run an iteration again, layer by layer, from passes that were rewound; None where all is finite this time."""
    for p in net.parameters:
        if not passes.is_finite(p.blob.data):
            name = f"parameter {p.index} of layer '{p.layer}'"
            return Origin("weight", f"{name} ({_share(p.blob.data)}), before the pass began")
    net.clear_param_diffs()
    look = _Look()
    try:
        for _ in range(iter_size):
            passes.forward(net, [look])
            passes.backward(net, [look])
    except _FoundError as found:
        return found.origin
    except NetdefError:
        return None
    return None


class _FoundError(Exception):
    def __init__(self, found: Origin):
        self.origin = found


class _Look:
    def forward(self, net: Net, i: int) -> None:
        layer = net.layers[i]
        kind = "data" if isinstance(layer, Source) else "activation"
        for name, top in zip(layer.layer_param.top, net.tops[i], strict=True):
            if not passes.is_finite(top.data):
                made = "read by" if kind == "data" else "the output of"
                raise _FoundError(Origin(kind, f"blob '{name}', {made} {_named(layer)} ({_share(top.data)})"))

    def backward(self, net: Net, i: int) -> None:
        layer = net.layers[i]
        for k, blob in enumerate(layer.blobs):
            if not passes.is_finite(blob.diff):
                raise _FoundError(Origin("gradient", f"gradient of parameter {k} of {_named(layer)}"))
        for name, bottom, down in zip(layer.layer_param.bottom, net.bottoms[i], net.propagate_down[i], strict=True):
            if down and not passes.is_finite(bottom.diff):
                raise _FoundError(Origin("gradient", f"gradient of blob '{name}', made by {_named(layer)}"))


def _named(layer: Any) -> str:
    return f"layer '{layer.name}' ({layer.layer_param.type})"


def _share(x: np.ndarray) -> str:
    """ "3 of 64 values, the first nan at (0, 2)" """
    bad = np.argwhere(~np.isfinite(x))
    if not len(bad):
        return "finite, but the sum of its squares is not"
    at = tuple(int(k) for k in bad[0])
    return f"{len(bad)} of {x.size} values, the first {x[at]:g} at {at}" if at else f"{x[()]:g}"


def advice(found: Origin | None, param: Any, iteration: int, rate: float) -> str:
    """What to try, the likeliest first."""
    if found is not None and found.kind == "data":
        return "the data itself holds it: look for missing values and divisions by zero where it was made"
    tries = []
    if rate > 0:
        tries.append(f"a smaller base_lr (this rate was {rate:g}; netdef tune lr finds one)")
    if found is not None and found.kind == "activation" and iteration == 0:
        tries.insert(0, "smaller inputs (scale pixels to 0..1) and weight_filler xavier or msra")
    if param.clip_gradients < 0:
        tries.append("clip_gradients: 10")
    if not param.warmup_iter:
        tries.append("warmup_iter: 500")
    if not param.recoveries:
        tries.append("recoveries: 3, to go back and divide the rate by 3")
    return "try " + ", or ".join(tries)


def message(solver: Any, what: str, found: Origin | None) -> str:
    """What happened, where it began, what is saved, what to try."""
    where = f"; first seen in {found.text}" if found else "; a second look found every value finite"
    kept = f"; last good snapshot: {solver.last_good}" if solver.last_good else "; no snapshot was written yet"
    return f"iteration {solver.iter}: {what}{where}{kept}; {advice(found, solver.param, solver.iter, solver.rate)}"


def bad_parameter(parameters: list[Parameter], what: str) -> str:
    """The first parameter whose "data" or "diff" is not finite, in words; empty where all are."""
    for p in parameters:
        if (what == "data" or p.lr_mult) and not passes.is_finite(getattr(p.blob, what)):
            word = "gradient" if what == "diff" else "value"
            return f"parameter {p.index} of layer '{p.layer}' has a {word} that is not finite"
    return ""
