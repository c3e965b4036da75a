"""Predictions of a net or of its ONNX model: files in, the largest outputs out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from netdef.errors import ExportError, NetdefError, SourceError
from netdef.export.preprocess import Preprocess
from netdef.names import nearest
from netdef.net import Net

Array = np.ndarray


class Model(Protocol):
    """What predicts: `shape` is the input's as a blob (number, ...), `prepare` what it does to images itself."""

    shape: tuple[int, ...]
    prepare: Preprocess | None

    def outputs(self, x: Array) -> dict[str, Array]:
        """The outputs for a whole batch."""


class NetModel:
    """A built net with weights and one input."""

    prepare = None

    def __init__(self, net: Net):
        if len(net.inputs) != 1:
            raise ExportError(f"net '{net.name}' has {len(net.inputs)} inputs; predictions are made from one")
        self.net = net
        self.shape = net.blobs[net.inputs[0]].shape

    def outputs(self, x: Array) -> dict[str, Array]:
        self.net.blobs[self.net.inputs[0]].data[...] = x
        self.net.forward()
        return {name: self.net.blobs[name].data for name in self.net.outputs}


class OnnxModel:
    """An ONNX model with one input, in ONNX Runtime. Raises ExportError for a file that is none."""

    def __init__(self, path: str):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self.runtime = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as e:
            raise ExportError(f"cannot open {path} as an ONNX model: {e}") from e
        inputs = self.runtime.get_inputs()
        if len(inputs) != 1:
            raise ExportError(f"{path} has {len(inputs)} inputs; predictions are made from one")
        self.input = inputs[0]
        sizes = [d if isinstance(d, int) else 0 for d in self.input.shape]
        says = self.runtime.get_modelmeta().custom_metadata_map
        last = len(sizes) == 4 and sizes[3] in (1, 3) and sizes[1] not in (1, 3)
        own = Preprocess(swap=says.get("channels") == "rgb", last=last, bytes=self.input.type == "tensor(uint8)")
        self.prepare = own or None
        self.shape = tuple(sizes if not last else (sizes[0], sizes[3], *sizes[1:3]))

    def outputs(self, x: Array) -> dict[str, Array]:
        names = [o.name for o in self.runtime.get_outputs()]
        kind = np.uint8 if self.input.type == "tensor(uint8)" else np.float32
        try:
            return dict(zip(names, self.runtime.run(names, {self.input.name: x.astype(kind)}), strict=True))
        except Exception as e:
            raise ExportError(f"ONNX Runtime fails on the model: {e}") from e


@dataclass
class Images:
    """What is done to a picture: made `resize` x `resize`, cropped to the input, prepared."""

    prepare: Preprocess | None = None
    resize: int | None = None
    oversample: bool = False


@dataclass
class Prediction:
    """The largest outputs for one file, largest first; with `items`, those of the further items of an array."""

    file: str
    indices: list[int]
    scores: list[float]
    labels: list[str]
    items: list["Prediction"] = field(default_factory=list)


def predict(
    model: Model, file: str, images: Images, labels: Sequence[str] = (), top: int = 5, blob: str | None = None
) -> Prediction:
    """The `top` largest outputs for an image (the mean over its crops), or for each item of a .npy array.

    Raises NetdefError that names the file.
    """
    try:
        if file.endswith(".npy"):
            scores = _run(model, _array(file, model, images), blob)
        else:
            scores = _run(model, _crops(file, model, images), blob).mean(axis=0, keepdims=True)
    except NetdefError as e:
        raise e.at(file) from None
    first, *others = (_ranked(file, row, labels, top) for row in scores)
    first.items = others
    return first


def _ranked(file: str, scores: Array, labels: Sequence[str], top: int) -> Prediction:
    order = np.argsort(-scores, kind="stable")[:top].tolist()
    names = [labels[i] if i < len(labels) else "" for i in order]
    return Prediction(file, order, [float(scores[i]) for i in order], names)


def _run(model: Model, x: Array, blob: str | None) -> Array:
    """The scores (items, outputs), batch by batch; what is missing in the last batch is zeros."""
    batch = model.shape[0] or len(x)
    found = []
    for at in range(0, len(x), batch):
        part = x[at : at + batch]
        padded = np.concatenate([part, np.zeros((batch - len(part), *x.shape[1:]), x.dtype)])
        outputs = model.outputs(padded)
        name = blob or list(outputs)[-1]
        if name not in outputs:
            raise ExportError(f"no output '{name}'{nearest(name, outputs)}")
        if not outputs[name].ndim or outputs[name].shape[0] != batch:
            raise ExportError(f"output '{name}' has shape {outputs[name].shape}, not one row for each of {batch} items")
        found.append(outputs[name].reshape(batch, -1)[: len(part)].copy())
    return np.concatenate(found)


def _array(file: str, model: Model, images: Images) -> Array:
    try:
        x = np.load(file)
    except (OSError, ValueError, EOFError) as e:
        raise SourceError(f"cannot be read as an array: {e}") from e
    want = model.shape[1:]
    x = x[None] if x.ndim == len(want) else x
    if x.dtype.kind not in "fiub" or len(x.shape) != len(model.shape) or not _fits(x.shape[1:], want) or not len(x):
        raise SourceError(f"has shape {x.shape} of {x.dtype}; want numbers, (items, {', '.join(map(str, want))})")
    x = images.prepare.apply(x) if images.prepare else np.asarray(x, np.float32)
    return _as_taken(x, model)


def _fits(shape: Sequence[int], want: Sequence[int]) -> bool:
    return all(w in (0, d) for d, w in zip(shape, want, strict=True))


def _as_taken(x: Array, model: Model) -> Array:
    """A blob in the layout and channel order that the model asks for."""
    own = model.prepare
    x = x[:, ::-1] if own and own.swap else x
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if own and own.last else x


def _crops(file: str, model: Model, images: Images) -> Array:
    """One crop of the picture, or ten, as the model takes them."""
    from netdef.sources.image import COLOUR, GRAY, decode, resize

    if len(model.shape) != 4:
        raise SourceError(f"the input has shape {model.shape}; an image wants (number, channels, height, width)")
    channels, height, width = model.shape[1:]
    try:
        picture = decode(Path(file).read_bytes(), GRAY if channels == 1 else COLOUR)
    except OSError as e:
        raise SourceError(f"cannot be read: {e.strerror or e}") from e
    height, width = height or picture.shape[1], width or picture.shape[2]
    large = (images.resize,) * 2 if images.resize else (256, 256) if images.oversample else (height, width)
    if large[0] < height or large[1] < width:
        raise SourceError(f"made {large[0]} x {large[1]}, the image is smaller than the input, {height} x {width}")
    x = resize(picture, *large)
    down, right = large[0] - height, large[1] - width
    places = [(down // 2, right // 2)]
    if images.oversample:
        places += [(0, 0), (0, right), (down, 0), (down, right)]
    crops = [x[:, top : top + height, left : left + width] for top, left in places]
    if images.oversample:
        crops += [crop[:, :, ::-1] for crop in crops]
    y = np.stack(crops).astype(np.float32)
    if images.prepare:  # the picture is BGR already: the order that was asked for is what the net was trained on
        y = images.prepare.apply(y)
    return _as_taken(y, model)
