"""Layers written in Python for Caffe: a class named by the prototxt."""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.layer import Blob, Layer, LayerError, Shape, hookimpl

_folders: set[Path] = set()  # put on Python's path here, for modules beside a prototxt


class Python(Layer):
    """y = what python_param.layer of python_param.module computes; its setup, reshape, forward, backward do it.

    It runs only where the user has allowed code that a prototxt names. The class finds param_str, phase and blobs as
    Caffe sets them; setup sees stand-ins for bottoms and tops, of the right shapes. Where it makes parameters, its
    backward runs twice, once for their gradient and once for the bottoms'. What it keeps to itself is no part of a
    snapshot. The module is looked for on Python's path, then in the working directory and beside the prototxt.
    """

    type = "Python"
    bottoms = (0, None)
    tops = (0, None)
    options = "python_param"
    reads = ("bottom", "top")

    def setup(self, bottom_shapes: list[Shape]) -> None:
        named = f"class '{self.param.layer}' of module '{self.param.module}'"
        if not self.context.allow_code:
            raise LayerError(
                f"runs code named by the prototxt ({named}) only if you say so: set NETDEF_ALLOW_CODE=1, "
                "give the flag --allow-code, or build Net(..., allow_code=True)"
            )
        if not self.param.module or not self.param.layer:
            raise LayerError(f"names {named}; want python_param {{ module: MODULE layer: CLASS }}")
        self.in_place = True  # for the class to answer for, where the prototxt says so
        self.blobs = Blobs(self)
        self.bottom = [Blob(shape, self.dtype) for shape in bottom_shapes]
        self.top = [Blob((), self.dtype) for _ in self.layer_param.top]
        self.first = True
        with importing_caffe():
            self.code = _class(self.param.module, self.param.layer, self.context.find)(self.layer_param)
            self.code.param_str = self.code.param_str_ = self.param.param_str
            self.code.phase, self.code.blobs = self.phase, self.blobs
            self._call("setup", self.bottom, self.top)

    def infer(self, *shapes: Shape) -> list[Shape]:
        for blob, shape in zip(self.bottom, shapes, strict=True):
            blob.reshape(*shape)
        self._call("reshape", self.bottom, self.top)
        return [blob.shape for blob in self.top]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._call("reshape", bottom, top)
        if self.first:
            self._keep_what_setup_wrote(top)
        self._call("forward", bottom, top)

    def _keep_what_setup_wrote(self, top: list[Blob]) -> None:
        self.first = False
        for stand_in, blob in zip(self.top, top, strict=True):
            if stand_in.storages[0].array is not None and stand_in.shape == blob.shape:
                blob.data[...] = stand_in.data

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        kept = [blob.diff.copy() for blob in self.blobs]
        self._call("backward", top, propagate_down, bottom)
        for blob, diff in zip(self.blobs, kept, strict=True):
            blob.diff[...] = diff

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        before = [blob.diff.copy() for blob in self.blobs]
        for blob in self.blobs:
            blob.diff[...] = 0  # code written for Caffe may add to it or assign
        self._call("backward", top, [False] * len(bottom), bottom)
        for blob, diff in zip(self.blobs, before, strict=True):
            np.add(blob.diff, diff, out=blob.diff)

    def _call(self, method: str, *args: Any) -> None:
        """Let the class do it; an exception becomes a LayerError that says where in its code."""
        try:
            getattr(self.code, method)(*args)
        except NetdefError:
            raise
        except Exception as e:
            calls = traceback.extract_tb(e.__traceback__)
            file = getattr(sys.modules.get(type(self.code).__module__), "__file__", "")
            at = ([call for call in calls if call.filename == file] or calls)[-1]
            place = f"{self.param.layer}.{method}: {at.filename}:{at.lineno}"
            raise LayerError(f"{place}: {type(e).__name__}: {e}") from e


class Blobs(list):
    """The parameters of a Python layer, which its setup may add to: self.blobs.add_blob(2, 3)."""

    def __init__(self, layer: Layer):
        self._layer = layer

    def add_blob(self, *shape: int) -> None:
        self._layer.add_blob(shape)


def _class(module: str, name: str, find: Callable[[str], Path]) -> Any:
    """The class; raises LayerError that says where it was looked for."""
    loaded = _module(module, find)
    if not callable(getattr(loaded, name, None)):
        classes = ", ".join(n for n, c in vars(loaded).items() if isinstance(c, type)) or "none"
        where = getattr(loaded, "__file__", None) or "built in"
        raise LayerError(f"module '{module}' ({where}) has no class '{name}'; it has: {classes}")
    return getattr(loaded, name)


def _module(name: str, find: Callable[[str], Path]) -> ModuleType:
    near = _near(name, find)
    try:
        try:
            loaded = importlib.import_module(name)
        except ModuleNotFoundError as e:
            if near is None or not e.name or not f"{name}.".startswith(f"{e.name}."):
                raise
            folder = near.parents[name.count(".") + (near.name == "__init__.py")]
            _folders.add(folder)
            sys.path.append(str(folder))  # for good: the module may import its neighbours later
            loaded = importlib.import_module(name)
    except Exception as e:
        looked = "looked on PYTHONPATH, in the working directory and beside the prototxt"
        cause = looked if isinstance(e, ModuleNotFoundError) and near is None else type(e).__name__
        raise LayerError(f"module '{name}' cannot be imported: {e} ({cause})") from e
    origin = Path(getattr(loaded, "__file__", None) or ".").resolve()
    if near is not None and origin != near and _folders & set(origin.parents):
        raise LayerError(f"module '{name}' is {near}, but {origin} has that name already; rename one of the two")
    return loaded


def _near(name: str, find: Callable[[str], Path]) -> Path | None:
    """The module's file in the working directory or beside the prototxt."""
    stem = name.replace(".", "/")
    for file in (f"{stem}.py", f"{stem}/__init__.py"):
        with contextlib.suppress(NetdefError):
            return find(file).resolve()
    return None


@contextlib.contextmanager
def importing_caffe() -> Iterator[None]:
    """Within the block, `import caffe` finds netdef.pycaffe; what was there before is put back.

    netdef.pycaffe is above the layers, so it is named here and not imported above: a class derived from caffe.Layer
    cannot be made without it, and nothing else of the layer needs it.
    """
    pycaffe = importlib.import_module("netdef.pycaffe.__main__")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "caffe"}
    if before.get("caffe") is importlib.import_module("netdef.pycaffe"):
        yield
        return
    for name in before:
        del sys.modules[name]
    pycaffe.stand_in_for_caffe()
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "caffe"]:
            del sys.modules[name]
        sys.modules.update(before)


@hookimpl
def netdef_layers() -> list[type]:
    return [Python]
