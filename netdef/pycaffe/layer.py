"""caffe.Layer: the base class of Python layers written for Caffe."""

from typing import Any


class Layer:
    """Derive from it and write setup, reshape, forward and backward; see the Python layer type for who calls them.

    Before setup the net has set `phase`, `param_str` and `blobs` (parameters the layer may add to).
    """

    phase: int
    param_str: str

    def __init__(self, layer_param: Any = None):
        """Called with the LayerParameter, which old classes hand on from an __init__ of their own."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Once, before the first reshape."""

    def reshape(self, bottom: Any, top: Any) -> None:
        """Give every top its shape: top[i].reshape(...)."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape")

    def forward(self, bottom: Any, top: Any) -> None:
        """Write top[i].data."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Write bottom[i].diff where propagate_down[i]."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")
