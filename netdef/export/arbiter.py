"""A difference between net and model, looked at where it first shows: is it the layer's, or rounding's?

Rounding of earlier layers grows in later ones, and a runtime that sums ten thousand equal numbers one by one is off by
some 1e-4: neither says anything of the export. So a layer's operations are run alone, on what the net gave the layer;
where ONNX Runtime still differs, ONNX's own reference computes them in double precision.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from netdef.errors import ExportError
from netdef.export.model import Exported
from netdef.export.runtime import session
from netdef.export.select import Top
from netdef.net import Net

COARSE = 1e-2
"""What a runtime's rounding may do to one layer, by scale, where its operations in double precision agree."""
Arrays = dict[str, np.ndarray]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Arbiter:
    """The model of one layer's operations after the other, fed with the net's own blobs."""

    def __init__(self, net: Net, exported: Exported, file: Path | None, tolerance: float, threads: int):
        self.net, self.exported, self.tolerance, self.threads = net, exported, tolerance, threads
        self.folder = str(file.parent) if file else ""
        self._makers: dict[str, int] = {
            name: i for i, node in enumerate(exported.model.graph.node) for name in node.output
        }
        self._constants = {tensor.name: tensor for tensor in exported.model.graph.initializer}
        body, tops = exported.model.graph, set(exported.values.values())
        self._infos = {v.name: v for v in (*body.input, *body.output, *body.value_info) if v.name in tops}
        """Of each top's value; the sizes that inputs or the data decide are open there."""

    def differences(self, tops: Iterable[tuple[Top, str]], disputed: Iterable[str]) -> Iterator[tuple[str, float]]:
        """(value, difference by scale) of the layers that give the disputed values, each alone.

        `tops` runs the net, giving each top and its value's name while its blob holds what was computed.
        """
        parts = {name: self._cut_out(name) for name in disputed}
        wanted = {name for _, reads in parts.values() for name in reads}
        known: Arrays = {}
        wants: Arrays = {}
        for (i, t), name in tops:
            x = self.net.tops[i][t].data
            if name in wanted:
                known[name] = x.copy()
            if name in parts:
                wants[name] = x.copy()
        for name, want in wants.items():
            model, reads = parts[name]
            yield name, self._alone(model, name, want, {read: known[read] for read in reads})

    def _alone(self, model: onnx.ModelProto, name: str, want: np.ndarray, feed: Arrays) -> float:
        """nan where rounding decides: that of what the layer reads would change as much, or the runtime's own does."""
        try:
            with session(model, None, [name], self.threads) as run:
                got = run(feed)[name]
                noise = _difference(run({n: nudged(x) for n, x in feed.items()})[name], got)
        except ExportError:
            return np.inf
        off = _difference(got, want)
        if off <= self.tolerance:
            return off
        if off <= 10 * noise:
            return np.nan
        try:
            exact = _difference(self._reference(model, name, feed), want)
        except Exception:  # it lacks operations and types, and says so in many ways
            return off
        if exact > max(self.tolerance, 10 * noise):
            return off
        return exact if max(off / COARSE, exact / self.tolerance) <= 1 else np.nan

    def _cut_out(self, name: str) -> tuple[onnx.ModelProto, list[str]]:
        """The operations from other tops' values to one value, as a model; which values it reads."""
        nodes, reads, constants = set(), [], []
        todo, seen = [name], set()
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            if value in self._constants:
                constants.append(self._constant(value))
            elif value in self._infos and value != name:
                reads.append(value)
            elif value in self._makers:
                nodes.add(self._makers[value])
                todo += _reads(self.exported.model.graph.node[self._makers[value]])
        ordered = [self.exported.model.graph.node[i] for i in sorted(nodes)]
        infos = [self._infos[n] for n in reads]
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        source = self.exported.model
        made = helper.make_model(
            helper.make_graph(ordered, "layer", infos, [out], constants),
            opset_imports=source.opset_import,
            ir_version=source.ir_version,
        )
        return onnx.shape_inference.infer_shapes(made), reads

    def _constant(self, name: str) -> TensorProto:
        """A constant as it is, read from beside the file where a model over 2 GB has it."""
        tensor = self._constants[name]
        if not external_data_helper.uses_external_data(tensor):
            return tensor
        own = TensorProto()
        own.CopyFrom(tensor)
        external_data_helper.load_external_data_for_tensor(own, self.folder)
        own.data_location = TensorProto.DEFAULT
        del own.external_data[:]
        return own

    def _reference(self, model: onnx.ModelProto, name: str, feed: Arrays) -> np.ndarray:
        """The same in double precision, by another implementation."""
        wide = onnx.ModelProto()
        wide.CopyFrom(model)
        for tensor in wide.graph.initializer:
            x = numpy_helper.to_array(tensor)
            if x.dtype in FLOATS:
                tensor.CopyFrom(numpy_helper.from_array(x.astype(np.float64), tensor.name))
        given = {n: x.astype(np.float64) for n, x in feed.items()}
        found: Any = ReferenceEvaluator(wide).run([name], given)
        return np.asarray(found[0])


def nudged(x: np.ndarray) -> np.ndarray:
    """About as far off as rounding may leave it."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], x.shape)
    return (x * (1 + 2.0**-22 * signs)).astype(np.float32)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, what the graphs within it read from outside included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        made = {n for inner in attribute.g.node for n in inner.output} | {v.name for v in attribute.g.input}
        for inner in attribute.g.node:
            yield from (name for name in _reads(inner) if name not in made)


def _difference(got: np.ndarray, want: np.ndarray) -> float:
    if got.shape != want.shape or not np.all(np.isfinite(got) == np.isfinite(want)):
        return np.inf
    finite = np.isfinite(want)
    scale = float(np.max(np.abs(want), where=finite, initial=0.0))
    off = np.subtract(got, want, where=finite, out=np.zeros(want.shape))
    return float(np.max(np.abs(off), initial=0.0)) / max(scale, 1e-30)
