"""The same model in another version of ONNX's operations, by ONNX's own converter, one version at a time."""

import re
from typing import Any

import onnx
from onnx import helper, version_converter

from netdef.errors import ExportError
from netdef.export import older
from netdef.export.graph import OPSET
from netdef.export.model import Exported

OLDEST = 9  # before, weights had to be inputs too
HIDDEN = "netdef.hidden"
LARGE = 1 << 16  # bytes: weights, which no conversion looks at


def convert(exported: Exported, opset: int) -> None:
    """Change the model in place; only a comparison afterwards proves it right.

    An operation for which the converter has no adapter is hidden from it, and stays as it is, if the other version has
    its inputs and attributes: most versions differ in types that a model of float32 does not use. Raises ExportError
    where they differ in more, in the converter's words.
    """
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise ExportError(f"opset {opset}: want {OLDEST} to {newest}; netdef writes {OPSET}")
    if opset == OPSET:  # a model keeps the room of weights that were taken out
        return
    model = exported.model
    weights = _take_weights(model)
    step = 1 if opset > OPSET else -1
    for version in range(OPSET, opset, step):
        model = _step(model, version + step)
    _give_weights(model, weights)
    if model is not exported.model:
        _keep(exported.model, model)
        exported.model = model
    model.ir_version = max(4, helper.find_min_ir_version_for(list(model.opset_import)))


def _step(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    hidden = older.enter(model, version) if version < OPSET else set()
    while True:
        try:
            made = version_converter.convert_version(_hide(model, hidden), version)
        except Exception as e:
            lacking = re.search(r"No Adapter .* for (\w+)", str(e))
            kind = lacking[1] if lacking else ""
            misfit = next(
                (n for n in older.nodes(model.graph) if kind in ("", n.op_type) and not _fits(n, version)), None
            )
            if not lacking or misfit is not None or kind in hidden:
                raise ExportError(_refusal(version, misfit, e)) from e
            hidden.add(kind)
        else:
            return _without_leftovers(_unhide(made))


def _refusal(version: int, misfit: onnx.NodeProto | None, e: Exception) -> str:
    said = str(e).strip().splitlines()[-1:] or [type(e).__name__]
    what = f"operation '{misfit.name}' ({misfit.op_type}) is not the same there " if misfit is not None else ""
    return f"ONNX's converter cannot take the model to opset {version}: {what}({said[0]})"


def _hide(model: onnx.ModelProto, kinds: set[str]) -> onnx.ModelProto:
    """Operations of these types as a stranger's, which the converter passes over."""
    for node in older.nodes(model.graph):
        if node.op_type in kinds:
            node.domain = HIDDEN
    if kinds and not any(o.domain == HIDDEN for o in model.opset_import):
        model.opset_import.add(domain=HIDDEN, version=1)
    return model


def _unhide(model: onnx.ModelProto) -> onnx.ModelProto:
    for node in older.nodes(model.graph):
        if node.domain == HIDDEN:
            node.domain = ""
    kept = [o for o in model.opset_import if o.domain != HIDDEN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _without_leftovers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The converter makes axes an attribute, and leaves what only says how to read no axes."""
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if "axes" in attributes and "noop_with_empty_axes" in attributes:
            node.attribute.remove(attributes["noop_with_empty_axes"])
    return model


def _fits(node: onnx.NodeProto, version: int) -> bool:
    """Whether an operation has these inputs and attributes in a version."""
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, version)
    except onnx.defs.SchemaError:
        return False
    few = len(node.input) <= schema.max_input and len(node.output) <= schema.max_output
    enough = len(node.input) >= schema.min_input
    required = {name for name, attribute in schema.attributes.items() if attribute.required}
    names = {attribute.name for attribute in node.attribute}
    return few and enough and required <= names <= set(schema.attributes)


def _take_weights(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Large initializers become inputs for a while: converting copies the model, and stops at 2 GB."""
    body = model.graph
    large = [tensor for tensor in body.initializer if len(tensor.raw_data) > LARGE]
    small = [tensor for tensor in body.initializer if len(tensor.raw_data) <= LARGE]
    body.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in large)
    kept = [onnx.TensorProto.FromString(t.SerializeToString()) for t in small]
    taken = []
    for tensor in large:
        taken.append(onnx.TensorProto())
        taken[-1].CopyFrom(tensor)
    del body.initializer[:]
    body.initializer.extend(kept)
    return taken


def _give_weights(model: onnx.ModelProto, weights: list[onnx.TensorProto]) -> None:
    names = {tensor.name for tensor in weights}
    inputs = [v for v in model.graph.input if v.name not in names]
    initializers = {tensor.name for tensor in model.graph.initializer}
    del model.graph.input[:]
    model.graph.input.extend(v for v in inputs if v.name not in initializers)
    model.graph.initializer.extend(weights)


def _keep(old: onnx.ModelProto, new: onnx.ModelProto) -> None:
    """What a conversion may lose: who made the model, from what, and the shapes of blobs."""
    new.producer_name, new.producer_version = old.producer_name, old.producer_version
    del new.metadata_props[:]
    new.metadata_props.extend(old.metadata_props)
    del new.graph.value_info[:]
    new.graph.value_info.extend(old.graph.value_info)
