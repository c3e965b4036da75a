"""A size that a model leaves open, to count with: a layer's shape formulas take it like a number."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.errors import ExportError


class Size:
    """A value of one whole number, in a graph; +, -, * and // with numbers and others give sizes, as operations."""

    def __init__(self, graph: Any, value: str):
        self.graph, self.value = graph, value

    def __add__(self, other: Any) -> "Size":
        return self._with("Add", self, other)

    def __sub__(self, other: Any) -> "Size":
        return self._with("Sub", self, other)

    def __rsub__(self, other: Any) -> "Size":
        return self._with("Sub", other, self)

    def __mul__(self, other: Any) -> "Size":
        return self if isinstance(other, int) and other == 1 else self._with("Mul", self, other)

    def __floordiv__(self, other: Any) -> "Size":
        """Of numbers that are not below 0: ONNX rounds to 0."""
        return self if isinstance(other, int) and other == 1 else self._with("Div", self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __bool__(self) -> bool:
        raise ExportError("its ONNX form depends on a size that shall stay open; export it without --dynamic")

    def _with(self, op: str, a: Any, b: Any) -> "Size":
        return Size(self.graph, self.graph.op(op, [value(self.graph, a), value(self.graph, b)]))


def value(graph: Any, size: int | Size) -> str:
    """A size as a value of one element."""
    return size.value if isinstance(size, Size) else str(graph.const(np.array([size], np.int64)))


def joined(graph: Any, sizes: Sequence[int | Size]) -> str:
    """Sizes as one value: a constant where none is open."""
    if not any(isinstance(size, Size) for size in sizes):
        return str(graph.const(np.array(sizes, np.int64), "shape"))
    runs: list[Any] = []
    for size in sizes:
        if isinstance(size, Size) or not runs or isinstance(runs[-1], Size):
            runs.append(size if isinstance(size, Size) else [size])
        else:
            runs[-1].append(size)
    parts = [run.value if isinstance(run, Size) else graph.const(np.array(run, np.int64)) for run in runs]
    return str(parts[0] if len(parts) == 1 else graph.op("Concat", parts, axis=0))
