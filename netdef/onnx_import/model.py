"""An ONNX model opened: of known sizes, of operations in a version that importers know, its constants at hand."""

from pathlib import Path

import onnx
from onnx import numpy_helper, shape_inference, version_converter

from netdef.errors import ExportError
from netdef.export import older
from netdef.export.graph import OPSET
from netdef.onnx_import.importing import Importing, Shape
from netdef.registry import Registry
from netdef.weights.caffemodel import StoredLayer

OLDEST = 13  # before, Softmax, Squeeze and others meant other things


def opened(path: Path | str, shapes: dict[str, Shape]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The model as it is but for its sizes, and one of known operations and shapes. Raises ExportError for neither."""
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except OSError as e:
        raise ExportError(f"cannot read {path}: {e.strerror or e}") from e
    except Exception as e:
        raise ExportError(f"{path} is no ONNX model: {' '.join(str(e).split())[:300]}") from e
    _fix_sizes(model, shapes)
    try:
        model = shape_inference.infer_shapes(model, data_prop=True)
        newer = _newer(model)
        return model, newer if newer is model else shape_inference.infer_shapes(newer, data_prop=True)
    except Exception as e:
        raise ExportError(f"{path}: ONNX cannot tell its shapes: {e}") from e


def _newer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Older operations as later ones, where ONNX's converter can: the comparison at the end tells right from wrong."""
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    if version >= OLDEST:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception:
        return model


def start(model: onnx.ModelProto, registry: Registry) -> Importing:
    """A net of the model's inputs, with its initializers as constants."""
    done = Importing(registry.schema.message("NetParameter")(name=model.graph.name), registry)
    done.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    infos = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    done.shapes = {v.name: shape for v in infos if (shape := _shape(v)) is not None}
    done.read.update(v.name for v in model.graph.output)
    done.read.update(name for node in older.nodes(model.graph) for name in node.input)
    done.taken.update(done.constants, done.shapes, *(node.output for node in model.graph.node))
    for value in model.graph.input:
        if value.name not in done.constants:
            layer = done.param.layer.add(name=value.name, type=registry.role("input"), top=[value.name])
            layer.input_param.shape.add(dim=done.shapes[value.name])
            done.weights.append(StoredLayer(value.name, layer.type))
    return done


def _fix_sizes(model: onnx.ModelProto, shapes: dict[str, Shape]) -> None:
    """The inputs' shapes as given; a batch that is open becomes 1."""
    initializers = {t.name for t in model.graph.initializer}
    inputs = {v.name: v.type.tensor_type.shape.dim for v in model.graph.input if v.name not in initializers}
    for name in shapes:
        if name not in inputs:
            raise ExportError(f"the model has no input '{name}'; it has {', '.join(inputs)}")
    fixed = False
    for name, dims in inputs.items():
        if name in shapes and len(shapes[name]) != len(dims):
            raise ExportError(f"input '{name}' has {len(dims)} axes, not {len(shapes[name])}")
        for axis, dim in enumerate(dims):
            if name not in shapes and dim.dim_value < 1 and axis:
                raise ExportError(f"input '{name}' leaves axis {axis} open; give its shape: --shape {name}=1,3,224,224")
            size = shapes[name][axis] if name in shapes else dim.dim_value or 1
            fixed = fixed or size != dim.dim_value
            dim.dim_value = size
    if fixed:  # what the file says of other values was true for other sizes
        del model.graph.value_info[:]
        for value in model.graph.output:
            for dim in value.type.tensor_type.shape.dim:
                dim.Clear()


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(d.HasField("dim_value") for d in kind.shape.dim):
        return None
    return tuple(d.dim_value for d in kind.shape.dim)
