"""An ONNX model as a net: each operation becomes the layers that an importer, found by its name, makes of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from netdef.errors import ExportError, NetdefError
from netdef.export.runtime import session
from netdef.net import Net
from netdef.registry import Registry
from netdef.surgery import Operated
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer

FOLDED = {"Unsqueeze", "Squeeze", "Reshape", "Transpose", "Cast", "Identity", "Concat", "Slice", "Gather", "Neg", "Add"}
FOLDED |= {"Sub", "Mul", "Div", "Sqrt"}
"""What may be computed from constants: nothing that makes much of little."""
Pads = tuple[list[int], list[int]]


@dataclass
class Importing:
    """The net so far, and what is known of the model's values."""

    param: Any
    weights: list[StoredLayer] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    padded: dict[str, tuple[str, Pads]] = field(default_factory=dict)
    """Values that are another with zeros around it: whoever reads them takes the zeros over."""


class Node:
    """An operation, as an importer sees it."""

    def __init__(self, node: onnx.NodeProto, importing: Importing):
        self.node, self.op, self._importing = node, node.op_type, importing
        self.attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.inputs = list(node.input)
        self._pads = False

    def is_constant(self, name: str) -> bool:
        return name in self._importing.constants

    def weight(self, i: int) -> np.ndarray:
        """The i-th input's numbers. Raises ExportError where they are computed."""
        if i >= len(self.inputs) or not self.is_constant(self.inputs[i]):
            raise ExportError(f"input {i} is computed; a layer of Caffe needs it constant")
        return self._importing.constants[self.inputs[i]]

    def shape(self, i: int) -> tuple[int, ...]:
        return self._shape(self.inputs[i])

    def source_shape(self, i: int) -> tuple[int, ...]:
        """The i-th input's shape without the zeros that a Pad put around it."""
        name = self.inputs[i]
        return self._shape(self._importing.padded.get(name, (name,))[0])

    def top_shape(self, t: int = 0) -> tuple[int, ...]:
        return self._shape(self.node.output[t])

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._importing.shapes:
            raise ExportError(f"the shape of '{name}' is not fixed; give the inputs' with --shape")
        return self._importing.shapes[name]

    def own_padding(self, axes: int) -> Pads:
        pads = self.attributes.get("pads", [0] * 2 * axes)
        if self.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise ExportError(f"auto_pad {self.attributes['auto_pad'].decode()}; want explicit pads")
        return list(pads[:axes]), list(pads[axes:])

    def padding(self, axes: int) -> Pads:
        """Zeros before and behind along each axis, those of a Pad before it included."""
        begin, end = self.own_padding(axes)
        self._pads = True
        more = self._importing.padded.get(self.inputs[0], ("", ([0] * axes, [0] * axes)))[1]
        return [a + b for a, b in zip(begin, more[0], strict=True)], [a + b for a, b in zip(end, more[1], strict=True)]

    def postpone(self, begin: list[int], end: list[int]) -> None:
        """Let the reader of the output pad in its place."""
        self._importing.padded[self.node.output[0]] = (self.inputs[0], (begin, end))

    def layer(self, kind: str, blobs: Any = (), bottoms: list[str] | None = None, last: bool = True) -> Any:
        """A new layer, to be given its options; one that is not the `last` for this operation gives to the next."""
        done = self._importing
        names = {layer.name for layer in done.param.layer}
        wish = self.node.name or self.node.output[0]
        name, n = wish, 1
        while name in names:
            n += 1
            name = f"{wish}_{n}"
        constant = [b for b in (self.inputs[:1] if bottoms is None else bottoms) if self.is_constant(b)]
        if constant:
            raise ExportError(f"reads '{constant[0]}', a constant; a layer of Caffe reads blobs")
        zeros = [b for b in (self.inputs[:1] if bottoms is None else bottoms) if b in done.padded and not self._pads]
        if zeros:
            raise ExportError(f"reads '{zeros[0]}', an image with zeros around it; a {kind} of Caffe pads none")
        sources = [done.padded.get(b, (b,))[0] for b in (self.inputs[:1] if bottoms is None else bottoms)]
        tops = list(self.node.output) if last else [f"{self.node.output[0]}/{kind}"]
        layer = done.param.layer.add(name=name, type=kind, bottom=sources, top=tops)
        if not last:
            self.inputs[0] = tops[0]
        arrays = [np.ascontiguousarray(x, np.float32) for x in blobs]
        done.weights.append(StoredLayer(name, kind, [Stored(x.shape, x) for x in arrays]))
        return layer


def imported(path: Path | str, registry: Registry, shapes: dict[str, tuple[int, ...]] | None = None) -> Operated:
    """The net and weights of an ONNX model, compared with it in ONNX Runtime on random inputs.

    Raises ExportError that names the operation which has no form here, or the first output that differs.
    """
    model = _open(path)
    _fix_sizes(model, shapes or {})
    try:
        model = shape_inference.infer_shapes(model, data_prop=True)
    except Exception as e:
        raise ExportError(f"{path}: ONNX cannot tell its shapes: {e}") from e
    done = Importing(registry.schema.message("NetParameter")(name=model.graph.name))
    done.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    infos = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    done.shapes = {v.name: shape for v in infos if (shape := _shape(v)) is not None}
    for value in model.graph.input:
        if value.name not in done.constants:
            _input(done, value.name, registry)
    for node in model.graph.node:
        _one(node, done, registry)
    _check_outputs(model, done)
    found = Operated(done.param, done.weights)
    _compare(found, model, registry)
    return found


