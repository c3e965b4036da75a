"""Forward alone, for trying an idea: backward and update by JAX's automatic differentiation.

    from netdef.autodiff import ForwardOnly, jnp
    from netdef.layer import hookimpl

    class Mish(ForwardOnly):
        "x * tanh(log(1 + e^x))"
        type = "Mish"

        def function(self, w, x):
            return x * jnp.tanh(jnp.logaddexp(x, 0))

    @hookimpl
    def netdef_layers():
        return [Mish]

It needs JAX: pip install "netdef-nn[jax]". A loss derives from ForwardOnly and from Loss. An ONNX form is still the
author's to write.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np

from netdef.blob import Blob
from netdef.errors import LayerError, PluginError
from netdef.layer import Layer, Shape

try:
    import jax
    import jax.numpy as jnp
except ImportError as e:
    raise PluginError(f'netdef.autodiff needs JAX ({e}); run: pip install "netdef-nn[jax]"') from None

__all__ = ["ForwardOnly", "jnp"]


class ForwardOnly(Layer):
    """A layer whose author writes y = function(w, *x) in jax.numpy; everything else follows from it.

    `function` is pure: it may read self.param, self.phase and shapes, and nothing that changes from pass to pass. It is
    traced once for each set of shapes, so it keeps no state, draws no random numbers (self.rng and self.key would be
    frozen at their first value) and takes no branch on what an array holds. Parameters are made in `setup` as in any
    layer. Backward and update run forward again; a layer that is to be fast writes its own.
    """

    @abstractmethod
    def function(self, w: Sequence[Any], *x: Any) -> Any:
        """The top, or a tuple of the tops, from the parameters w (in the order of add_blob) and the bottoms x."""

    def infer(self, *shapes: Shape) -> list[Shape]:
        """From `function` itself, traced without numbers."""
        w, x = ([jax.ShapeDtypeStruct(s, self.dtype) for s in group] for group in (self._parameter_shapes, shapes))
        with _precision():
            return [tuple(y.shape) for y in jax.eval_shape(self._tops, w, x)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob, y in zip(top, self._run(self._compiled_forward, bottom), strict=True):
            blob.data[...] = y

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        wanted = [blob for blob, down in zip(bottom, propagate_down, strict=True) if down]
        for blob, dx in zip(
            wanted, self._run(self._compiled_backward, bottom, top, tuple(propagate_down)), strict=True
        ):
            blob.diff[...] = dx

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        for blob, learns, dw in zip(
            self.blobs, self.learns, self._run(self._compiled_update, bottom, top), strict=True
        ):
            if learns:
                blob.diff[...] += dw

    @property
    def _parameter_shapes(self) -> list[Shape]:
        return [blob.shape for blob in self.blobs]

    def _tops(self, w: Sequence[Any], x: Sequence[Any]) -> tuple[Any, ...]:
        y = self.function(w, *x)
        tops = tuple(y) if isinstance(y, tuple | list) else (y,)
        if len(tops) != len(self.layer_param.top):
            raise LayerError(f"function gives {len(tops)} arrays for {len(self.layer_param.top)} tops")
        return tuple(jnp.asarray(y, self.dtype) for y in tops)

    @cached_property
    def _compiled_forward(self) -> Callable[..., Any]:
        return jax.jit(self._tops)

    @cached_property
    def _compiled_update(self) -> Callable[..., Any]:
        def gradient(w: Any, x: Any, dy: Any) -> Any:
            return jax.vjp(lambda w: self._tops(w, x), w)[1](dy)[0]

        return jax.jit(gradient)

    @cached_property
    def _compiled_backward(self) -> Callable[..., Any]:
        def gradient(w: Any, x: Any, dy: Any, down: tuple[bool, ...]) -> Any:
            def tops(moved: list[Any]) -> Any:
                left = iter(moved)
                return self._tops(w, [next(left) if d else fixed for d, fixed in zip(down, x, strict=True)])

            return jax.vjp(tops, [each for d, each in zip(down, x, strict=True) if d])[1](dy)[0]

        return jax.jit(gradient, static_argnums=3)

    def _run(
        self, compiled: Callable[..., Any], bottom: list[Blob], top: Sequence[Blob] = (), *static: Any
    ) -> list[Any]:
        """Call compiled code and wait for it: until then JAX may be looking at the blobs' own memory."""
        args: list[Any] = [[blob.data for blob in self.blobs], [blob.data for blob in bottom]]
        if top:
            args.append(tuple(blob.diff for blob in top))
        with _precision():
            return [np.asarray(y) for y in compiled(*args, *static)]


def _precision() -> AbstractContextManager[Any]:
    """float64 stays float64, here and nowhere else in the process; jax.experimental has it in older versions."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()
