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
    downs: Sequence[Sequence[bool]]
    """Which bottoms of each layer get a gradient."""
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

    def backward_runs(self) -> dict[int, int]:
        """By the last layer of each run whose gradients its first computes, that first; none where one could look."""
        found: dict[int, int] = {}
        for first, layer in enumerate(self.layers if self.hidden else ()):
            last = first
            if "gradients" in layer.absorbs and list(self.downs[first]) == [True]:
                last += self._hands_back(last + 1) and learns_as_affine(self.layers[last + 1])
                last += self._hands_back(last + 1) and self._only_rectifies(last + 1) and not self._selects(last + 2)
            if last > first:
                found[last] = first
        return found

    def selecting(self) -> set[int]:
        """Layers from whose tops the rectifier before them goes backward, for these tell the sign of what it made.

        Where the tops are smaller, that is quicker, and what it made is needed no longer.
        """
        return {i for i in range(1, len(self.layers)) if self._selects(i)}

    def _selects(self, i: int) -> bool:
        if not self.hidden or not self._hands_back(i) or not self.layers[i].selects or any(self.layers[i].learns):
            return False
        in_place = self.bottoms[i - 1] == self.tops[i - 1]
        return in_place and list(self.downs[i - 1]) == [True] and self._only_rectifies(i - 1) and self._stays(i)

    def _stays(self, i: int) -> bool:
        """Whether no layer behind writes to the top of layer i."""
        made = self.tops[i][0].storages[0]
        later = zip(self.layers[i + 1 :], self.tops[i + 1 :], strict=True)
        return all("data" in layer.shares or all(t.storages[0] is not made for t in tops) for layer, tops in later)

    def _hands_back(self, i: int) -> bool:
        return i < len(self.layers) and self._is_next(i) and self.backward[i] and list(self.downs[i]) == [True]

    def _only_rectifies(self, i: int) -> bool:
        return self.layers[i].rectifies and "bottom" not in self.layers[i].reads

    def _is_next(self, i: int) -> bool:
        """Whether layer i reads what i - 1 makes and nothing else, which no loss needs."""
        before, bottom = self.tops[i - 1], self.bottoms[i]
        alone = len(before) == len(bottom) == len(self.tops[i]) == 1
        return alone and bottom[0] is before[0] and not self.weighs[i - 1]

    def _follows(self, i: int) -> bool:
        """Whether layer i is the next, and no backward needs what is between the two."""
        made = self.backward[i - 1] and "top" in self.layers[i - 1].reads
        read = self.backward[i] and "bottom" in self.layers[i].reads
        return self._is_next(i) and not made and not read

    def _is_fresh(self, i: int) -> bool:
        """Whether no other blob looks at the memory of layer i's top."""
        return not self.layers[i].shares and all(blob is not self.tops[i][0] for blob in self.bottoms[i])


def is_affine(layer: Layer) -> bool:
    """Whether as_affine gives numbers; they may not be there yet."""
    with np.errstate(all="ignore"):
        return layer.as_affine() is not None


def learns_as_affine(layer: Layer) -> bool:
    """Whether a layer is affine, and can learn from the gradients of its factors and terms if at all."""
    return is_affine(layer) and (type(layer).update_affine is not Layer.update_affine or not any(layer.learns))


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


def backward(run: Sequence[Layer], behind: Blob, top: list[Blob], bottom: list[Blob], learns: bool) -> None:
    """update and backward of all layers of a run by its first, from the last one's top; `learns` is of the second."""
    rectified = run[-1].rectifies
    affine = run[1].as_affine() if len(run) - rectified > 1 else None
    gradients = run[0].backward_then(behind, top, bottom, None if affine is None else affine[0], rectified)
    if affine is not None and learns:
        run[1].update_affine(*gradients)
