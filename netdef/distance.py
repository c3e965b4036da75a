"""How far apart two arrays are, in parts of the largest number: what every comparison of two programs measures."""

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 16
"""Elements looked at together: what comes of them stays in the processor's cache, however large the arrays are."""


def relative(got: np.ndarray, want: np.ndarray, least: float = 0.0) -> float:
    """The largest difference in parts of the largest finite number wanted, or of `least` where that is more.

    Infinite where shapes differ, or where what is not finite in one is not the same in the other.
    """
    off, scale = apart(got, want)
    return parts(off, max(scale, least))


def parts(off: float, scale: float) -> float:
    """A difference by scale; of nothing, any is infinite."""
    return off / scale if scale else np.inf if off else 0.0


def apart(got: np.ndarray, want: np.ndarray, far: float = np.inf) -> tuple[float, float]:
    """(largest difference, largest number wanted), of what is finite in both.

    The difference is infinite where shapes differ, or where one of a pair is not finite and the pair is neither equal,
    nor both nan, nor both beyond `far` with one sign.
    """
    if got.shape != want.shape:
        return np.inf, 0.0
    found = [(0.0, 0.0), *(_apart(x, y, far) for x, y in zip(_blocks(got), _blocks(want), strict=True))]
    offs, scales = zip(*found, strict=True)
    return max(offs), max(scales)


class Distances:
    """Of named arrays, in one run after the other, by scale.

    The scale is this run's, or a thousandth of the largest of any run so far: what should be zero and is what rounding
    leaves is then small, as it is.
    """

    def __init__(self, least: float, far: float = np.inf):
        self._least, self._far = least, far
        self._scale: dict[str, float] = {}

    def relative(self, name: str, got: np.ndarray, want: np.ndarray) -> float:
        off, scale = apart(got, want, self._far)
        self._scale[name] = max(self._scale.get(name, 0.0), scale)
        return parts(off, max(scale, self._scale[name] / 1000, self._least))


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    flat = x.reshape(-1)
    return (flat[low : low + BLOCK] for low in range(0, flat.size, BLOCK))


def _apart(got: np.ndarray, want: np.ndarray, far: float) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        off = np.abs(np.subtract(got, want, dtype=np.float64))
    if np.isfinite(np.max(off)):  # as nearly always
        return float(np.max(off)), float(np.max(np.abs(want)))
    finite = np.isfinite(got) & np.isfinite(want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    beyond = (np.minimum(np.abs(got), np.abs(want)) > far) & (np.sign(got) == np.sign(want))
    scale = float(np.max(np.abs(want), where=finite, initial=0.0))
    return (float(np.max(off, where=finite, initial=0.0)) if np.all(finite | same | beyond) else np.inf), scale
