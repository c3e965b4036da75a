"""Nets from a few lines of text, with the plugins that are installed."""

import numpy as np

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


def made_of(rng, kind, options, arrays, dtype=np.float64):
    """A net of one layer over inputs that hold the arrays, its parameters drawn; gradients reach the inputs."""
    bottoms = " ".join(f'bottom: "{name}"' for name in arrays)
    text = f'force_backward: true layer {{ name: "l" type: "{kind}" {bottoms} top: "y" {options} }}'
    made = fed(text, arrays, dtype=dtype)
    for blob in made.layers[-1].blobs:
        blob.data[...] = rng.standard_normal(blob.shape)
    return made


def run(rng, made):
    """Forward, and backward from a drawn gradient of y, which is returned."""
    made.forward()
    dy = rng.standard_normal(made.blobs["y"].shape)
    made.blobs["y"].diff[...] = dy
    made.backward()
    return dy


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
