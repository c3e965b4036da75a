"""A net from text, for tests that hold its numbers against others."""

from typing import Any

import numpy as np

from netdef import prototxt
from netdef import registry as registries
from netdef.layer import TEST
from netdef.net import Net


def net(text: str, registry: registries.Registry | None = None, **settings: Any) -> Net:
    """A net from prototxt text; settings as for Net, by default of phase TEST, in float64, with seed 1."""
    registry = registry or registries.default()
    param = prototxt.parse(text, registry.schema.message("NetParameter"))
    given: dict[str, Any] = {"phase": TEST, "dtype": np.float64, "seed": 1} | settings
    return Net(param, registry=registry, **given)
