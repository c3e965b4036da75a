"""The fillers of BVLC Caffe: what a parameter holds before training."""

import math
from typing import Any

import numpy as np

from netdef.errors import LayerError
from netdef.hookspecs import hookimpl

Array = np.ndarray


def constant(x: Array, p: Any, rng: np.random.Generator) -> None:
    """value everywhere."""
    x[...] = p.value


def uniform(x: Array, p: Any, rng: np.random.Generator) -> None:
    """Uniform on [min, max)."""
    _uniform(x, p.min, p.max, rng)


def gaussian(x: Array, p: Any, rng: np.random.Generator) -> None:
    """Normal(mean, std); with sparse: s, an input reaches s outputs on average and the other weights are zero."""
    _normal(x, p.mean, p.std, rng)
    if p.sparse >= 0:
        if x.ndim < 1 or x.shape[0] == 0:
            raise LayerError("a sparse gaussian filler needs a weight with an axis of outputs")
        x *= rng.random(x.shape) < p.sparse / x.shape[0]


def positive_unitball(x: Array, p: Any, rng: np.random.Generator) -> None:
    """Uniform on [0, 1), then each row (one output) divided by its sum."""
    _uniform(x, 0.0, 1.0, rng)
    rows = x.reshape(x.shape[0], -1)
    rows /= rows.sum(axis=1, keepdims=True)


def xavier(x: Array, p: Any, rng: np.random.Generator) -> None:
    """Uniform on [-a, a) with a = sqrt(3 / n); n by variance_norm: fan in, fan out or their mean (Glorot 2010)."""
    a = math.sqrt(3.0 / fan(x.shape, p))
    _uniform(x, -a, a, rng)


def msra(x: Array, p: Any, rng: np.random.Generator) -> None:
    """Normal(0, sqrt(2 / n)), n as in xavier (He 2015)."""
    _normal(x, 0.0, math.sqrt(2.0 / fan(x.shape, p)), rng)


def bilinear(x: Array, p: Any, rng: np.random.Generator) -> None:
    """The kernel of bilinear upsampling, the same in every channel; for a Deconvolution with group = channels."""
    if x.ndim != 4 or x.shape[2] != x.shape[3]:
        raise LayerError(f"a bilinear filler needs a square 4-D weight, got {x.shape}")
    k = x.shape[3]
    f = math.ceil(k / 2.0)
    c = (k - 1) / (2.0 * f)
    ramp = 1 - np.abs(np.arange(k) / f - c)
    x[...] = ramp[:, None] * ramp


def fan(shape: tuple[int, ...], p: Any) -> float:
    """How many weights meet at one output (FAN_IN), leave one input (FAN_OUT), or the mean of both."""
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else float(count)
    return {0: fan_in, 1: fan_out, 2: (fan_in + fan_out) / 2}[p.variance_norm]


def _uniform(x: Array, low: float, high: float, rng: np.random.Generator) -> None:
    rng.random(out=x, dtype=x.dtype)
    x *= high - low
    x += low


def _normal(x: Array, mean: float, std: float, rng: np.random.Generator) -> None:
    rng.standard_normal(out=x, dtype=x.dtype)
    x *= std
    x += mean


@hookimpl
def netdef_fillers() -> dict[str, Any]:
    fillers = (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)
    return {f.__name__: f for f in fillers}
