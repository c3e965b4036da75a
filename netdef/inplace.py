"""Which blob a top is: its bottom where a layer may overwrite it, what it shares with it, or one of its own."""

from typing import Any

from netdef.blob import Blob
from netdef.layer import Layer


class InPlace:
    """Makes the tops of a net's layers in turn, and looks after inputs that layers overwrite.

    `forward_only` says that no layer of the net will run backward, so that more may be overwritten.
    """

    def __init__(self, dtype: Any, forward_only: bool):
        self._dtype, self._forward_only = dtype, forward_only
        self._aside: list[list[tuple[int, Blob]]] = []
        """By layer, the bottoms that are copies of an input it overwrites, and that input."""
        self._kept: set[int] = set()
        self._fed: set[int] = set()

    def tops(self, layer: Layer, bottom: list[Blob]) -> list[Blob]:
        """The tops of the next layer; a bottom becomes a copy where the layer overwrites an input."""
        self._aside.append([])
        top = [self._top(layer, bottom, t) for t in range(len(layer.layer_param.top))]
        self._guard(layer, top)
        return top

    def _top(self, layer: Layer, bottom: list[Blob], t: int) -> Blob:
        names = layer.layer_param
        same = t < len(bottom) and names.top[t] == names.bottom[t]
        if same and self._may_overwrite(layer) and id(bottom[t].storages[0]) not in self._kept:
            return bottom[t]
        if same and id(bottom[t]) in self._fed and layer.infer(*(b.shape for b in bottom))[t] == bottom[t].shape:
            return self._put_aside(bottom, t)
        blob = Blob((), self._dtype)
        if "data" in layer.shares:
            blob.share_data(bottom[0])
        if "diff" in layer.shares:
            blob.share_diff(bottom[0])
        return blob

    def _may_overwrite(self, layer: Layer) -> bool:
        return layer.in_place or (self._forward_only and layer.as_affine() is not None)

    def _put_aside(self, bottom: list[Blob], t: int) -> Blob:
        """The input itself as the top, so that one blob is what users write and read; a copy of it as the bottom."""
        fed = bottom[t]
        bottom[t] = Blob(fed.shape, self._dtype)
        self._aside[-1].append((t, fed))
        return fed

    def _guard(self, layer: Layer, top: list[Blob]) -> None:
        """Remember data that must not be overwritten (Caffe overwrites it, and its gradient is then wrong)."""
        if layer.role == "input":
            self._fed.update(id(blob) for blob in top)
        if "top" in layer.reads or ("data" in layer.shares and len(top) > 1):
            self._kept.update(id(blob.storages[0]) for blob in top)

    def follow(self, i: int, bottom: list[Blob]) -> None:
        """Let layer i's copies of inputs have their shapes."""
        for t, fed in self._aside[i]:
            bottom[t].reshape(*fed.shape)

    def fetch(self, i: int, bottom: list[Blob]) -> None:
        """Let layer i's copies of inputs hold what these hold."""
        for t, fed in self._aside[i]:
            bottom[t].data[...] = fed.data

    def hand_back(self, i: int, bottom: list[Blob], down: list[bool]) -> None:
        """Let inputs have the gradients that layer i wrote to their copies."""
        for t, fed in self._aside[i]:
            if down[t]:
                fed.diff[...] = bottom[t].diff
