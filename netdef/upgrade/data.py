"""Transformations written in a data block (`data_param { scale: 0.1 }`) to transform_param."""

from collections.abc import Iterator
from typing import Any

_BLOCKS = ("data_param", "image_data_param", "window_data_param")
_SETTINGS = ("scale", "mean_file", "crop_size", "mirror")


def needed(net: Any) -> str:
    """Why the net's data layers are old, or ""."""
    settings = {f"{block}.{name}" for layer in [*net.layers, *net.layer] for block, name in _old(layer)}
    return f"{', '.join(sorted(settings))} instead of transform_param" if settings else ""


def upgrade(net: Any) -> Any:
    """The net with scale, mean_file, crop_size and mirror of its data layers in transform_param.

    Caffe does so in `layers` alone, where the old place wins, and in a `layer` ignores the old place without a word;
    here it counts there too, unless transform_param says otherwise.
    """
    new = type(net)()
    new.CopyFrom(net)
    for layer in [*new.layers, *new.layer]:
        for block, name in list(_old(layer)):
            old = getattr(layer, block)
            if layer.DESCRIPTOR.name == "V1LayerParameter" or not layer.transform_param.HasField(name):
                setattr(layer.transform_param, name, getattr(old, name))
            old.ClearField(name)
    return new


def _old(layer: Any) -> Iterator[tuple[str, str]]:
    for block in _BLOCKS:
        if layer.HasField(block):
            yield from ((block, name) for name in _SETTINGS if getattr(layer, block).HasField(name))
