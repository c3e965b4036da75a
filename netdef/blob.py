"""A blob: an N-d array and the gradient of the loss with respect to it."""

import math
from typing import Any

import numpy as np


class Storage:
    """Memory that several blobs may look at: a flat array, allocated on first use."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: np.ndarray | None = None

    def flat(self, count: int, dtype: np.dtype) -> np.ndarray:
        """At least `count` elements; new memory is zero, as in Caffe. A smaller blob keeps the larger memory."""
        if self.array is None or self.array.size < count or self.array.dtype != dtype:
            self.array = np.zeros(count, dtype)
        return self.array


class Blob:
    """data and diff of one shape and dtype; both are allocated on first touch and keep their memory when reshaped."""

    __slots__ = ("_data", "_data_view", "_diff", "_diff_view", "count", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...] = (), dtype: Any = np.float32):
        self.dtype = np.dtype(dtype)
        self._data, self._diff = Storage(), Storage()
        self.shape: tuple[int, ...] = ()
        self.count = 1
        self._data_view: tuple[np.ndarray, np.ndarray] | None = None
        self._diff_view: tuple[np.ndarray, np.ndarray] | None = None
        self.reshape(*shape)

    def reshape(self, *shape: Any) -> None:
        """To another shape, given as numbers or as one sequence; memory is kept where it is large enough."""
        dims = shape[0] if len(shape) == 1 and not np.isscalar(shape[0]) else shape
        self.shape = tuple(int(d) for d in dims)
        self.count = math.prod(self.shape)
        self._data_view = self._diff_view = None

    def _view(self, storage: Storage, seen: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
        flat = storage.flat(self.count, self.dtype)
        if seen is not None and seen[0] is flat:
            return seen
        return flat, flat[: self.count].reshape(self.shape)

    @property
    def data(self) -> np.ndarray:
        self._data_view = self._view(self._data, self._data_view)
        return self._data_view[1]

    @data.setter
    def data(self, value: Any) -> None:
        self.data[...] = value

    @property
    def diff(self) -> np.ndarray:
        self._diff_view = self._view(self._diff, self._diff_view)
        return self._diff_view[1]

    @diff.setter
    def diff(self, value: Any) -> None:
        self.diff[...] = value

    def share_data(self, other: "Blob") -> None:
        """Look at the other blob's data from now on; shapes may differ, counts may not."""
        self._data, self._data_view = other._data, None

    def share_diff(self, other: "Blob") -> None:
        self._diff, self._diff_view = other._diff, None

    def shares_data(self, other: "Blob") -> bool:
        return self._data is other._data

    @property
    def storages(self) -> tuple[Storage, Storage]:
        """(data, diff), for the memory plan."""
        return self._data, self._diff

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)

    def _legacy(self, axis: int) -> int:
        return self.shape[axis] if axis < len(self.shape) else 1

    def __repr__(self) -> str:
        return f"Blob({' '.join(map(str, self.shape)) or 'scalar'}, {self.dtype})"
