"""Binds a net's blobs to the memory plan: one arena for what is never alive together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from netdef.blob import Blob, Storage
from netdef.graph.plan import Step, assign, lifetimes
from netdef.layer import Source

if TYPE_CHECKING:
    from netdef.net import Net


@dataclass
class Plan:
    """Bytes of activations and gradients: in one arena, beside it, and what they would take one by one."""

    arena: int = 0
    kept: int = 0
    unplanned: int = 0
    offsets: dict[int, int] = field(default_factory=dict)


def plan(net: "Net") -> Plan:
    """What binding would give; allocates nothing."""
    sizes, kept = _sizes(net), _kept(net)
    lives = lifetimes(_steps(net), net.backward_runs)
    offsets, arena = assign(lives, sizes, kept)
    alone = sum(size for key, size in sizes.items() if key not in offsets and key in lives)
    return Plan(arena, alone, sum(sizes[key] for key in lives), offsets)


def bind(net: "Net") -> Plan:
    """Give every planned storage its place; what blobs held is lost, but for sources, outputs and parameters."""
    found = plan(net)
    arena = np.empty(found.arena + 64, np.uint8)
    start = -arena.ctypes.data % 64
    sizes = _sizes(net)
    for key, storage in _storages(net).items():
        if key in found.offsets:
            low = start + found.offsets[key]
            storage.array = arena[low : low + sizes[key]].view(net.dtype)
    return found


def _blobs(net: "Net") -> list[Blob]:
    return [blob for blobs in (*net.tops, *net.bottoms) for blob in blobs]


def _storages(net: "Net") -> dict[int, Storage]:
    return {id(s): s for blob in _blobs(net) for s in blob.storages}


def _sizes(net: "Net") -> dict[int, int]:
    sizes: dict[int, int] = {}
    for blob in _blobs(net):
        for storage in blob.storages:
            sizes[id(storage)] = max(sizes.get(id(storage), 0), blob.count * blob.dtype.itemsize)
    return sizes


def _kept(net: "Net") -> set[int]:
    """Storages with a life beyond one pass: of sources, outputs, losses and parameters."""
    blobs = [net.blobs[name] for name in net.outputs]
    for layer, tops, weights in zip(net.layers, net.tops, net.loss_weights, strict=True):
        blobs += layer.blobs + (tops if isinstance(layer, Source) or layer.role == "input" else [])
        blobs += [t for t, w in zip(tops, weights, strict=True) if w]
    return {id(storage) for blob in blobs for storage in blob.storages}


def _keys(blobs: list[Blob]) -> tuple[list[int], list[int]]:
    return [id(b.storages[0]) for b in blobs], [id(b.storages[1]) for b in blobs]


def _steps(net: "Net") -> list[Step]:
    return [
        Step(*_keys(bottom), *_keys(top), _reads(net, i), runs, tuple(down))
        for i, (bottom, top, runs, down) in enumerate(
            zip(net.bottoms, net.tops, net.runs_backward, net.propagate_down, strict=True)
        )
    ]


def _reads(net: "Net", i: int) -> tuple[str, ...]:
    """Whose data layer i needs backward; a rectifier that goes backward from behind the next needs what that made."""
    if i + 1 in net.selecting:
        return ()
    return (*net.layers[i].reads, *["top"] * (i in net.selecting))
