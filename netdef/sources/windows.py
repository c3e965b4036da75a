"""Windows of images: a file that lists them, and batches of foreground and background. Source: Caffe's window_data."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.sources import draws, image
from netdef.sources.batches import reused
from netdef.sources.skips import Skips
from netdef.sources.transform import Transform


@dataclass(frozen=True)
class Window:
    """A box in image number `image`; corners in pixels, both within the box."""

    image: int
    label: int
    overlap: float
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True)
class Sampling:
    """What a batch is made of, and how its windows are cut."""

    batch: int
    foreground: int
    fg_threshold: float
    bg_threshold: float
    context_pad: int = 0
    square: bool = False


def read_windows(path: Path, root: str = "") -> tuple[list[str], list[Window]]:
    """The images and their windows. For each image the file has a line "# NUMBER", its path, channels, height, width,
    the number of windows, and for each of these: label, overlap, x1, y1, x2, y2.

    Raises SourceError with the line.
    """
    try:
        lines = [line.strip() for line in path.read_text(errors="surrogateescape").splitlines()]
    except OSError as e:
        raise SourceError(f"{path}: {e.strerror or e}") from None
    images: list[str] = []
    windows: list[Window] = []
    at = 0
    try:
        while at < len(lines):
            if not lines[at]:
                at += 1
                continue
            if not lines[at].startswith("#"):
                raise ValueError
            images.append(root + lines[at + 1])
            at += 5
            count = int(lines[at])
            at += 1
            for _ in range(count):
                label, overlap, *box = lines[at].split()
                windows.append(Window(len(images) - 1, int(label), float(overlap), *_box(box)))
                at += 1
    except (ValueError, IndexError):
        found = f"'{lines[at]}'" if at < len(lines) else "the end"
        want = "'# NUMBER', path, channels, height, width, count, and for each window: label overlap x1 y1 x2 y2"
        raise SourceError(f"{path}:{at + 1}: {found}; want, each on its own line, {want}") from None
    return images, windows


def _box(words: list[str]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = map(int, words)
    return x1, y1, x2, y2


class Windows:
    """`read(p)`: images (batch, 3, crop, crop) and labels of pass p."""

    def __init__(
        self,
        images: list[str],
        windows: list[Window],
        sampling: Sampling,
        transform: Transform,
        key: Callable[[int], int],
        dtype: Any = np.float32,
        find: Callable[[str], Path] = Path,
        cache: bool = False,
        skip_bad: bool = False,
    ):
        """Raises SourceError where a kind that a batch needs is missing, and for a foreground window of label 0."""
        self.images, self.sampling, self.transform = images, sampling, transform
        self.key, self.dtype = key, np.dtype(dtype)
        self.find, self.cache = find, cache
        self._kept: dict[int, bytes] = {}
        foreground = [w for w in windows if w.overlap >= sampling.fg_threshold]
        background = [w for w in windows if w.overlap < min(sampling.fg_threshold, sampling.bg_threshold)]
        wrong = next((w for w in foreground if w.label < 1), None)
        if wrong is not None:
            raise SourceError(f"{images[wrong.image]}: a foreground window has label {wrong.label}; 0 is background")
        self.kinds = {"background": background, "foreground": foreground}
        self.counts = {"background": sampling.batch - sampling.foreground, "foreground": sampling.foreground}
        for kind, count in self.counts.items():
            if count and not self.kinds[kind]:
                raise SourceError(f"a batch has {count} {kind} windows, but there is none among {len(windows)}")
        self.skips = {kind: Skips(len(found), skip_bad) for kind, found in self.kinds.items()}

    def read(self, p: int, old: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """The arrays of pass p. Raises SourceError naming the image."""
        batch, side = self.sampling.batch, self.transform.crop
        data, labels = reused(old, [(batch, 3, side, side), (batch,)], self.dtype)
        u = draws.uniform(self.key(p), batch, 2)
        i = 0
        for kind, count in self.counts.items():
            for _ in range(count):
                labels[i] = self._put(kind, u[i], data[i])
                i += 1
        return [data, labels]

    def _put(self, kind: str, u: np.ndarray, y: np.ndarray) -> int:
        """Write the window of a kind that the numbers u draw, or the next that can be read; its label."""
        found, mirror = self.kinds[kind], self.transform.mirror and u[1] < 0.5

        def cut(i: int) -> int:
            self._cut(found[i], mirror, y)
            return found[i].label if kind == "foreground" else 0

        return self.skips[kind].first(int(u[0] * len(found)), cut)

    def _cut(self, window: Window, mirror: bool, y: np.ndarray) -> None:
        x = self._image(window.image)
        try:
            part, top, left = warp(x, window, self.transform.crop, self.sampling.context_pad, self.sampling.square)
        except ValueError:
            height, width = x.shape[1:]
            raise SourceError(f"{self.images[window.image]}: {window} is not within its {height} x {width}") from None
        if mirror:
            part, left = part[:, :, ::-1], y.shape[2] - left - part.shape[2]
        y[...] = 0
        rows, columns = slice(top, top + part.shape[1]), slice(left, left + part.shape[2])
        y[:, rows, columns] = part
        if self.transform.mean is not None:
            y[:, rows, columns] -= self._mean(y.shape[1], rows, columns)
        y *= self.transform.scale

    def _mean(self, side: int, rows: slice, columns: slice) -> np.ndarray:
        mean = self.transform.mean
        assert mean is not None
        if mean.shape[1:] == (1, 1) and not self.transform.mean_file:
            return mean
        off = (mean.shape[2] - side) // 2
        if off < 0 or mean.shape[1] < side + off:
            raise SourceError(f"the mean has shape {mean.shape}, smaller than crop_size {side}")
        return mean[:, off:, off:][:, rows, columns]

    def _image(self, i: int) -> np.ndarray:
        name = self.images[i]
        try:
            data = self._kept.get(i) or self.find(name).read_bytes()
            if self.cache:
                self._kept[i] = data
            return image.decode(data, image.COLOUR)
        except OSError as e:
            raise SourceError(f"{name}: {e.strerror or e}") from None
        except NetdefError as e:
            raise SourceError(f"{name}: {e}") from None


def warp(x: np.ndarray, window: Window, side: int, pad: int, square: bool) -> tuple[np.ndarray, int, int]:
    """The part of the image that a window with its surroundings covers, resized, and where in the square it belongs.

    Raises ValueError for a window that is not within the image.
    """
    height, width = x.shape[1:]
    x1, y1, x2, y2 = window.x1, window.y1, window.x2, window.y2
    if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height):
        raise ValueError
    if not pad and not square:
        return image.resize(x[:, y1 : y2 + 1, x1 : x2 + 1], side, side), 0, 0
    grow = side / (side - 2 * pad)
    half_h, half_w = (y2 - y1 + 1) / 2, (x2 - x1 + 1) / 2
    centre_x, centre_y = x1 + half_w, y1 + half_h
    if square:
        half_h = half_w = max(half_h, half_w)
    x1, x2 = _round(centre_x - half_w * grow), _round(centre_x + half_w * grow)
    y1, y2 = _round(centre_y - half_h * grow), _round(centre_y + half_h * grow)
    scale_x, scale_y = side / (x2 - x1 + 1), side / (y2 - y1 + 1)
    left, top = max(0, -x1), max(0, -y1)
    x1, x2 = x1 + left, min(x2, width - 1)
    y1, y2 = y1 + top, min(y2, height - 1)
    left, top = _round(left * scale_x), _round(top * scale_y)
    to_w = max(1, min(_round((x2 - x1 + 1) * scale_x), side - left))
    to_h = max(1, min(_round((y2 - y1 + 1) * scale_y), side - top))
    return image.resize(x[:, y1 : y2 + 1, x1 : x2 + 1], to_h, to_w), top, left


def _round(x: float) -> int:
    """Halves away from zero, as C does."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))
