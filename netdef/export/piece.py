"""Pieces of a model: the operations between some values and others, run by themselves."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import external_data_helper, helper, numpy_helper

from netdef.export.model import Exported

LARGE = 1 << 10
"""Bytes of a constant that a piece holds beside its model, where nothing copies it."""
Arrays = dict[str, np.ndarray]


@dataclass
class Piece:
    """The operations that make some values from others; the model has no numbers of the large constants."""

    model: onnx.ModelProto
    constants: Arrays
    reads: list[str]
    gives: list[str]


class Cutter:
    """Cuts pieces out of a model, between the values of tops."""

    def __init__(self, exported: Exported, file: Path | None):
        """`file` is the model on disk, beside which a model over 2 GB has its constants."""
        self.exported = exported
        self._folder = file.parent if file else Path()
        body, tops = exported.model.graph, set(exported.values.values())
        self._makers = {name: i for i, node in enumerate(body.node) for name in node.output}
        self._constants = {tensor.name: tensor for tensor in body.initializer}
        self._infos = {v.name: v for v in (*body.value_info, *body.output) if v.name in tops}
        self._infos.update((v.name, v) for v in body.input)
        """Of each top's value and each input; the sizes that inputs or the data decide are open there."""

    def cut(self, names: Sequence[str]) -> Piece:
        """The operations from other tops' values to these."""
        nodes, reads, constants = self._behind(names)
        source, stubs, large = self.exported.model, [], {}
        for tensor in constants:
            if _size(tensor) >= LARGE:
                large[tensor.name] = self._array(tensor)
            stubs.append(_elsewhere(tensor) if tensor.name in large else tensor)
        ordered = [_without(source.graph.node[i], reads) for i in sorted(nodes)]
        inputs, outputs = ([self._infos[n] for n in some] for some in (reads, names))
        made = helper.make_model(
            helper.make_graph(ordered, "piece", inputs, outputs, stubs),
            opset_imports=source.opset_import,
            ir_version=source.ir_version,
        )
        return Piece(made, large, reads, list(names))

    def weight(self, name: str) -> int:
        """Bytes of the constants between other tops' values and this."""
        return sum(map(_size, self._behind([name])[2]))

    def _behind(self, names: Iterable[str]) -> tuple[set[int], list[str], list[onnx.TensorProto]]:
        """Operations, by position, values that they read, and constants."""
        nodes, reads, constants = set(), [], []
        todo, ends, seen = list(names), set(names), set()
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            if value in self._constants:
                constants.append(self._constants[value])
            elif value in self._infos and value not in ends:
                reads.append(value)
            elif value in self._makers:
                nodes.add(self._makers[value])
                todo += _reads(self.exported.model.graph.node[self._makers[value]])
        return nodes, reads, constants

    def _array(self, tensor: onnx.TensorProto) -> np.ndarray:
        """A constant; from the file beside the model's without reading it first."""
        if not external_data_helper.uses_external_data(tensor):
            return numpy_helper.to_array(tensor)
        where = external_data_helper.ExternalDataInfo(tensor)
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        return np.memmap(self._folder / where.location, kind, "r", where.offset or 0, tuple(tensor.dims))


def in_pieces(cutter: Cutter, sizes: Mapping[str, int], limit: int, alone: Collection[str]) -> Iterator[Piece]:
    """Pieces that one after the other give every value of `sizes`, which has its bytes, in the order of the net.

    A piece's values and the weights behind them are together at most `limit` bytes, or it has only one value, as those
    named by `alone` have.
    """
    names: list[str] = []
    left = limit
    for name, size in sizes.items():
        size += cutter.weight(name)
        if names and (name in alone or size > left):
            yield cutter.cut(names)
            names, left = [], limit
        names.append(name)
        left = 0 if name in alone else left - size
    yield cutter.cut(names)


def _size(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _elsewhere(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A constant without its numbers, which are given to the runtime by name."""
    stub = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    stub.data_location = onnx.TensorProto.EXTERNAL
    stub.external_data.add(key="location", value="given")
    return stub


def _without(node: onnx.NodeProto, reads: Collection[str]) -> onnx.NodeProto:
    """A node whose outputs are not called like values that are read: another piece takes those of it."""
    if not set(node.output) & set(reads):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = [f"{name}/again" if name in reads else name for name in node.output]
    return copy


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, what the graphs within it read from outside included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        made = {n for inner in attribute.g.node for n in inner.output} | {v.name for v in attribute.g.input}
        for inner in attribute.g.node:
            yield from (name for name in _reads(inner) if name not in made)
