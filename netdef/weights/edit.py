"""Weights files edited without a net: shown, compared, renamed, joined, written in another format."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netdef.errors import WeightsError
from netdef.files import replacing
from netdef.names import nearest
from netdef.weights import read
from netdef.weights.blobproto import Stored
from netdef.weights.caffemodel import StoredLayer, write_stored
from netdef.weights.hdf5 import write_hdf5

BLOCK = 1 << 22  # numbers looked at in one go, so that half precision and integers need little memory beside the file


@dataclass
class Difference:
    """What two files say of one blob; `largest` is the largest absolute difference, None where shapes differ."""

    layer: str
    blob: int
    why: str
    largest: float | None = None


@dataclass
class Numbers:
    """What the numbers of a blob are like; all of them None where it has none."""

    count: int
    least: float | None = None
    most: float | None = None
    mean: float | None = None
    deviation: float | None = None
    not_finite: int = 0


def layers_of(paths: Iterable[Path | str]) -> list[StoredLayer]:
    """The layers that have weights, of several files: a later file's layer replaces an earlier one's of its name."""
    found: dict[str, StoredLayer] = {}
    for path in paths:
        for layer in read(path):
            if layer.blobs:
                found[layer.name] = layer
    return list(found.values())


def write(path: Path | str, name: str, layers: Sequence[StoredLayer], half: bool = False) -> None:
    """As HDF5 where the name ends in .h5 or .hdf5, else as a .caffemodel; with `half`, float16.

    BVLC Caffe reads float16 from HDF5, whose library converts it; in a .caffemodel it is NVCaffe's raw_data, of which
    BVLC Caffe sees nothing. Raises WeightsError where a number is too large for it, and where HDF5 left a blob out.
    """
    path = Path(path)
    whole = [replace(layer, blobs=[_kept(layer, i, s, half) for i, s in enumerate(layer.blobs)]) for layer in layers]
    if path.suffix in (".h5", ".hdf5"):
        write_hdf5(path, [(x.name, [s.data for s in x.blobs if s is not None]) for x in whole])
        return
    with replacing(path) as f:
        write_stored(f, name, whole)


def _kept(layer: StoredLayer, i: int, stored: Stored | None, half: bool) -> Stored:
    if stored is None:
        raise WeightsError(
            f"layer '{layer.name}' blob {i} is a shared one, which the file holds in its owner's layer only"
        )
    if not half:
        return stored
    with np.errstate(over="ignore"):
        small = stored.data.astype(np.float16)
    if np.isinf(small).any() and not np.isinf(stored.data).any():
        raise WeightsError(f"layer '{layer.name}' blob {i} has numbers beyond 65504, which float16 cannot hold")
    return replace(stored, data=small)


def rename(layers: Sequence[StoredLayer], names: Mapping[str, str]) -> list[StoredLayer]:
    """The layers under other names. Raises WeightsError for a name that is not there, or there twice afterwards."""
    known = [layer.name for layer in layers]
    for name in names:
        if name not in known:
            raise WeightsError(f"no layer '{name}' with weights{nearest(name, known)}")
    renamed = [replace(layer, name=names.get(layer.name, layer.name)) for layer in layers]
    after = [layer.name for layer in renamed]
    twice = next((name for name in after if after.count(name) > 1), None)
    if twice is not None:
        raise WeightsError(f"two layers would be called '{twice}'")
    return renamed


def differences(a: Sequence[StoredLayer], b: Sequence[StoredLayer]) -> list[Difference]:
    """Every blob that is not the same in both, in the order of the first; shapes that only an old file pads are."""
    others = {layer.name: layer for layer in b}
    found = []
    for layer in a:
        other = others.pop(layer.name, None)
        if other is None:
            found.append(Difference(layer.name, 0, "only in the first"))
        elif len(layer.blobs) != len(other.blobs):
            found.append(Difference(layer.name, 0, f"{len(layer.blobs)} blobs and {len(other.blobs)}"))
        else:
            pairs = enumerate(zip(layer.blobs, other.blobs, strict=True))
            found += [d for i, (x, y) in pairs if (d := _difference(layer.name, i, x, y)) is not None]
    return found + [Difference(name, 0, "only in the second") for name in others]


def _difference(layer: str, i: int, x: Stored | None, y: Stored | None) -> Difference | None:
    if x is None or y is None:
        return None if x is y else Difference(layer, i, "shared in one of them")
    if not (x.fits(y.shape) or y.fits(x.shape)):
        return Difference(layer, i, f"shape {x.shape} and {y.shape}")
    largest, same = 0.0, True
    for p, q in zip(_blocks(x.data), _blocks(y.data), strict=True):
        same = same and np.array_equal(p, q, equal_nan=True)
        with np.errstate(invalid="ignore"):
            largest = max(largest, float(np.nanmax(np.abs(p - q), initial=0.0)))
    return None if same else Difference(layer, i, "numbers", largest)


def numbers(stored: Stored) -> Numbers:
    """Least, most, mean and deviation of the finite numbers, and how many are not."""
    found = Numbers(stored.data.size)
    total = squares = 0.0
    finite = 0
    for x in _blocks(stored.data):
        ok = x[np.isfinite(x)]
        found.not_finite += x.size - ok.size
        if ok.size:
            least, most = float(ok.min()), float(ok.max())
            found.least = least if found.least is None else min(found.least, least)
            found.most = most if found.most is None else max(found.most, most)
            total, squares, finite = total + float(ok.sum()), squares + float(np.dot(ok, ok)), finite + ok.size
    if finite:
        found.mean = total / finite
        found.deviation = max(squares / finite - found.mean**2, 0.0) ** 0.5
    return found


def _blocks(x: np.ndarray) -> Iterable[np.ndarray]:
    flat = x.reshape(-1)
    for at in range(0, flat.size, BLOCK):
        yield flat[at : at + BLOCK].astype(np.float64)
