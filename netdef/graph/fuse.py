"""Which layers the one before them does along, so that what passes between them never goes to memory and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from netdef.blob import Blob
from netdef.layer import Layer

Affine = tuple[np.ndarray, np.ndarray]


@dataclass
class Fusion:
    """A built net, as the search for runs sees it."""

    layers: Sequence[Layer]
    bottoms: Sequence[list[Blob]]
    tops: Sequence[list[Blob]]
    weighs: Sequence[bool]
    """Which layers have a loss."""
    backward: Sequence[bool]
    """Which layers run backward."""
    hidden: bool
    """Whether nobody looks at blobs between layers, whatever their names."""

    def runs(self) -> dict[int, int]:
        """By the first layer of each run, the last that it does along."""
        found: dict[int, int] = {}
        first = 0
        while first < len(self.layers):
            last = first
            while last + 1 < len(self.layers) and self._takes(first, last + 1):
                last += 1
            if last > first:
                found[first] = last
            first = last + 1
        return found

    def _takes(self, first: int, i: int) -> bool:
        """Whether layer `first`, which does all before i along, can do i as well."""
        layer, can = self.layers[i], self.layers[first].absorbs
        if not can or self.layers[i - 1].rectifies or not self._follows(i):
            return False
        if self.tops[i][0] is not self.tops[i - 1][0] and not (self.hidden and self._is_fresh(first)):
            return False
        if layer.rectifies:
            return "rectified" in can and layer.in_place
        return "affine" in can and not self.backward[i] and is_affine(layer)

    def _follows(self, i: int) -> bool:
        """Whether layer i reads what i - 1 makes and nothing else, and no backward and no loss needs it."""
        before, bottom = self.tops[i - 1], self.bottoms[i]
        if not len(before) == len(bottom) == len(self.tops[i]) == 1 or bottom[0] is not before[0]:
            return False
        made = self.backward[i - 1] and "top" in self.layers[i - 1].reads
        read = self.backward[i] and "bottom" in self.layers[i].reads
        return not (made or read or self.weighs[i - 1])

    def _is_fresh(self, i: int) -> bool:
        """Whether no other blob looks at the memory of layer i's top."""
        return not self.layers[i].shares and all(blob is not self.tops[i][0] for blob in self.bottoms[i])


def is_affine(layer: Layer) -> bool:
    """Whether as_affine gives numbers; they may not be there yet."""
    with np.errstate(all="ignore"):
        return layer.as_affine() is not None


def compose(affine: Iterable[Affine]) -> Affine | None:
    """y = g x + b, one after the other, as one; None for none."""
    whole: Affine | None = None
    for g, b in affine:
        whole = (g, b) if whole is None else (g * whole[0], g * whole[1] + b)
    return whole


def forward(run: Sequence[Layer], bottom: list[Blob], top: list[Blob]) -> None:
    """All layers of a run by its first; parameters are read anew, for they may have changed."""
    rectified = run[-1].rectifies
    behind = run[1 : len(run) - rectified]
    affine = compose(found for layer in behind if (found := layer.as_affine()) is not None)
    run[0].forward_then(bottom, top, affine, rectified)
