"""A built net as an ONNX model: the layers' operations, names as in the net, nothing that leads nowhere."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import onnx
from onnx import TensorProto, helper

import netdef
from netdef.errors import ExportError
from netdef.export.graph import IR_VERSION, OPSET, Graph
from netdef.export.preprocess import Preprocess
from netdef.export.select import Selection, Top, select
from netdef.export.sizes import Sizes, Trial, check_same, each, note_varying, open_axes, other_sizes, shapes, size_name
from netdef.export.tidy import name_values, prune
from netdef.graph.choose import placed
from netdef.layer import TEST
from netdef.net import Net

Axes = dict[Top, tuple[int, ...]]
"""By top, the axes whose size stays open."""


@dataclass
class Exported:
    """A model, and how its values are named: what a comparison with the net's blobs has to know."""

    selection: Selection
    values: dict[Top, str]
    """The value that holds each top, in the net's order; several tops may be one value."""
    inputs: dict[str, Top]
    outputs: dict[str, Top]
    prepared: dict[str, Preprocess] = field(default_factory=dict)
    """What the model does to inputs before they are the net's blobs."""
    sizes: list[Sizes] = field(default_factory=list)
    """Other shapes of the inputs that the model must take too."""
    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)


def build(
    net: Net,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    *,
    dynamic: Collection[str] = (),
    prepare: Preprocess | None = None,
) -> Exported:
    """The ONNX model of a net built for TEST, from its inputs to `outputs` (by default those that `select` finds).

    `metadata` goes into the file as it is. `dynamic` names what stays open, "batch" and "image"; `prepare` becomes part
    of the model, in front of the first input with four axes. Raises ExportError that names every layer without an ONNX
    form, and the first that has one for a single size only.
    """
    if net.phase != TEST:
        raise ExportError(f"net '{net.name}' was built for TRAIN; a model is made from a net built for TEST")
    chosen = select(net, outputs)
    others = other_sizes(net, chosen, dynamic)
    found = [shapes(net, chosen), *each(net, chosen, others, partial(shapes, net, chosen))]
    axes = open_axes(found)
    convert = partial(_convert, net, chosen, axes, prepare)
    trial, values, fed = convert()
    check_same(net, [trial, *(other for other, _, _ in each(net, chosen, others, convert))])
    exported, graph = _named_after_blobs(net, chosen, trial.graph, values, fed)
    exported.sizes = others
    if prepare:
        exported.prepared = {name: prepare for name, top in exported.inputs.items() if fed[top] != values[top]}
    _fill(exported, net, graph, _open_names(exported, graph, axes, found))
    helper.set_model_props(exported.model, dict(metadata or {}))
    return exported


def _open_names(exported: Exported, graph: Graph, axes: Axes, found: list[Sizes]) -> dict[str, dict[int, str]]:
    """By value, what each of its axes is called whose size stays open or is decided by the data."""
    inputs = exported.selection.inputs
    names = {
        value: {axis: size_name(top, axis, inputs, found) or f"{value}/{axis}" for axis in axes[top]}
        for top, value in exported.values.items()
    }
    for value, top in exported.inputs.items():
        names[value] = {axis: size_name(top, axis, inputs, found) for axis in axes[top]}
    for value, varying in graph.varying.items():
        names.setdefault(value, {}).update({axis: f"{value}/{axis}" for axis in varying})
    return names


def _named_after_blobs(
    net: Net, chosen: Selection, graph: Graph, values: dict[Top, str], fed: dict[Top, str]
) -> tuple[Exported, Graph]:
    """The graph without what leads nowhere, every value called as its blob."""
    _separate(net, chosen, graph, values)
    read = prune(graph, [values[top] for top in chosen.outputs])
    inputs = {fed[top]: top for top in chosen.inputs if fed[top] in read}
    ends = {values[top]: top for top in chosen.outputs}
    names = name_values(
        graph,
        {value: _blob(net, top) for value, top in inputs.items()},
        {value: _blob(net, top) for value, top in ends.items()},
        [(value, _blob(net, top)) for top, value in values.items() if value in read],
    )
    graph.varying = {names.get(value, value): axes for value, axes in graph.varying.items()}
    for table in (values, fed):
        table.update((top, names.get(value, value)) for top, value in table.items())
    kept = read | set(names.values())
    return Exported(
        chosen,
        {top: value for top, value in values.items() if value in kept},
        {names[value]: top for value, top in inputs.items()},
        {names[value]: top for value, top in ends.items()},
    ), graph


