"""Operations in a form that means the same in older opsets, where ONNX's converter would leave or make another."""

from typing import Any

import onnx
from onnx import helper, shape_inference

FLATTENED = 12
"""The newest opset in which a Softmax takes all axes from its own on as one:"""
ALONG = {"Softmax", "LogSoftmax"}
"""along the last axis these are the same everywhere."""


def along_last(model: onnx.ModelProto) -> None:
    """Every Softmax along the last axis, between two Transposes where it is along another."""
    ranks = _ranks(model)
    kept = []
    for node in model.graph.node:
        kept += _turned(node, ranks[node.input[0]]) if node.op_type in ALONG else [node]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


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
