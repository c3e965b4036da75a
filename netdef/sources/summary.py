"""What a database holds, in numbers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netdef.errors import SourceError
from netdef.sources.databases import Datums


@dataclass
class Summary:
    """Counts over all records."""

    records: int = 0
    encoded: int = 0
    """Records that are encoded images."""
    floats: int = 0
    """Records of float_data."""
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    low: float = float("inf")
    high: float = float("-inf")
    bad: list[str] = field(default_factory=list)
    """Messages about records that cannot be read."""


def summary(datums: Datums, step: Callable[[], Any] = lambda: None) -> Summary:
    """Reads every record once; a record that cannot be read is counted and not an error."""
    found = Summary()
    for row in range(len(datums)):
        (raw,) = datums.fetch([row])
        found.records += 1
        try:
            x, label = datums.decode(row, raw)
            _add(found, datums.read(raw[1]), x, label)
        except SourceError as e:
            found.bad.append(f"{datums.name(row)}: {e}")
        step()
    return found


def _add(found: Summary, stored: Any, x: np.ndarray, label: int) -> None:
    found.encoded += stored.encoded
    found.floats += x.dtype != np.uint8
    found.shapes[x.shape] += 1
    found.labels[label] += 1
    if x.size:
        found.low, found.high = min(found.low, float(x.min())), max(found.high, float(x.max()))


def mean(datums: Datums, step: Callable[[], Any] = lambda: None) -> np.ndarray:
    """The mean of all images, (channels, height, width), float64. Raises SourceError for one of another shape."""
    total: np.ndarray | None = None
    for row in range(len(datums)):
        x, _ = datums.decode(row, datums.fetch([row])[0])
        if total is None:
            total = np.zeros(x.shape)
        if x.shape != total.shape:
            want = "a mean image needs images of one size (netdef data images has --resize-height, --resize-width)"
            raise SourceError(f"{datums.name(row)} has shape {x.shape}, those before {total.shape}; {want}")
        total += x
        step()
    assert total is not None
    return total / len(datums)
