"""Nets of one layer from text, fed with arrays."""

import numpy as np

from netdef import prototxt, registry
from netdef.net import Net


def options(given):
    """{"step": 8, "aspect_ratio": [2, 3], "clip": True} as prototxt; text stands as it is, enums and blocks alike."""
    lines = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name}: {str(v).lower() if isinstance(v, bool) else v}" for v in values]
    return " ".join(lines)


def net(text, phase=1, dtype=np.float64, **settings):
    found = registry.default()
    param = prototxt.parse(text, found.schema.message("NetParameter"), "ssd.prototxt")
    return Net(param, phase, dtype=dtype, registry=found, seed=1, **settings)


def fed(layer, inputs, rest="", **settings):
    """A net of Input layers for the arrays, by blob, of one layer more and the rest, after a pass forward."""
    text = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {' '.join(f'dim: {d}' for d in x.shape)} }} }} }}\n"
        for name, x in inputs.items()
    )
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    built = net(text + f'layer {{ name: "layer" top: "y" {bottoms} {layer} }}' + rest, **settings)
    for name, x in inputs.items():
        built.blobs[name].data[...] = x
    built.forward()
    return built
