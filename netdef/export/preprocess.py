"""What is done to an image before a net sees it, in NumPy and as operations in front of the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.errors import ExportError

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Preprocess:
    """y = (x - mean) * scale, Caffe's order, after what a picture library gives was made what the net takes."""

    mean: np.ndarray | None = None
    """(channels,) or (channels, height, width), in the net's order of channels; a larger one is cut in the middle."""
    scale: float = 1.0
    swap: bool = False
    """Whether the model takes RGB for a net of BGR, or the other way round."""
    last: bool = False
    """Whether the model takes channels last: (number, height, width, channels)."""
    bytes: bool = False
    """Whether the model takes uint8."""

    def __bool__(self) -> bool:
        return self.mean is not None or self.scale != 1 or self.swap or self.last or self.bytes

    def shape(self, blob: Sequence[Any]) -> tuple[Any, ...]:
        """What the model takes for a blob (number, channels, height, width)."""
        return (blob[0], *blob[2:], blob[1]) if self.last else tuple(blob)

    def axis(self, axis: int) -> int:
        """Where an axis of the blob is in what the model takes."""
        return {1: 3, 2: 1, 3: 2}.get(axis, axis) if self.last else axis

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The blob for what the model takes."""
        y = np.asarray(x, np.float32)
        y = y.transpose(0, 3, 1, 2) if self.last else y
        y = y[:, ::-1] if self.swap else y
        if self.mean is not None:
            y = y - self._mean(y.shape)
        return np.ascontiguousarray(y * np.float32(self.scale))

    def operations(self, graph: Any, x: str, blob: Shape, open_axes: Shape) -> str:
        """The same in ONNX. Raises ExportError where it does not fit the blob."""
        if len(blob) != 4:
            raise ExportError(f"images go into blobs of four axes; this one has shape {blob}")
        if self.swap and blob[1] != 3:
            raise ExportError(f"the order of channels is for 3 of them; the input has {blob[1]}")
        if self.mean is not None and self.mean.ndim == 3 and {2, 3}.intersection(open_axes):
            raise ExportError(
                "a mean image has one size; give the mean as a value for each channel: --mean 104,117,123"
            )
        x = graph.op("Cast", [x], to=1) if self.bytes else x
        x = graph.op("Transpose", [x], perm=(0, 3, 1, 2)) if self.last else x
        x = graph.op("Gather", [x, graph.const(np.array([2, 1, 0]))], axis=1) if self.swap else x
        if self.mean is not None:
            x = graph.op("Sub", [x, graph.const(self._mean(blob), "mean")])
        return x if self.scale == 1 else graph.op("Mul", [x, graph.const(np.float32(self.scale))])

    def _mean(self, blob: Shape) -> np.ndarray:
        """The mean as it is taken from a blob (number, channels, height, width)."""
        assert self.mean is not None
        mean = np.asarray(self.mean, np.float32)
        if len(mean) not in (1, blob[1]):
            raise ExportError(f"the mean has {len(mean)} channels and the input {blob[1]}")
        if mean.ndim == 1:
            return mean.reshape(1, -1, 1, 1)
        if mean.shape[1] < blob[2] or mean.shape[2] < blob[3]:
            raise ExportError(f"the mean image is {mean.shape[1]} x {mean.shape[2]}, smaller than the input {blob[2:]}")
        top, left = (mean.shape[1] - blob[2]) // 2, (mean.shape[2] - blob[3]) // 2
        return mean[None, :, top : top + blob[2], left : left + blob[3]]


def mean_of(text: str) -> np.ndarray:
    """Values as in "104,117,123", or a file: a .npy array or a binaryproto. Raises NetdefError."""
    from pathlib import Path

    from netdef.sources.mean import read_mean

    try:
        return np.array([float(v) for v in text.split(",")], np.float32)
    except ValueError:
        pass
    if not text.endswith(".npy"):
        return read_mean(Path(text))
    try:
        mean = np.load(text)
    except (OSError, ValueError) as e:
        raise ExportError(f"cannot read {text} as an array: {e}") from e
    mean = mean[0] if mean.ndim == 4 and len(mean) == 1 else mean
    if mean.ndim not in (1, 3) or mean.dtype.kind not in "fiu":
        raise ExportError(f"{text} has shape {mean.shape}; want (channels,) or (channels, height, width)")
    return np.asarray(mean, np.float32)
