"""An operation as an importer sees it: a function from a Node to the value, or the values, that it gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from netdef.errors import ExportError
from netdef.onnx_import.importing import Importing, Padded, Seen, Shape

Pads = tuple[list[int], list[int]]
MOVES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather", "Identity", "Cast"}
"""What leaves whole numbers whole."""


class Node:
    """What an importer reads of the operation, and `layer`, by which it adds to the net.

    Values are names: those in `inputs`, "" where one is left out, and those that `layer` returns.
    """

    def __init__(self, node: onnx.NodeProto, done: Importing):
        self.node, self.op, self._done = node, node.op_type, done
        self.name: str = node.name or node.output[0]
        self.attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.inputs = [done.same.get(name, name) for name in node.input]
        self._first = len(done.param.layer)

    # -- what it is ---------------------------------------------------------------------------------------------------

    def has(self, i: int) -> bool:
        """Whether there is an i-th input."""
        return i < len(self.inputs) and bool(self.inputs[i])

    def is_constant(self, value: str) -> bool:
        return value in self._done.constants

    def weight(self, i: int) -> np.ndarray:
        """The i-th input's numbers. Raises ExportError where they are computed."""
        if not self.has(i) or not self.is_constant(self.inputs[i]):
            raise ExportError(f"input {i} is computed; a layer of Caffe needs it constant")
        return self._done.constants[self.inputs[i]]

    def constant(self, value: str) -> np.ndarray:
        return self._done.constants[value]

    def made_constant(self, x: np.ndarray) -> str:
        """A value that is these numbers."""
        name = self._done.top(f"{self.name}/constant")
        self._done.constants[name] = np.asarray(x)
        return name

    def argument(self, name: str, i: int) -> Any:
        """What ONNX has as an attribute in one version and as the i-th input in another; None where it is neither."""
        if name in self.attributes:
            return np.asarray(self.attributes[name])
        return self.weight(i) if self.has(i) else None

    def shape(self, value: str) -> Shape:
        """Raises ExportError where it is not known."""
        done = self._done
        if value in done.constants:
            return tuple(done.constants[value].shape)
        if value not in done.shapes:
            raise ExportError(f"the shape of '{value}' is not fixed; give the inputs' with --shape")
        return done.shapes[value]

    def is_read(self, t: int) -> bool:
        return t < len(self.node.output) and bool(self.node.output[t]) and self.node.output[t] in self._done.read

    def knows(self, kind: str) -> bool:
        """Whether a plugin provides a layer type."""
        return kind in self._done.registry.names("layers")

    # -- zeros around images ------------------------------------------------------------------------------------------

    def unpadded(self, value: str) -> tuple[str, Pads]:
        """A value without the zeros around it, and how many there are before and behind along each axis of an image."""
        if value in self._done.padded:
            found = self._done.padded[value]
            return found.source, (found.begin, found.end)
        axes = max(0, len(self.shape(value)) - 2)
        return value, ([0] * axes, [0] * axes)

    def spread_out(self, value: str) -> str:
        """A value with the zeros around it as a top, for a reader to whom they are numbers like others."""
        return self._done.blob(value)

    def postpone(self, begin: list[int], end: list[int], build: Any) -> None:
        """Let the reader of the output pad; `build` is for one that cannot."""
        source, before = self.unpadded(self.inputs[0])
        begin, end = ([a + b for a, b in zip(x, y, strict=True)] for x, y in zip((begin, end), before, strict=True))
        name, (n, c, *image) = self.node.output[0], self.shape(source)
        self._done.shapes[name] = (n, c, *(d + a + b for d, a, b in zip(image, begin, end, strict=True)))
        self._done.padded[name] = Padded(source, begin, end, build)

    # -- values of which a reader may need less ------------------------------------------------------------------------

    def seen(self, value: str, *how: Any) -> str | None:
        """The value that this one is seen in the way `how` of, as `see` says; None where it is not."""
        found = self._done.seen.get(value)
        return found.source if found and found.how == how else None

    def see(self, source: str, build: Any, *how: Any) -> str:
        """A value that is the source seen in the way `how`; `build` makes it for a reader that does not ask `seen`."""
        name = self._done.top(f"{self.name}/{how[0]}")
        self._done.seen[name] = Seen(source, how, build)
        self._done.shapes[name] = self.shape(source)
        return name

    def is_whole(self, value: str) -> bool:
        """Whether a value is whole numbers, as far as importers have said so."""
        return value in self._done.whole

    def wholly(self, value: str) -> str:
        """Say that a value is whole numbers."""
        self._done.whole.add(value)
        return value

    # -- what it becomes ----------------------------------------------------------------------------------------------

    def layer(
        self, kind: str, bottoms: str | Sequence[str], blobs: Sequence[Any] = (), tops: int = 1, **options: Any
    ) -> Any:
        """Add a layer: its top's name, or the list of names where there are not one but `tops` of them.

        `options` are blocks as dicts: pooling_param={"kernel_size": 2}. Raises NetdefError where the layer refuses.
        """
        done = self._done
        sources = [done.blob(b) for b in ([bottoms] if isinstance(bottoms, str) else bottoms)]
        first = len(done.param.layer) == self._first
        names = [done.top(f"{self.node.output[0]}/{kind}") for _ in range(tops)]
        done.add(self.name if first else f"{self.name}/{kind}", kind, sources, blobs, names, options)
        return names[0] if tops == 1 else names

    def give(self, values: str | Sequence[str] | None) -> None:
        """Let these values be the outputs. Raises ExportError where ONNX knows that their shapes are other ones."""
        done = self._done
        for value, output in zip([values] if isinstance(values, str) else values or [], self.node.output, strict=False):
            if output not in done.read:
                continue
            known = done.shapes.get(output)
            if known is not None and known != self.shape(value):
                raise ExportError(f"would have shape {self.shape(value)}, in ONNX it has {known}")
            if value in done.whole or (self.op in MOVES and self.inputs[0] in done.whole):
                done.whole.update((value, output))
            own = [n for layer in done.param.layer[self._first :] for n in (layer.bottom, layer.top) if value in n]
            if own and value not in done.same.values():
                for names in own:
                    names[:] = [output if name == value else name for name in names]
                done.shapes[output] = done.shapes[value]
            else:
                done.same[output] = value
