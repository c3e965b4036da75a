"""A built net as an ONNX model: the layers' operations, names as in the net, nothing that leads nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import TensorProto, helper

import netdef
from netdef.errors import ExportError, NetdefError
from netdef.export.graph import IR_VERSION, OPSET, Graph
from netdef.export.select import Selection, Top, select
from netdef.export.tidy import name_values, prune
from netdef.graph.filter import place
from netdef.layer import TEST
from netdef.net import Net

Shapes = dict[str, tuple[int, ...]]


@dataclass
class Exported:
    """A model, and how its values are named: what a comparison with the net's blobs has to know."""

    selection: Selection
    values: dict[Top, str]
    """The value that holds each top, in the net's order; several tops may be one value."""
    inputs: dict[str, Top]
    outputs: dict[str, Top]
    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)


def build(net: Net, outputs: Sequence[str] | None = None, metadata: Mapping[str, str] | None = None) -> Exported:
    """The ONNX model of a net built for TEST, from its inputs to `outputs` (by default those that `select` finds).

    `metadata` goes into the file as it is. Raises ExportError that names every layer without an ONNX form.
    """
    if net.phase != TEST:
        raise ExportError(f"net '{net.name}' was built for TRAIN; a model is made from a net built for TEST")
    chosen = select(net, outputs)
    graph = Graph(net.blobs)
    values = _convert(net, chosen, graph)
    _separate(net, chosen, graph, values)
    read = prune(graph, [values[top] for top in chosen.outputs])
    inputs = {values[top]: top for top in chosen.inputs if values[top] in read}
    ends = {values[top]: top for top in chosen.outputs}
    names = name_values(
        graph,
        {value: _blob(net, top) for value, top in inputs.items()},
        {value: _blob(net, top) for value, top in ends.items()},
        [(value, _blob(net, top)) for top, value in values.items() if value in read],
    )
    exported = Exported(
        chosen,
        {top: names.get(value, value) for top, value in values.items() if value in read},
        {names[value]: top for value, top in inputs.items()},
        {names[value]: top for value, top in ends.items()},
    )
    graph.varying = {names.get(value, value): axes for value, axes in graph.varying.items()}
    _fill(exported, net, graph)
    helper.set_model_props(exported.model, dict(metadata or {}))
    return exported


def _convert(net: Net, chosen: Selection, graph: Graph) -> dict[Top, str]:
    """Let every layer add its operations; the value of each top."""
    values = {top: graph.settle(graph.fresh(f"{_blob(net, top)}/input"), _shape(net, top)) for top in chosen.inputs}
    refused = []
    for i in chosen.layers:
        layer = net.layers[i]
        graph.layer = layer.name
        tops = [(i, t) for t in range(len(net.tops[i]))]
        try:
            found = layer.to_onnx(graph, [values[top] for top in chosen.bottoms[i]])
            if len(found) != len(tops):
                raise ExportError(f"to_onnx gave {len(found)} values for {len(tops)} tops")
            values.update((top, graph.settle(v, _shape(net, top))) for top, v in zip(tops, found, strict=True))
        except Exception as e:
            error = e if isinstance(e, NetdefError) else ExportError(f"to_onnx failed: {type(e).__name__}: {e}")
            refused.append(str(error.at(place(layer.layer_param))))
            values.update((top, graph.settle(graph.fresh("refused"), _shape(net, top))) for top in tops)
    if refused:
        raise ExportError("\n".join(refused))
    return values


def _separate(net: Net, chosen: Selection, graph: Graph, values: dict[Top, str]) -> None:
    """Let every output be an operation's own, so that it can bear the blob's name and nothing else does."""
    made = {name for node in graph.nodes for name in node.output}
    for top in chosen.outputs:
        if values[top] not in made:
            graph.layer = _blob(net, top)
            values[top] = graph.op("Identity", [values[top]])
        made.discard(values[top])


def _fill(exported: Exported, net: Net, graph: Graph) -> None:
    """Weights are copied one by one into the model in place; onnx's helpers would hold them several times."""
    model, body = exported.model, exported.model.graph
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, "netdef", netdef.__version__
    model.opset_import.append(helper.make_opsetid("", OPSET))
    body.name = net.name or "net"
    body.node.extend(graph.nodes)
    for name, array in graph.initializers.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        body.initializer.add(name=name, dims=array.shape, data_type=kind).raw_data = array.tobytes()
    made = {name for node in graph.nodes for name in node.output}
    between = {v: top for top, v in exported.values.items() if v in made and v not in exported.outputs}
    for infos, named in ((body.input, exported.inputs), (body.output, exported.outputs), (body.value_info, between)):
        infos.extend(
            helper.make_tensor_value_info(v, TensorProto.FLOAT, _named(_shape(net, t), graph.varying.get(v, ()), v))
            for v, t in named.items()
        )


def _named(shape: tuple[int, ...], varying: tuple[int, ...], value: str) -> list[int | str]:
    """A shape with names for the sizes that are not fixed."""
    return [f"{value}/{axis}" if axis in varying else size for axis, size in enumerate(shape)]


def _blob(net: Net, top: Top) -> str:
    return str(net.layers[top[0]].layer_param.top[top[1]])


def _shape(net: Net, top: Top) -> tuple[int, ...]:
    return net.tops[top[0]][top[1]].shape
