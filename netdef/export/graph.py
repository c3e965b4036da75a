"""The ONNX graph that layers build, one operation at a time; every value has one maker and a name of its own."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from netdef.errors import ExportError
from netdef.export.size import Size, joined
from netdef.layer import Layer

OPSET = 18
FAR = int(np.iinfo(np.int64).max)  # behind every axis
IR_VERSION = 8  # the oldest that may hold this opset, so that every runtime that knows the opset reads the file


class Graph:
    """What to_onnx gets. Values are strings: the `inputs` of to_onnx, and what op, const and weight return."""

    def __init__(self, reserved: Iterable[str] = ()):
        """`reserved` are names that no value made here may take: the blobs' own, given out when the net is complete."""
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, np.ndarray] = {}
        """Weights as the net's own memory: they are copied once, into the model."""
        self.layer = ""
        """The layer at work; names start with it."""
        self.varying: dict[str, tuple[int, ...]] = {}
        """Axes whose size the data decides, by value."""
        self._taken = set(reserved)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._open: dict[str, tuple[int, ...]] = {}
        self._weights: dict[Any, str] = {}
        self._constants: dict[Any, str] = {}

    def op(self, op_type: str, inputs: Sequence[Any], outputs: int = 1, **attributes: Any) -> Any:
        """Add an operation of ONNX opset 18; its output's name, or with outputs > 1 the list of their names.

        Inputs are names, or arrays, which become constants. None stands for an optional input left out, or an attribute
        left at its default. Raises ExportError for an
        operation or attribute that opset 18 does not have, and for an input that nothing made.
        """
        schema = self._schema(op_type)
        inputs = [self.const(x) if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
        for name in inputs:
            if name and name not in self._taken:
                raise ExportError(f"{op_type} reads '{name}', which nothing made")
        while inputs and not inputs[-1]:
            inputs.pop()
        names = [self.fresh(f"{self.layer}/{op_type}") for _ in range(outputs)]
        node = helper.make_node(op_type, [n or "" for n in inputs], names, name=names[0])
        for key, value in attributes.items():
            if value is not None:
                node.attribute.append(self._attribute(schema, key, value))
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def const(self, array: Any, hint: str = "const") -> str:
        """An initializer that holds the array as it is (float64 becomes float32: nets are float32 in ONNX)."""
        array = np.asarray(array)
        array = np.ascontiguousarray(array, np.float32 if array.dtype == np.float64 else None).reshape(array.shape)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.nbytes <= 1024 else None
        if key is None or key not in self._constants:
            name = self._initializer(array, f"{self.layer}/{hint}")
            if key is None:
                return name
            self._constants[key] = name
        return self._constants[key]

    def weight(self, layer: Layer, i: int) -> str:
        """The initializer of a layer's i-th parameter, `layer/i`; parameters that share memory share one."""
        blob = layer.blobs[i]
        key = (id(blob.storages[0]), blob.shape)
        if key not in self._weights:
            self._weights[key] = self._initializer(np.asarray(blob.data, np.float32), f"{layer.name}/{i}")
        return self._weights[key]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a bottom, a constant or a weight. Raises ExportError for values between operations."""
        if name not in self._shapes:
            raise ExportError(f"'{name}' has no known shape; bottoms, constants, weights do")
        return self._shapes[name]

    def sizes(self, name: str) -> tuple[Any, ...]:
        """The shape of a bottom: numbers, and for axes that stay open a Size, to count with as with numbers."""
        free = self.open_axes(name)
        return tuple(self.size(name, axis) if axis in free else size for axis, size in enumerate(self.shape(name)))

    def size(self, name: str, axis: int) -> Size:
        """How long an axis of any value is when the model runs."""
        return Size(self, self.op("Gather", [self.op("Shape", [name]), self.const(np.array([axis], np.int64))]))

    def joined(self, sizes: Iterable[Any]) -> str:
        """Numbers and Sizes as one value, as Reshape, Expand and Resize take it."""
        return joined(self, list(sizes))

    def cut(self, name: str, axes: int | Iterable[int], begin: Any = None, end: Any = None, step: int = 1) -> str:
        """What NumPy's x[begin:end:step] gives along one axis or several.

        Bounds are numbers, Sizes or None, one for every axis or a list of one for each.
        """
        axes = [axes] if isinstance(axes, int) else list(axes)
        bounds = []
        for bound, far in ((begin, 0 if step > 0 else FAR), (end, FAR if step > 0 else -FAR)):
            each = bound if isinstance(bound, list | tuple) else [bound] * len(axes)
            bounds.append([far if b is None else b for b in each])
        steps = [] if step == 1 else [[step] * len(axes)]
        return str(self.op("Slice", [name, *map(self.joined, (*bounds, axes, *steps))]))

    def numbers(self, begin: Any, end: Any) -> str:
        """The whole numbers from `begin` up to `end`: numbers, Sizes, or values of one whole number."""
        values = [bound if isinstance(bound, str) else self.joined([bound]) for bound in (begin, end)]
        bounds = [self.op("Squeeze", [value]) for value in values]
        return str(self.op("Range", [*bounds, self.const(np.int64(1))]))

    def varies(self, name: str, *axes: int) -> str:
        """Note that the data decides the size of these axes of a value, such as how much was found; its name."""
        self.varying[name] = axes
        return name

    def fresh(self, wish: str) -> str:
        """A name nothing else has: the wish, or the wish with a number."""
        name, n = wish, 1
        while name in self._taken:
            n += 1
            name = f"{wish}_{n}"
        self._taken.add(name)
        return name

    def open_axes(self, name: str) -> tuple[int, ...]:
        """Axes of a bottom whose size the model leaves open: operations must not hold their size.

        None at all unless the export was asked for it; what holds a size all the same is refused by the layer's name.
        """
        return self._open.get(name, ())

    def settle(self, name: str, shape: tuple[int, ...], open_axes: tuple[int, ...] = ()) -> str:
        """Record the shape of a top's value; its name. Raises ExportError where the shape is known to be another."""
        self._open[name] = tuple(open_axes)
        if name not in self._taken:
            raise ExportError(f"to_onnx returned '{name}', which nothing made")
        known = self._shapes.setdefault(name, tuple(shape))
        if known != tuple(shape):
            raise ExportError(f"to_onnx gave a value of shape {known} for a top of shape {shape}")
        return name

    def _initializer(self, array: np.ndarray, wish: str) -> str:
        name = self.fresh(wish)
        self.initializers[name] = array
        self._shapes[name] = array.shape
        return name

    def _schema(self, op_type: str) -> Any:
        try:
            return onnx.defs.get_schema(op_type, OPSET)
        except onnx.defs.SchemaError:
            raise ExportError(f"ONNX opset {OPSET} has no operation '{op_type}'") from None

    def _attribute(self, schema: Any, key: str, value: Any) -> onnx.AttributeProto:
        if key not in schema.attributes:
            known = ", ".join(sorted(schema.attributes)) or "none"
            raise ExportError(f"{schema.name} has no attribute '{key}'; it has: {known}")
        if isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        kind = schema.attributes[key].type.value
        if kind == onnx.AttributeProto.FLOAT:  # ONNX tells 1 from 1.0, authors should not have to
            value = float(value)
        elif kind == onnx.AttributeProto.FLOATS:
            value = [float(v) for v in value]
        elif kind == onnx.AttributeProto.INTS:
            value = [int(v) for v in value]
        return helper.make_attribute(key, value, attr_type=kind)
