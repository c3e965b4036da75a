"""debug_info: the mean absolute value of every blob and gradient, in Caffe's lines."""

import math
from typing import Any

import numpy as np

from netdef.report.log import Log


class DebugInfo:
    """An observer that sees passes layer by layer: training ones at every display, test ones always, as in Caffe."""

    def __init__(self, log: Log):
        self._log = log

    def due(self, solver: Any, net: Any) -> bool:
        display = solver.param.display
        shown = net is not solver.net or (display and solver.iter % display == 0)
        return bool(solver.param.debug_info and shown)

    def forward(self, net: Any, i: int) -> None:
        layer = net.layers[i]
        lines = [
            f"    [Forward] Layer {layer.name}, top blob {name} data: {_mean_abs(top.data):g}"
            for name, top in zip(layer.layer_param.top, net.tops[i], strict=True)
        ]
        lines += [
            f"    [Forward] Layer {layer.name}, param blob {_display(layer, k)} data: {_mean_abs(blob.data):g}"
            for k, blob in enumerate(layer.blobs)
        ]
        self._log.write("debug", *lines)

    def backward(self, net: Any, i: int) -> None:
        layer = net.layers[i]
        lines = [
            f"    [Backward] Layer {layer.name}, bottom blob {name} diff: {_mean_abs(bottom.diff):g}"
            for name, bottom, down in zip(layer.layer_param.bottom, net.bottoms[i], net.propagate_down[i], strict=True)
            if down
        ]
        lines += [
            f"    [Backward] Layer {layer.name}, param blob {_display(layer, k)} diff: {_mean_abs(blob.diff):g}"
            for k, blob in enumerate(layer.blobs)
        ]
        self._log.write("debug", *lines)
        if not any(net.runs_backward[:i]):
            self._log.write("debug", _all(net))


def _display(layer: Any, k: int) -> str:
    """The name that shares the parameter, else its number."""
    specs = layer.layer_param.param
    return (specs[k].name if k < len(specs) else "") or str(k)


def _mean_abs(x: np.ndarray) -> float:
    return float(np.abs(x).mean(dtype=np.float64)) if x.size else 0.0


def _all(net: Any) -> str:
    sums = {"data": [0.0, 0.0], "diff": [0.0, 0.0]}
    for p in net.parameters:
        for what, total in sums.items():
            x = getattr(p.blob, what).ravel().astype(np.float64)
            total[0] += float(np.abs(x).sum())
            total[1] += float(np.dot(x, x))
    (l1, sq1), (l2, sq2) = sums["data"], sums["diff"]
    norms = f"L1 norm = ({l1:g}, {l2:g}); L2 norm = ({math.sqrt(sq1):g}, {math.sqrt(sq2):g})"
    return f"    [Backward] All net params (data, diff): {norms}"
