"""The contract of a layer: everything an author needs to read.

A layer turns bottom blobs into top blobs and does three things, each its own method:

    forward   x -> y                the top's data from the bottoms' data
    backward  dy, x -> dx           the gradient with respect to the bottoms, written to bottom[i].diff
    update    dy, x -> dw           the gradient with respect to the layer's own parameters, added to self.blobs[i].diff

The solver's rule, not the layer, then takes the step. A whole layer is one class in one file:

    class Square(ParameterFree):
        "y = x^2"
        type = "Square"

        def forward(self, bottom, top):
            np.square(bottom[0].data, out=top[0].data)

        def backward(self, top, propagate_down, bottom):
            bottom[0].diff[...] = 2 * bottom[0].data * top[0].diff

    @hookimpl
    def netdef_layers():
        return [Square]

and one entry point in the group "netdef" that names its module. What holds when the net calls:
- setup ran once, with the shapes of the bottoms; infer ran since a bottom's shape last changed, and the tops have
  the shapes it gave; forward ran before update, and update before backward, in the same pass.
- blob.data and blob.diff are C-contiguous arrays of blob.dtype (float32, or float64 when gradients are checked).
- sizes may change between passes: take them from the blobs, never from setup.
- where `in_place` is declared, the top may be the bottom: dy and dx, x and y are then the same memory.
"""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from netdef.blob import Blob
from netdef.errors import ExportError, LayerError
from netdef.hookspecs import hookimpl
from netdef.options import Block, Enum, Field

__all__ = ["TEST", "TRAIN", "Blob", "Block", "Context", "Enum", "Field", "Layer", "LayerError", "Loss"]
__all__ += ["Metric", "ParameterFree", "Shape", "Source", "hookimpl"]

Shape = tuple[int, ...]
Changed = tuple[Any, list[np.ndarray]]
"""A layer as a LayerParameter and its parameters, for netdef.surgery."""
TRAIN, TEST = 0, 1


@dataclass
class Context:
    """What a layer may know of the net it is in."""

    phase: int = TRAIN
    dtype: Any = np.float32
    seed: int = 0
    filler: Callable[..., None] | None = None
    """filler(array, filler_param, rng) fills in place; found by the name in filler_param.type."""
    find: Callable[[str], Path] = Path
    """Where a file named in the prototxt is: in the working directory, else beside the prototxt."""
    provided: Callable[[str, str], Any] | None = None
    """provided("sources", "LMDB"): what plugins registered under a name."""
    declared: Callable[[Any, Any], Any] = lambda options, message: message
    """declared(options, message): an option block as the class of a layer declared it."""
    allow_code: bool = False
    """Whether the user has said that code named by the prototxt may run."""
    extra: dict[str, Any] = field(default_factory=dict)


