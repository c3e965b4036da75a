"""Rows of an array, chosen by indices that are floats, as all blobs are."""

import numpy as np

from netdef.layer import LayerError


def indices(x: np.ndarray, count: int) -> np.ndarray:
    """Floats as indices below count; a fraction is cut off, as in Caffe. Raises LayerError with value and place."""
    with np.errstate(invalid="ignore"):
        index = x.astype(np.int64)
    wrong = (index < 0) | (index >= count)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise LayerError(f"index {x[at]:g} at {at}: want 0 to {count - 1}")
    return index


def add_at(rows: np.ndarray, index: np.ndarray, values: np.ndarray) -> None:
    """rows[index[i]] += values[i], where an index may come more than once."""
    if not index.size:
        return
    order = np.argsort(index, kind="stable")
    found, starts = np.unique(index[order], return_index=True)
    rows[found] += np.add.reduceat(values[order], starts, axis=0)