def _open(path: Path | str) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except OSError as e:
        raise ExportError(f"cannot read {path}: {e.strerror or e}") from e
    except Exception as e:
        raise ExportError(f"{path} is no ONNX model: {' '.join(str(e).split())[:300]}") from e
    return model


def _fix_sizes(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    """The inputs' shapes as given; a batch that is open becomes 1."""
    initializers = {t.name for t in model.graph.initializer}
    inputs = {v.name: v.type.tensor_type.shape.dim for v in model.graph.input if v.name not in initializers}
    for name in shapes:
        if name not in inputs:
            raise ExportError(f"the model has no input '{name}'; it has {', '.join(inputs)}")
    for name, dims in inputs.items():
        if name in shapes and len(shapes[name]) != len(dims):
            raise ExportError(f"input '{name}' has {len(dims)} axes, not {len(shapes[name])}")
        for axis, dim in enumerate(dims):
            if name in shapes:
                dim.dim_value = shapes[name][axis]
            elif dim.dim_value < 1 and axis == 0:
                dim.dim_value = 1
            elif dim.dim_value < 1:
                raise ExportError(f"input '{name}' leaves axis {axis} open; give its shape: --shape {name}=1,3,224,224")
    if shapes or any(v.type.tensor_type.shape.dim for v in model.graph.output):
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(d.HasField("dim_value") for d in kind.shape.dim):
        return None
    return tuple(d.dim_value for d in kind.shape.dim)


def _input(done: Importing, name: str, registry: Registry) -> None:
    layer = done.param.layer.add(name=name, type=registry.role("input"), top=[name])
    layer.input_param.shape.add(dim=done.shapes[name])
    done.weights.append(StoredLayer(name, layer.type))


def _one(node: onnx.NodeProto, done: Importing, registry: Registry) -> None:
    what = f"operation '{node.name or node.output[0]}' ({node.op_type})"
    if node.op_type == "Constant":
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if value is None:
            raise ExportError(f"{what}: a constant that is no tensor")
        done.constants[node.output[0]] = numpy_helper.to_array(value)
        return
    try:
        if _folded(node, done):
            return
    except ExportError as e:
        raise e.at(what) from None
    if node.op_type not in registry.names("importers") or node.domain not in ("", "ai.onnx"):
        raise ExportError(f"{what} has no form in Caffe that a plugin here knows")
    try:
        registry.get("importers", node.op_type)(Node(node, done))
    except NetdefError as e:
        raise e.at(what) from None
    except (KeyError, ValueError, IndexError, TypeError, OverflowError) as e:
        raise ExportError(f"{what} is not as ONNX has it: {type(e).__name__}: {e}") from e


def _check_outputs(model: onnx.ModelProto, done: Importing) -> None:
    tops = {top for layer in done.param.layer for top in layer.top}
    for value in model.graph.output:
        if value.name not in tops:
            maker = next((n for n in model.graph.node if value.name in n.output), None)
            what = f"operation '{maker.name or value.name}' ({maker.op_type})" if maker else f"output '{value.name}'"
            raise ExportError(f"{what} is not the work of a layer: it pads for nobody, or is constant")


def _difference(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference by scale of what is finite; infinite where one is and the other is not."""
    finite = np.isfinite(want)
    if not np.array_equal(finite, np.isfinite(got)):
        return np.inf
    got, want = np.where(finite, got, 0), np.where(finite, want, 0)
    return float(np.max(np.abs(got - want), initial=0) / max(np.max(np.abs(want), initial=0), 1e-30))


def _folded(node: onnx.NodeProto, done: Importing) -> bool:
    """Compute what depends on constants and shapes alone, such as how a parameter is broadcast."""
    if node.op_type == "Shape" and not node.attribute and node.input[0] in done.shapes:
        done.constants[node.output[0]] = np.array(done.shapes[node.input[0]], np.int64)
        return True
    if node.op_type not in FOLDED or not all(name in done.constants for name in node.input if name):
        return False
    feeds = {name: done.constants[name] for name in node.input if name}
    try:
        values: Any = ReferenceEvaluator(node).run(None, feeds)
    except Exception as e:
        raise ExportError(f"cannot be computed: {type(e).__name__}: {e}") from e
    done.constants.update(zip(node.output, values, strict=True))
    return True


def _compare(found: Operated, model: onnx.ModelProto, registry: Registry) -> None:
    net = Net(found.param, 1, registry=registry, fill=False)
    found.give(net)
    rng = np.random.default_rng(1)
    feeds = [{n: rng.standard_normal(net.blobs[n].shape, np.float32) * s for n in net.inputs} for s in (1, 100)]
    names = [value.name for value in model.graph.output]
    with session(model, None, names, 2) as run:
        for feed in feeds:
            for name, x in feed.items():
                net.blobs[name].data[...] = x
            net.forward()
            for name, want in run(feed).items():
                got = net.blobs[name].data
                if got.shape != want.shape:
                    raise ExportError(f"output '{name}' would have shape {got.shape}, in ONNX it has {want.shape}")
                off = _difference(got, want)
                if not off < 1e-4:
                    raise ExportError(f"output '{name}' would differ by {off:.2g} of its scale; nothing was written")
