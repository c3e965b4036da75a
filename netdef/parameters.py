"""The learnable parameters of a net: multipliers, and sharing by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netdef.blob import Blob
from netdef.errors import LayerError
from netdef.layer import Layer

PERMISSIVE = 1


@dataclass
class Parameter:
    """A parameter blob as the solver sees it. Sharers look at the owner's memory and are not listed themselves."""

    blob: Blob
    layer: str
    index: int
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    shared_as: str = ""


class Parameters:
    """Collects the parameters of each layer in turn; `owners` is the list a rule steps through."""

    def __init__(self) -> None:
        self.owners: list[Parameter] = []
        self._named: dict[str, Parameter] = {}
        self._set: dict[str, set[str]] = {}

    def add(self, layer: Layer) -> list[Parameter]:
        """One Parameter per blob of the layer, the owner's where it is shared."""
        specs = layer.layer_param.param
        if len(specs) > len(layer.blobs):
            raise LayerError(f"has {len(specs)} param blocks for {len(layer.blobs)} parameters")
        return [self._one(layer, i, specs[i] if i < len(specs) else None) for i in range(len(layer.blobs))]

    def _one(self, layer: Layer, i: int, spec: Any) -> Parameter:
        name = spec.name if spec is not None else ""
        if name in self._named:
            return self._share(layer.blobs[i], spec)
        new = Parameter(layer.blobs[i], layer.name, i, shared_as=name)
        if spec is not None:
            new.lr_mult, new.decay_mult = spec.lr_mult, spec.decay_mult
        if not layer.learns[i]:
            if spec is not None and spec.HasField("lr_mult") and spec.lr_mult:
                raise LayerError(f"parameter {i} is a statistic that the layer keeps itself; its lr_mult must be 0")
            new.lr_mult = new.decay_mult = 0.0
        self.owners.append(new)
        if name:
            self._named[name] = new
            self._set[name] = {m for m in ("lr_mult", "decay_mult") if spec.HasField(m)}
        return new

    def _share(self, blob: Blob, spec: Any) -> Parameter:
        owner = self._named[spec.name]
        loose = spec.share_mode == PERMISSIVE
        if blob.shape != owner.blob.shape and not (loose and blob.count == owner.blob.count):
            hint = "" if loose else "; share_mode: PERMISSIVE asks for equal counts only"
            raise LayerError(
                f"shares parameter '{spec.name}' of layer '{owner.layer}', but its shape {blob.shape} "
                f"is not {owner.blob.shape}{hint}"
            )
        blob.share_data(owner.blob)
        blob.share_diff(owner.blob)
        for mult in ("lr_mult", "decay_mult"):
            self._merge(owner, spec, mult)
        return owner

    def _merge(self, owner: Parameter, spec: Any, mult: str) -> None:
        if not spec.HasField(mult):
            return
        value = getattr(spec, mult)
        if mult in self._set[spec.name] and getattr(owner, mult) != value:
            raise LayerError(
                f"shared parameter '{spec.name}' has {mult} {getattr(owner, mult):g} in layer '{owner.layer}' "
                f"and {value:g} here; give it once"
            )
        setattr(owner, mult, value)
        self._set[spec.name].add(mult)


def share(layers: Sequence[Layer], others: Sequence[Layer]) -> None:
    """Let layers look at the parameters of those of the same names from now on; gradients stay apart."""
    theirs = [layer for layer in others if layer.blobs]
    for layer in (layer for layer in layers if layer.blobs):
        name, mine = layer.name, layer.blobs
        k = next((k for k, its in enumerate(theirs) if its.name == name), None)
        if k is None:
            continue
        its = theirs.pop(k).blobs  # a name that is there twice stands for one layer after the other
        if len(mine) != len(its):
            raise LayerError(f"layer '{name}' has {len(mine)} parameters here and {len(its)} in the other net")
        for i, (blob, source) in enumerate(zip(mine, its, strict=True)):
            if blob.shape != source.shape:
                raise LayerError(f"layer '{name}' parameter {i}: cannot share shape {source.shape} as {blob.shape}")
            blob.share_data(source)
