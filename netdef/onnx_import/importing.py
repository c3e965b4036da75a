"""The net that an ONNX model becomes, as far as it is made, and what is known of the model's values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef.graph.choose import layer_class
from netdef.layer import TEST, Context
from netdef.registry import Registry
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer

Shape = tuple[int, ...]


@dataclass
class Padded:
    """A value that is another with zeros around its image: whoever has a padding of its own takes the zeros over."""

    source: str
    begin: list[int]
    end: list[int]
    build: Callable[[], str]
    """The layers that put the zeros there, for a reader which has none; the name of their top."""


@dataclass
class Seen:
    """A value that is another in a form which its reader may not need: indices counted through all images, say."""

    source: str
    how: tuple[Any, ...]
    build: Callable[[], str]
    """The layers that make it, for a reader which does need it; the name of their top."""


@dataclass
class Importing:
    """The net so far. Values go by ONNX's names, which are those of the tops, or by names of their own."""

    param: Any
    registry: Registry
    weights: list[StoredLayer] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    """As ONNX infers them, as far as it does; of tops, as their layers do."""
    same: dict[str, str] = field(default_factory=dict)
    """Values that are another by another name."""
    padded: dict[str, Padded] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    """Values that are whole numbers, which ONNX has as such and a blob as floats."""
    read: set[str] = field(default_factory=set)
    """Values that an operation reads, or that are the model's outputs."""
    taken: set[str] = field(default_factory=set)
    """Names that a value here may not take: ONNX's."""
    _names: set[str] = field(default_factory=set)
    _own: set[str] = field(default_factory=set)

    def add(
        self, wish: str, kind: str, bottoms: Sequence[str], blobs: Sequence[Any], tops: Sequence[str], options: Any
    ) -> None:
        """A layer at the end; its blobs go to float32, its tops' shapes are noted. Raises NetdefError, at its place."""
        layer = self.param.layer.add(name=self._fresh(wish, self._names), type=kind, bottom=bottoms, top=tops)
        for block, values in options.items():
            _set(getattr(layer, block), values)
        arrays = [np.array(x, np.float32, order="C", copy=None) for x in blobs]
        self.weights.append(StoredLayer(layer.name, kind, [Stored(x.shape, x) for x in arrays]))
        self.shapes.update(zip(tops, self._infer(layer, [self.shapes[b] for b in bottoms]), strict=True))

    def _infer(self, layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
        context = Context(TEST)
        context.declared = self.registry.schema.declared
        made = layer_class(layer, self.registry)(layer, context)
        made.setup(bottoms)
        own, given = [b.shape for b in made.blobs], [s.shape for s in self.weights[-1].blobs if s]
        if own != given:
            raise ExportError(f"a {layer.type} has parameters of {own}, not {given}")
        return [tuple(map(int, shape)) for shape in made.infer(*bottoms)][: len(layer.top)]

    def top(self, wish: str) -> str:
        """A name for a value that ONNX does not have."""
        name = self._fresh(wish, self.taken)
        self._own.add(name)
        return name

    def blob(self, name: str) -> str:
        """A value as a top that a layer may read: constants become parameters, zeros around images layers."""
        name = self.same.get(name, name)
        for later in (self.padded, self.seen):
            if name in later:
                self.same[name] = later.pop(name).build()  # type: ignore[attr-defined]
        name = self.same.get(name, name)
        if name in self.constants:
            x, top = self.constants[name], self.top(f"{name}/value")
            options = {"parameter_param": {"shape": {"dim": list(x.shape)}}}
            self.add(name, self.registry.role("parameter"), [], [x], [top], options)
            self.same[name] = name = top
        if name not in self.shapes:
            raise ExportError(f"'{name}' is no value of the model")
        return name

    def copy(self, name: str) -> None:
        """An output that is another value by another name: that of its own, if ONNX has none for it, else a copy."""
        source = self.blob(name)
        if source in self._own:
            for layer in self.param.layer:
                for names in (layer.bottom, layer.top):
                    names[:] = [name if n == source else n for n in names]
            self.shapes[name], self.same[source] = self.shapes[source], name
            self.same.pop(name, None)
            return
        self.add(name, self.registry.role("split"), [source], [], [name], {})

    def _fresh(self, wish: str, names: set[str]) -> str:
        name, n = wish, 1
        while name in names:
            n += 1
            name = f"{wish}_{n}"
        names.add(name)
        return name


def _set(block: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            _set(getattr(block, name), value)
        elif isinstance(value, list):
            getattr(block, name).extend(value)
        else:
            setattr(block, name, value)
    block.SetInParent()