class Layer(ABC):
    """A step of a net. Derive from it (or from ParameterFree, Loss, Source) and say what the class needs."""

    type: ClassVar[str]
    """The name in the prototxt."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that forks gave the same layer."""
    bottoms: ClassVar[int | tuple[int, int | None]] = 1
    """How many: a number, or (least, most) with None for any."""
    tops: ClassVar[int | tuple[int, int | None]] = 1
    in_place: ClassVar[bool] = False
    """Whether the first top may be the first bottom's memory."""
    options: ClassVar[str | Block | None] = None
    """The option block it reads: a name from the schema, or a Block of its own."""
    also: ClassVar[tuple[str, ...]] = ()
    """Blocks beside its own that it reads, such as transform_param."""
    reads: Any = ("bottom",)
    """Whose data backward and update still need: "bottom", "top", both or none. May be a property."""
    shares: ClassVar[tuple[str, ...]] = ()
    """Storage the tops share with the first bottom: ("data", "diff") makes the layer a change of shape only."""
    no_gradient: ClassVar[tuple[int, ...] | Literal["all"]] = ()
    """Bottoms that can have no gradient, such as labels."""
    rectifies: Any = False
    """Whether forward is max(0, x) of each element, NaN staying NaN. May be a property."""
    absorbs: Any = ()
    """What it does for layers behind it: "affine" (their as_affine) and "rectified" in forward_then, "gradients" in
    backward_then. May be a property."""
    selects: Any = False
    """Whether y is made of numbers of x, and the gradient of each goes to the one that it is. May be a property."""
    is_loss: ClassVar[bool] = False
    """Whether the first top is a loss, with loss_weight 1 unless the prototxt says otherwise."""

    no_onnx: ClassVar[str] = ""
    """Why there is no ONNX form, where there can be none: what to_onnx then says."""
    role: ClassVar[str] = ""
    """A part it plays for the engine: "split" is what the engine inserts where a blob has several readers."""

    def __init__(self, layer_param: Any, context: Context):
        self.layer_param, self.context, self.dtype = layer_param, context, np.dtype(context.dtype)
        self.name: str = layer_param.name
        self.phase = layer_param.phase if layer_param.HasField("phase") else context.phase  # its own, as in Caffe
        block = self.options.name if isinstance(self.options, Block) else self.options
        self.param: Any = context.declared(self.options, getattr(layer_param, block)) if block else None
        self.blobs: list[Blob] = []
        self.fillers: list[Any] = []
        self.learns: list[bool] = []
        self.passes = 0

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        """Whether a layer is meant for this class, asked where several plugins provide the type.

        Options and counts that the class does not declare have ruled it out already; weights are not known yet.
        """
        return True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:  # noqa: B027 (few layers need it)
        """Once, before anything else: check options, make parameters with add_blob."""

    def infer(self, *shapes: Shape) -> list[Shape]:
        """The tops' shapes from the bottoms'. Pure: called again whenever a bottom's shape has changed."""
        return list(shapes)

    @abstractmethod
    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Write top[i].data. A layer whose top's size depends on the data calls top[i].reshape here."""

    @abstractmethod
    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """Write (not add to) bottom[i].diff wherever propagate_down[i]."""

    @abstractmethod
    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Add to self.blobs[i].diff the gradient of the loss with respect to each parameter."""

    def forward_then(
        self, bottom: list[Blob], top: list[Blob], affine: tuple[np.ndarray, np.ndarray] | None, rectified: bool
    ) -> None:
        """forward; then g y + b per channel for an `affine` (g, b), as in as_affine; then, `rectified`, max(0, y)."""
        raise NotImplementedError(f"{self.type} absorbs {self.absorbs}, but has no forward_then")

    def backward_then(
        self, behind: Blob, top: list[Blob], bottom: list[Blob], g: np.ndarray | None, rectified: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """bottom's diff from that of `behind`, which is top times g plus b per channel, then, `rectified`, max(0, y).

        For layers without learned parameters. Returns the gradients with respect to g and b.
        """
        raise NotImplementedError(f"{self.type} absorbs {self.absorbs}, but has no backward_then")

    def macs(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> int:
        """Multiply-adds of one forward pass, for the tables; 0 where there are hardly any."""
        return 0

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        """The names of the outputs, made with graph.op, graph.const and graph.weight."""
        raise ExportError(f"{self.type} has no ONNX form{': ' * bool(self.no_onnx)}{self.no_onnx}")

    def sample(self, j: int, bottom_shapes: Sequence[Shape], rng: np.random.Generator) -> np.ndarray | None:
        """What bottom j may hold where it takes no numbers at random, such as indices: an export is tried on these."""
        return None

    def as_affine(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(g, b) where, in TEST, y = g x + b with a number of each for every channel (axis 1); None where it is not.

        Such a layer may be run in place by a net that never runs backward.
        """
        return None

    def update_affine(self, dg: np.ndarray, db: np.ndarray) -> None:
        """Add to the parameters' diffs, as update does, from the gradients with respect to as_affine's (g, b)."""
        raise NotImplementedError(f"{self.type} has no update_affine")

    def absorbed(self, g: np.ndarray, b: np.ndarray) -> "Changed | None":
        """The layer whose tops are g y + b, per channel (axis 1), in place of this one; None where there is none."""
        return None

    def as_convolution(self, bottom: Shape) -> "Changed | None":
        """The layer that gives the same for a bottom (N, C, H, W), and more for a larger one; None for no such."""
        return None

    def add_blob(self, shape: Sequence[int], filler: Any = None, learns: bool = True) -> Blob:
        """A new parameter, filled by the FillerParameter given when the net is built; zero without one.

        `learns=False` is for statistics that forward keeps itself: no solver rule ever touches them.
        """
        blob = Blob(tuple(shape), self.dtype)
        self.blobs.append(blob)
        self.fillers.append(filler)
        self.learns.append(learns)
        return blob

    def rng(self) -> np.random.Generator:
        """Random numbers made from the seed, the layer's name and the pass alone, so that a resumed run repeats."""
        return np.random.Generator(np.random.Philox(key=np.array([self.key(), 0], np.uint64)))

    def key(self, count: int | None = None) -> int:
        """The same as 64 bits, for kernels that make a random number from (key, index).

        `count` takes the place of the number of passes where something else counts, such as epochs.
        """
        return random_key(self.context.seed, self.name, self.passes if count is None else count)


def random_key(seed: int, name: str, count: int) -> int:
    """What `Layer.key` gives, for those that must not hold on to the layer, such as threads."""
    return mix(mix(seed ^ zlib.crc32(name.encode()) << 32) + count)


def mix(z: int) -> int:
    """A 64-bit finalizer (splitmix64, Steele et al. 2014): close inputs, unrelated outputs."""
    mask = (1 << 64) - 1
    z = (z + 0x9E3779B97F4A7C15) & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return z ^ z >> 31


class ParameterFree(Layer):
    """A layer without parameters: there is nothing to update."""

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        pass


class Source(ParameterFree):
    """A layer that brings data in: no bottoms, hence no gradient."""

    bottoms = 0
    reads = ()

    def declared_shapes(self) -> list[Shape] | None:
        """The tops' shapes as far as the prototxt alone tells, for a check where the file is absent; else None."""
        return None

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        pass


class Loss(ParameterFree):
    """A layer whose first top, times its loss_weight (which top[0].diff holds), is part of what training minimizes."""

    is_loss = True


class Metric(ParameterFree):
    """A layer that judges a prediction, such as an accuracy: no gradient, and no place in an exported model."""

    no_gradient = "all"
    reads = ()

    def overall(self, batches: list[np.ndarray], solver: Any) -> np.ndarray:
        """What a test reports of its first top, as it was in each batch; `solver` is the SolverParameter, if any."""
        return np.mean(batches, axis=0)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        pass
