"""Nets from a few lines of text, with the plugins that are installed."""

from netdef import prototxt
from netdef import registry as registries
from netdef.net import Net

TRAIN, TEST = 0, 1


def net(text, phase=TRAIN, **settings):
    """A net of the text; layers without a name get one."""
    registry = registries.default()
    param = prototxt.parse(text, registry.schema.message("NetParameter"), "case.prototxt")
    for i, layer in enumerate(param.layer):
        layer.name = layer.name or f"layer{i}"
    return Net(param, phase, registry=registry, **{"seed": 1, **settings})


def fed(text, arrays, **settings):
    """A net with one Input for each of the arrays, holding it, then the layers of the text."""
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {d}" for d in array.shape)
        + " } } }\n"
        for name, array in arrays.items()
    )
    made = net(inputs + text, **settings)
    for name, array in arrays.items():
        made.blobs[name].data[...] = array
    return made
