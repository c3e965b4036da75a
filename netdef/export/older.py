"""Operations as older opsets have them, where ONNX's converter has no adapter or one that changes what is meant."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

ALONG = {"Softmax", "LogSoftmax"}
"""Until opset 12 they take all axes from their own on as one; along the last axis that is the same."""


def enter(model: onnx.ModelProto, version: int) -> set[str]:
    """Change a model of the opset after `version` in place; types whose operations are now as that opset has them."""
    form = FORMS.get(version)
    done = form(model) if form else set()
    read = {name for node in nodes(model.graph) for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    if len(kept) < len(model.graph.initializer):
        kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
    return done


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Those of the graphs within it too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def _opset_12(model: onnx.ModelProto) -> set[str]:
    """A Softmax along the last axis, between two Transposes where it is along another; a Resize has all its inputs."""
    ranks, kept = _ranks(model), []
    for node in model.graph.node:
        kept += _turned(node, ranks[node.input[0]]) if node.op_type in ALONG else [node]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    for node in model.graph.node:
        if node.op_type == "Resize":
            node.input[:] = [name or _constant(model, np.zeros(0, np.float32)) for name in node.input]
    return ALONG | {"Resize"}


def _turned(node: onnx.NodeProto, rank: int) -> list[onnx.NodeProto]:
    along = next((a.i for a in node.attribute), -1) % rank
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("axis", rank - 1))
    if along == rank - 1:
        return [node]
    perm = [i for i in range(rank) if i != along] + [along]
    back = [perm.index(i) for i in range(rank)]
    x, y, names = node.input[0], node.output[0], [f"{node.name}/{what}" for what in ("turned", "along_last")]
    node.input[0], node.output[0] = names
    before = helper.make_node("Transpose", [x], names[:1], name=names[0], perm=perm)
    return [before, node, helper.make_node("Transpose", names[1:], [y], name=names[1], perm=back)]


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    body: Any = shape_inference.infer_shapes(model).graph
    infos = (*body.input, *body.value_info, *body.output)
    return {v.name: len(v.type.tensor_type.shape.dim) for v in infos if v.type.tensor_type.HasField("shape")}


def _opset_10(model: onnx.ModelProto) -> set[str]:
    """A Gemm has something to add; bounds and pads are attributes."""
    for node in nodes(model.graph):
        if node.op_type == "Gemm" and not all([*node.input[2:], len(node.input) > 2]):
            node.input[:] = [*node.input[:2], _constant(model, np.zeros(1, np.float32))]
    return {"Gemm"} | _said(model, "Clip", ("min", "max")) | _said(model, "Pad", ("pads", "value"))


def _opset_9(model: onnx.ModelProto) -> set[str]:
    """A Slice's ends are attributes; it takes every pixel."""
    return _said(model, "Slice", ("starts", "ends", "axes"))


def _said(model: onnx.ModelProto, kind: str, names: tuple[str, ...]) -> set[str]:
    """Inputs behind the first as attributes, where all are constant, and are all that the attributes can say."""
    constants = {t.name: t for t in model.graph.initializer}
    found = [node for node in nodes(model.graph) if node.op_type == kind]
    read = {name for node in found for name in node.input[1:] if name}
    if any(len(node.input) > len(names) + 1 for node in found) or not constants.keys() >= read:
        return set()
    for node in found:
        given = {n: numpy_helper.to_array(constants[i]) for n, i in zip(names, node.input[1:], strict=False) if i}
        node.attribute.extend(helper.make_attribute(n, x.tolist()) for n, x in given.items())
        del node.input[1:]
    return {kind}


def _constant(model: onnx.ModelProto, x: np.ndarray) -> str:
    name = f"constant.{x.shape[0]}"
    if all(tensor.name != name for tensor in model.graph.initializer):
        model.graph.initializer.append(numpy_helper.from_array(x, name))
    return name


FORMS: dict[int, Callable[[onnx.ModelProto], set[str]]] = {12: _opset_12, 10: _opset_10, 9: _opset_9}
