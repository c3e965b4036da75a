"""Does the net compute what the ONNX model computes? Both are run on the same inputs."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from netdef.distance import Distances
from netdef.errors import ExportError
from netdef.export.feeds import sampled
from netdef.export.runtime import session
from netdef.export.select import wires
from netdef.net import Net
from netdef.registry import Registry
from netdef.surgery import Operated

TOLERANCE = 1e-4
TINY = 1e-30  # the smallest scale


def compare(found: Operated, original: onnx.ModelProto, model: onnx.ModelProto, registry: Registry) -> None:
    """Raises ExportError that names the first value which differs by more than 1e-4 of its scale.

    Outputs are the original's; what is between them is found in the model whose operations became layers.
    """
    net = Net(found.param, 1, registry=registry, fill=False)
    found.give(net)
    outputs = [value.name for value in model.graph.output]
    if not _differences(net, original, outputs):
        return
    tops = {top for layer in found.param.layer for top in layer.top}
    between = [name for node in model.graph.node for name in node.output if name in tops]
    name, said = next(iter(_differences(net, model, between)), None) or _differences(net, original, outputs)[0]
    maker = next((node for node in model.graph.node if name in node.output), None)
    what = f"operation '{maker.name or name}' ({maker.op_type})" if maker else f"output '{name}'"
    raise ExportError(f"{what}: '{name}' {said}; nothing was written")


def _differences(net: Net, model: onnx.ModelProto, names: list[str]) -> list[tuple[str, str]]:
    """(value, how it differs), in the order of the names."""
    said: dict[str, str] = {}
    distances = Distances(TINY)
    run = session(model, None, names, 2)
    for feed in _feeds(net, model):
        for name, x in feed.items():
            net.blobs[name].data[...] = x
        net.forward()
        for name, x in run(feed).items():
            got, want = net.blobs[name].data, np.asarray(x, np.float32)
            said[name] = said.get(name) or _said(got, want, distances.relative(name, got, want))
    return [(name, said[name]) for name in names if said[name]]


def _said(got: np.ndarray, want: np.ndarray, off: float) -> str:
    if got.shape != want.shape:
        return f"would have shape {got.shape}, in ONNX it has {want.shape}"
    return "" if off < TOLERANCE else f"would differ by {off:.2g} of its scale"


def _feeds(net: Net, model: onnx.ModelProto) -> Iterable[dict[str, Any]]:
    """Numbers about 0, small and large; of images of bytes, bytes; what layers want of an input, such as regions."""
    rng = np.random.default_rng(1)
    layers, w = range(len(net.layers)), wires(net)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    for scale in (1, 100):
        found: dict[str, Any] = {}
        for name in net.inputs:
            wanted = sampled(net, layers, w.bottoms, w.last[name], rng)
            if wanted is not None:
                found[name] = wanted
            elif kinds[name] == TensorProto.UINT8:
                found[name] = rng.integers(0, 256, net.blobs[name].shape).astype(np.float32)
            elif kinds[name] == TensorProto.FLOAT:
                found[name] = rng.standard_normal(net.blobs[name].shape, np.float32) * scale
            else:
                kind = TensorProto.DataType.Name(kinds[name]).lower()
                raise ExportError(f"input '{name}' is of {kind}; want float32, or uint8 for an image")
        yield found
