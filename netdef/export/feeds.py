"""Inputs for a net and its model that tell right from wrong."""

from collections.abc import Iterator, Sequence

import numpy as np

from netdef.export.model import Exported
from netdef.export.select import Top
from netdef.export.sizes import at
from netdef.net import Net

Arrays = dict[str, np.ndarray]


def random_feeds(net: Net, exported: Exported, seed: int = 1) -> Iterator[Arrays]:
    """Inputs that tell right from wrong: standard normal, zeros, the range of images, small and large numbers.

    At every other size that the model takes, standard normal and the range of images. Layers say what else they want.
    """
    rng = np.random.default_rng(seed)
    own = {top: net.tops[top[0]][top[1]].shape for top in exported.inputs.values()}
    extremes = ((1, 0), (0, 0), (60, 120), (1e-3, 0), (1e3, 0))
    for sizes, kinds in [(own, extremes), *((sizes, extremes[:3:2]) for sizes in exported.sizes)]:
        with at(net, exported.selection, sizes):
            chosen = exported.selection.layers, exported.selection.bottoms
            samples = [{n: sampled(net, *chosen, t, rng) for n, t in exported.inputs.items()} for _ in kinds]
        for (scale, shift), wanted in zip(kinds, samples, strict=True):
            feed = {n: _draw(rng, exported, n, sizes[top], scale, shift) for n, top in exported.inputs.items()}
            yield feed | {name: x for name, x in wanted.items() if x is not None}


def sampled(
    net: Net, layers: Sequence[int], bottoms: Sequence[Sequence[Top]], top: Top, rng: np.random.Generator
) -> np.ndarray | None:
    """What the first of the layers that cares wants of a value that it reads, as it is or in another shape.

    bottoms[i] are the tops that layer i of the net reads, splits left out.
    """
    for i in layers:
        for j, read in enumerate(bottoms[i]):
            if read != top:
                continue
            x = net.layers[i].sample(j, [b.shape for b in net.bottoms[i]], rng)
            if x is None and "data" in net.layers[i].shares:
                x = sampled(net, layers, bottoms, (i, 0), rng)
            if x is not None:
                return np.asarray(x, np.float32).reshape(net.bottoms[i][j].shape)
    return None


def _draw(
    rng: np.random.Generator, exported: Exported, name: str, shape: tuple[int, ...], scale: float, shift: float
) -> np.ndarray:
    prepare = exported.prepared.get(name)
    x = rng.standard_normal(prepare.shape(shape) if prepare else shape, np.float32)
    x = x * np.float32(scale) + np.float32(shift)
    return np.clip(np.round(x), 0, 255) if prepare and prepare.bytes else x
