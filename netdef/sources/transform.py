"""transform_param: what happens to an image between file and net. Source: Caffe's data_transformer.cpp."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import AbsentError, SourceError
from netdef.sources import draws
from netdef.sources.augment import OPTIONS, Augment
from netdef.sources.image import COLOUR, GRAY, NATIVE
from netdef.sources.mean import read_mean

Shape = tuple[int, ...]
TRAIN = 0
READ = {"scale", "mirror", "crop_size", "mean_file", "mean_value", "force_color", "force_gray"}
READ |= {field.name for field in OPTIONS.fields}
Write = Callable[[np.ndarray, np.ndarray, np.ndarray | None, np.float32, bool], None]


def write(x: np.ndarray, y: np.ndarray, mean: np.ndarray | None, scale: np.float32, mirrored: bool) -> None:
    """y = (x - mean) * scale, with the last column first if mirrored; mean is broadcast to x, or None."""
    if mirrored:
        y = y[..., ::-1]
    y[...] = x
    if mean is not None:
        y -= mean
    if scale != 1:
        y *= scale


class Transform:
    """y = (x - mean) * scale on a window of x, mirrored or not; the mean image is cut and mirrored with x.

    Windows lie anywhere in TRAIN and in the centre in TEST; mirroring happens in both phases, as in Caffe.
    """

    def __init__(self, param: Any, phase: int, find: Callable[[str], Path] = Path, write_bytes: Write = write):
        """`param` is a TransformationParameter; `write_bytes` does for one image of bytes what `write` does.

        Raises SourceError for settings that contradict one another, and for those that a plugin added for a layer of
        its own: to pass them over would change the images in silence.
        """
        unread = [field.name for field, _ in param.ListFields() if field.name not in READ]
        if unread:
            raise SourceError(f"transform_param: {unread[0]} is for another layer and not done here; leave it out")
        self.train = phase == TRAIN
        self.crop, self.mirror, self.scale = int(param.crop_size), bool(param.mirror), np.float32(param.scale)
        self.channels = _channels(param)
        if param.mean_file and len(param.mean_value):
            raise SourceError("transform_param has both mean_file and mean_value; want one of the two")
        self.mean: np.ndarray | None = None
        self.mean_file = param.mean_file
        if param.mean_file:
            try:
                self.mean = read_mean(find(param.mean_file))
            except AbsentError as e:
                raise AbsentError(f"{e}; make it with netdef data mean DB {param.mean_file}") from None
        elif len(param.mean_value):
            self.mean = np.array(param.mean_value, np.float32).reshape(-1, 1, 1)
        self.augment = Augment(param)
        self.write_bytes = write_bytes

    def shape(self, x: Shape) -> Shape:
        """The shape of an image of shape x (channels, height, width) afterwards. Raises SourceError: does not fit."""
        channels, height, width = x
        if self.crop and min(height, width) < self.crop:
            raise SourceError(f"is {height} x {width}, smaller than crop_size {self.crop}")
        if self.mean is not None and self.mean_file and self.mean.shape != x:
            raise SourceError(f"has shape {x}, but the mean in {self.mean_file} has {self.mean.shape}")
        if self.mean is not None and len(self.mean) not in (1, channels):
            raise SourceError(
                f"has {channels} channels, but there are {len(self.mean)} mean_value; want 1 or {channels}"
            )
        return (channels, self.crop, self.crop) if self.crop else x

    def apply(self, images: Sequence[np.ndarray] | np.ndarray, out: np.ndarray, key: int) -> None:
        """Write image i to out[i], float; random numbers are functions of the key and i."""
        if isinstance(images, np.ndarray) and not (self.crop or self.mirror or (self.train and self.augment.any)):
            write(images, out, self.mean, self.scale, False)
            return
        u = draws.uniform(key, len(images), 3 + Augment.DRAWS)
        for i, x in enumerate(images):
            self._one(self._changed(x, u[i, 3:], key, i), out[i], *u[i, :3])

    def _changed(self, x: np.ndarray, u: np.ndarray, key: int, i: int) -> np.ndarray:
        return self.augment(x, u, key, i) if self.train and self.augment.any else x

    def _one(self, x: np.ndarray, y: np.ndarray, top: float, left: float, side: float) -> None:
        rows, columns = self._window(x.shape[1], top), self._window(x.shape[2], left)
        mean = self.mean
        if mean is not None and self.mean_file:
            mean = mean[:, rows, columns]
        put = self.write_bytes if x.dtype == np.uint8 else write
        put(x[:, rows, columns], y, mean, self.scale, self.mirror and side < 0.5)

    def _window(self, size: int, u: float) -> slice:
        if not self.crop:
            return slice(0, size)
        room = size - self.crop
        first = int(u * (room + 1)) if self.train else room // 2
        return slice(first, first + self.crop)


def declared(param: Any, channels: int = 3, size: tuple[int, int] | None = None) -> Shape | None:
    """The shape of an image as far as settings alone tell; `size` is what it is resized to."""
    if param.crop_size:
        size = (param.crop_size, param.crop_size)
    if size is None:
        return None
    return (1 if param.force_gray else channels, *size)


def _channels(param: Any) -> str:
    if param.force_color and param.force_gray:
        raise SourceError("transform_param has both force_color and force_gray; want one of the two")
    return COLOUR if param.force_color else GRAY if param.force_gray else NATIVE
