"""Values a little off, as rounding may leave them: what changes as much by that says nothing of a model."""

import numpy as np

from netdef.export.model import Exported
from netdef.graph.need import without_gradient
from netdef.net import Net

STEP = 2.0**-22  # in parts of each number: two units in the last place of float32


class Nudge:
    """Disturbs values by name: real numbers, not those that a layer counts with, such as indices."""

    def __init__(self, net: Net, exported: Exported):
        self.counted = _counted(net, exported)

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        """Whole numbers stay where some layer that reads them takes no gradient or wants numbers of its own kind."""
        y = nudged(x)
        return np.where(x == np.round(x), x, y) if name in self.counted else y


def nudged(x: np.ndarray) -> np.ndarray:
    """About as far off as rounding may leave it."""
    up = np.random.default_rng(0).integers(0, 2, x.shape, np.int8)
    return np.asarray(x, np.float32) * np.array([1 - STEP, 1 + STEP], np.float32)[up]


def _counted(net: Net, exported: Exported) -> set[str]:
    """The values of bottoms that take no numbers at random, as they are or in another shape."""
    found: set[str] = set()
    for i in reversed(exported.selection.layers):
        layer, values = net.layers[i], [exported.values.get(top, "") for top in exported.selection.bottoms[i]]
        shapes, still = [b.shape for b in net.bottoms[i]], without_gradient(layer, len(values))
        rng = np.random.default_rng(0)
        found.update(v for j, v in enumerate(values) if j in still or layer.sample(j, shapes, rng) is not None)
        if "data" in layer.shares and exported.values.get((i, 0), "") in found:
            found.add(values[0])
    return found