def _convert(
    net: Net, chosen: Selection, axes: Axes, prepare: Preprocess | None
) -> tuple[Trial, dict[Top, str], dict[Top, str]]:
    """Let every layer add its operations; the value of each top, and of each input what the model is fed."""
    graph = Graph(net.blobs)
    trial = Trial(graph)
    values, fed = _inputs(net, chosen, graph, axes, prepare)
    refused = []
    for i in chosen.layers:
        layer = net.layers[i]
        graph.layer = layer.name
        tops = [(i, t) for t in range(len(net.tops[i]))]
        try:
            found = layer.to_onnx(graph, [values[top] for top in chosen.bottoms[i]])
            if len(found) != len(tops):
                raise ExportError(f"to_onnx gave {len(found)} values for {len(tops)} tops")
            note_varying(layer, graph, [values[top] for top in chosen.bottoms[i]], found)
            values.update(
                (top, graph.settle(v, _shape(net, top), axes[top])) for top, v in zip(tops, found, strict=True)
            )
        except Exception as e:
            refused.append(str(placed(e, layer.layer_param, net.registry, ExportError)))
            values.update((top, graph.settle(graph.fresh("refused"), _shape(net, top), axes[top])) for top in tops)
        trial.ends.append((i, len(graph.nodes), len(graph.initializers)))
    if refused:
        raise ExportError("\n".join(refused))
    return trial, values, fed


def _inputs(
    net: Net, chosen: Selection, graph: Graph, axes: Axes, prepare: Preprocess | None
) -> tuple[dict[Top, str], dict[Top, str]]:
    """The values of the blobs that are fed, and what the model takes for each: another value where it is prepared."""
    values: dict[Top, str] = {}
    fed: dict[Top, str] = {}
    image = next((top for top in chosen.inputs if len(_shape(net, top)) == 4), None)
    if prepare and image is None:
        raise ExportError(f"net '{net.name}' has no input with four axes that an image could go into")
    for top in chosen.inputs:
        shape, name = _shape(net, top), graph.fresh(f"{_blob(net, top)}/input")
        if prepare and top == image:
            graph.layer = _blob(net, top)
            fed[top] = graph.settle(name, prepare.shape(shape), tuple(map(prepare.axis, axes[top])))
            values[top] = graph.settle(prepare.operations(graph, name, shape, axes[top]), shape, axes[top])
        else:
            fed[top] = values[top] = graph.settle(name, shape, axes[top])
    return values, fed


def _separate(net: Net, chosen: Selection, graph: Graph, values: dict[Top, str]) -> None:
    """Let every output be an operation's own, so that it can bear the blob's name and nothing else does."""
    made = {name for node in graph.nodes for name in node.output}
    for top in chosen.outputs:
        if values[top] not in made:
            graph.layer = _blob(net, top)
            values[top] = graph.op("Identity", [values[top]])
        made.discard(values[top])


def _fill(exported: Exported, net: Net, graph: Graph, open_names: dict[str, dict[int, str]]) -> None:
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
        for value, top in named.items():
            prepare = exported.prepared.get(value) if infos is body.input else None
            sizes = [open_names.get(value, {}).get(axis, size) for axis, size in enumerate(_shape(net, top))]
            kind = TensorProto.UINT8 if prepare and prepare.bytes else TensorProto.FLOAT
            infos.append(helper.make_tensor_value_info(value, kind, prepare.shape(sizes) if prepare else sizes))


def _blob(net: Net, top: Top) -> str:
    return str(net.layers[top[0]].layer_param.top[top[1]])


def _shape(net: Net, top: Top) -> tuple[int, ...]:
    return net.tops[top[0]][top[1]].shape
