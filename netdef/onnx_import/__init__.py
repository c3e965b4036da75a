"""An ONNX model as a net: each operation becomes the layers that an importer, found by its name, makes of it."""

from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from netdef.errors import ExportError, NetdefError
from netdef.onnx_import.compare import compare
from netdef.onnx_import.constants import fold
from netdef.onnx_import.importing import Importing
from netdef.onnx_import.model import opened, start
from netdef.onnx_import.node import Node
from netdef.registry import Registry
from netdef.surgery import Operated

__all__ = ["Node", "imported"]


def imported(path: Path | str, registry: Registry, shapes: dict[str, tuple[int, ...]] | None = None) -> Operated:
    """The net and weights of an ONNX model, compared with it in ONNX Runtime on random inputs.

    Raises ExportError that names the operation which has no form here, or the first value that differs.
    """
    original, model = opened(path, shapes or {})
    done = start(model, registry)
    for node in model.graph.node:
        _one(node, done, registry)
    _keep_outputs(model, done)
    found = Operated(done.param, done.weights)
    compare(found, original, model, registry)
    return found


def _one(node: onnx.NodeProto, done: Importing, registry: Registry) -> None:
    what = named(node)
    if node.op_type == "If" and (condition := done.same.get(node.input[0], node.input[0])) in done.constants:
        _branch(node, bool(done.constants[condition]), done, registry)
        return
    try:
        if fold(node, done):
            return
        if node.op_type not in registry.names("importers") or node.domain not in ("", "ai.onnx"):
            raise ExportError("no layer that a plugin here knows computes it")
        made = Node(node, done)
        made.give(registry.get("importers", node.op_type)(made))
    except NetdefError as e:
        raise e.at(what) from None
    except (LookupError, ValueError, TypeError, ArithmeticError, AttributeError) as e:
        raise ExportError(f"{what} is not as ONNX has it: {type(e).__name__}: {e}") from e


def _branch(node: onnx.NodeProto, condition: bool, done: Importing, registry: Registry) -> None:
    """What is taken of an If whose condition is constant, as those are that ask for a shape."""
    (body,) = (a.g for a in node.attribute if a.name == ("then_branch" if condition else "else_branch"))
    done.constants |= {tensor.name: numpy_helper.to_array(tensor) for tensor in body.initializer}
    done.read.update(value.name for value in body.output)
    for inner in body.node:
        _one(inner, done, registry)
    done.same.update((o, done.same.get(v.name, v.name)) for o, v in zip(node.output, body.output, strict=True))


def named(node: Any) -> str:
    return f"operation '{node.name or next(iter(node.output), '')}' ({node.op_type})"


def _keep_outputs(model: onnx.ModelProto, done: Importing) -> None:
    """Every output a top of its name: a copy of what already has a name of its own."""
    tops = {top for layer in done.param.layer for top in layer.top}
    for value in model.graph.output:
        if value.name not in tops:
            done.copy(value.name)
