"""pycaffe's Net: files in, blobs by name, forward and backward between named layers."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from netdef import read, weights
from netdef.blob import Blob
from netdef.layer import Layer
from netdef.net import Net as Engine
from netdef.pycaffe import settings


class Net:
    """Net(file, phase, level=0, stages=None, weights=None), or the older Net(file, weights, phase).

    Arrays are assigned through `net.blobs['data'].data[...] = x`. All blobs stay readable after a pass.
    """

    def __init__(self, network_file: Any, *args: Any, **kwargs: Any):
        if args and isinstance(args[0], str | Path):
            kwargs.setdefault("weights", args[0])
            args = args[1:]
        self._open(network_file, *args, **kwargs)

    def _open(self, network_file: Any, phase: int, level: int = 0, stages: Any = None, weights: Any = None) -> None:
        self._take(read.net(network_file, phase, level=level, stages=stages or (), seed=settings.random_seed()))
        if weights:
            self.copy_from(weights)

    @classmethod
    def wrap(cls, engine: Engine) -> "Net":
        """This face for a net that is already built."""
        self = cls.__new__(cls)
        self._take(engine)
        return self

    def _take(self, engine: Engine) -> None:
        self.engine = engine
        self.layers = engine.layers
        self._layer_names = [layer.name for layer in engine.layers]
        self.blobs: OrderedDict[str, Blob] = OrderedDict(engine.blobs)
        self.params: OrderedDict[str, list[Blob]] = OrderedDict(engine.params)
        self.layer_dict: OrderedDict[str, Layer] = OrderedDict(zip(self._layer_names, engine.layers, strict=True))
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.top_names = OrderedDict((layer.name, list(layer.layer_param.top)) for layer in engine.layers)
        self.bottom_names = OrderedDict((layer.name, list(layer.layer_param.bottom)) for layer in engine.layers)

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _inputs(self) -> list[int]:
        """Which of the blobs are inputs, by number."""
        return [self._blob_names.index(name) for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.outputs]

    def _forward(self, start: int, end: int) -> float:
        """The loss of the layers from number `start` to number `end`."""
        return self.engine.forward(start, end)

    def _backward(self, start: int, end: int) -> None:
        self.engine.backward(start, end)

    @property
    def blob_loss_weights(self) -> "OrderedDict[str, float]":
        """How much each blob counts in the loss."""
        found: OrderedDict[str, float] = OrderedDict.fromkeys(self.blobs, 0.0)
        for layer, layer_weights in zip(self.engine.layers, self.engine.loss_weights, strict=True):
            found.update(zip(layer.layer_param.top, layer_weights, strict=True))
        return found

    def forward(
        self, blobs: list[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, np.ndarray]:
        """Set inputs by name, run from layer `start` to layer `end`, return the outputs and the blobs asked for."""
        first = self._index(start, 0)
        last = self._index(end, len(self.layers) - 1)
        wanted = (self.top_names[end] if end is not None else self.outputs) + (blobs or [])
        if kwargs:
            self._assign(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs.")
        self.engine.forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self, diffs: list[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, np.ndarray]:
        """Set top diffs given by name, run back from layer `start` to layer `end`, return the inputs' diffs."""
        first = self._index(start, len(self.layers) - 1)
        last = self._index(end, 0)
        wanted = (self.bottom_names[end] if end is not None else self.inputs) + (diffs or [])
        if kwargs:
            self._assign(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs.")
        self.engine.backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def _index(self, name: str | None, default: int) -> int:
        return default if name is None else self.engine.index(name)

    def _assign(self, arrays: dict[str, Any], allowed: list[str], side: str, complaint: str) -> None:
        if set(arrays) != set(allowed):
            raise ValueError(f"{complaint} Given: {', '.join(arrays)}; the net has: {', '.join(allowed)}")
        for name, array in arrays.items():
            if np.shape(array)[:1] != self.blobs[name].shape[:1]:
                want = self.blobs[name].shape
                raise ValueError(f"'{name}' is not batch sized: {np.shape(array)} given, {want} needed")
            getattr(self.blobs[name], side)[...] = array

    def forward_all(self, blobs: list[str] | None = None, **kwargs: Any) -> dict[str, np.ndarray]:
        """forward over any number of items, batch by batch; the padding of the last batch is cut off again.

        A scalar output, such as a loss, gives one number for each batch, the last with its padding. Without inputs it
        is one batch.
        """
        found: dict[str, list[np.ndarray]] = {name: [] for name in dict.fromkeys(self.outputs + (blobs or []))}
        for batch in self._batch(kwargs):
            for name, array in self.forward(blobs=blobs, **cast(Any, batch)).items():
                found[name].extend(np.atleast_1d(array).copy())
        return self._unpadded(found, kwargs)

    def forward_backward_all(
        self, blobs: list[str] | None = None, diffs: list[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """forward_all and backward for each batch; kwargs hold inputs, and top diffs under the outputs' names."""
        outs: dict[str, list[np.ndarray]] = {name: [] for name in dict.fromkeys(self.outputs + (blobs or []))}
        grads: dict[str, list[np.ndarray]] = {name: [] for name in dict.fromkeys(self.inputs + (diffs or []))}
        forward = self._batch({k: v for k, v in kwargs.items() if k in self.inputs})
        backward = self._batch({k: v for k, v in kwargs.items() if k in self.outputs})
        for batch in forward:
            for name, array in self.forward(blobs=blobs, **cast(Any, batch)).items():
                outs[name].extend(np.atleast_1d(array).copy())
            for name, array in self.backward(diffs=diffs, **cast(Any, next(backward, {}))).items():
                grads[name].extend(np.atleast_1d(array).copy())
        return self._unpadded(outs, kwargs), self._unpadded(grads, kwargs)

    @staticmethod
    def _unpadded(found: dict[str, list[np.ndarray]], given: dict[str, Any]) -> dict[str, np.ndarray]:
        items = len(next(iter(given.values()))) if given else None
        return {name: np.asarray(rows)[:items] for name, rows in found.items()}

    def _batch(self, arrays: dict[str, Any]) -> Iterator[dict[str, np.ndarray]]:
        if not arrays:
            yield {}
            return
        items = len(next(iter(arrays.values())))
        size = next(iter(self.blobs.values())).shape[0]
        for at in range(0, items, size):
            batch = {k: np.asarray(v[at : at + size]) for k, v in arrays.items()}
            yield {
                k: np.concatenate([v, np.zeros((size - len(v), *v.shape[1:]), v.dtype)]) if len(v) < size else v
                for k, v in batch.items()
            }

    def set_input_arrays(self, data: Any, labels: Any) -> None:
        """Hand arrays to the net's first layer, a MemoryData layer."""
        self.layers[0].set_input_arrays(data, labels)  # type: ignore[attr-defined]

    def reshape(self) -> None:
        """Propagate the inputs' shapes through the net."""
        self.engine.reshape()

    def clear_param_diffs(self) -> None:
        self.engine.clear_param_diffs()

    def copy_from(self, path: str) -> None:
        """Load weights (.caffemodel or HDF5; several, separated by commas) into the layers of the same names."""
        weights.load(self.engine.layers, *([path] if Path(path).exists() else str(path).split(",")))

    def load_hdf5(self, path: str) -> None:
        self.copy_from(path)

    def share_with(self, other: "Net") -> None:
        """Use the other net's parameters from now on."""
        self.engine.share_with(other.engine)

    def save(self, path: str) -> None:
        """Write weights as .caffemodel."""
        weights.save(path, self.name, self.engine.layers)

    def save_hdf5(self, path: str) -> None:
        """Write weights as HDF5, whatever the name ends in."""
        weights.save(path, self.name, self.engine.layers, hdf5=True)
