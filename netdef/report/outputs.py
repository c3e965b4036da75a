"""The outputs of a net with their weights in the loss, and their means over several passes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from netdef.errors import NetdefError

Result = tuple[str, np.ndarray, float]
"""(blob, values, loss_weight)"""


def outputs(net: Any) -> list[Result]:
    """What the last forward pass left in the blobs that no layer reads; values are flat copies."""
    return [(name, net.blobs[name].data.ravel().copy(), net.loss_weight(name)) for name in net.outputs]


class Mean:
    """The mean of outputs, element by element."""

    def __init__(self) -> None:
        self.passes = 0
        self._sums: list[Result] = []

    def add(self, results: Iterable[Result]) -> None:
        """Raises NetdefError where a blob's size is not what it was: there is no mean of that."""
        new = [(name, values.astype(np.float64), weight) for name, values, weight in results]
        for (_, total, _), (name, values, _) in zip(self._sums, new, strict=False):
            if total.shape != values.shape:
                raise NetdefError(f"output '{name}' has {values.size} values in one batch and {total.size} in another")
            values += total
        self._sums, self.passes = new, self.passes + 1

    @property
    def results(self) -> list[Result]:
        return [(name, total / self.passes, weight) for name, total, weight in self._sums]
