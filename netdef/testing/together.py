"""What a layer says of itself so that one may do another's work along: `rectifies`, `as_affine`, `absorbs`."""

from collections.abc import Iterator

import numpy as np

from netdef.blob import Blob
from netdef.graph.fuse import learns_as_affine
from netdef.layer import Layer
from netdef.registry import Registry
from netdef.testing.bench import Bench, random
from netdef.testing.cases import Case
from netdef.testing.steps import compare

Affine = tuple[np.ndarray, np.ndarray]


def said_together(case: Case, registry: Registry) -> Iterator[str]:
    """Every layer of the case against what it says, each with its bottoms as a pass brings them."""
    bench, found = Bench(case, registry), list[str]()
    bench.forward(bench.draw(), lambda i: found.extend(_faults(bench, i)))
    yield from found


def _faults(bench: Bench, i: int) -> Iterator[str]:
    layer = bench.net.layers[i]
    bottom = [_copy(blob) for blob in bench.net.bottoms[i]]
    if layer.rectifies:
        bottom[0].data.flat[:1] = np.nan
        got, want = _forward(layer, bottom, bench.net.tops[i]), np.maximum(bottom[0].data, 0)
        yield from _fault(bench, i, got, want, 0, "it says rectifies, but y is not max(0, x)")
    if "affine" in layer.absorbs or "rectified" in layer.absorbs:
        yield from _absorption(bench, i, bottom)
    if "gradients" in layer.absorbs:
        yield from _gradients(bench, i, bottom)
    affine = layer.as_affine()
    if affine is not None:
        want = _applied(bottom[0].data, affine)
        got = _forward(layer, bottom, bench.net.tops[i])
        yield from _fault(bench, i, got, want, 1e-12, "as_affine gives (g, b), but y is not g x + b")
        if learns_as_affine(layer) and any(layer.learns):
            yield from _update(bench, i, bottom)
        layer.forward(bottom, bottom[:1])
        yield from _fault(bench, i, bottom[0].data, want, 1e-12, "as_affine is given, but in place y is not g x + b")


def _absorption(bench: Bench, i: int, bottom: list[Blob]) -> Iterator[str]:
    layer, tops = bench.net.layers[i], bench.net.tops[i]
    y = _forward(layer, bottom, tops)
    affine, rectified = None, "rectified" in layer.absorbs
    if "affine" in layer.absorbs:
        draw = random(layer.name, i)
        affine = draw.standard_normal(y.shape[1:2] or 1), draw.standard_normal(y.shape[1:2] or 1)
        y = _applied(y, affine)
    top = [_spoilt(blob) for blob in tops]
    layer.forward_then(bottom, top, affine, rectified)
    want = np.maximum(y, 0) if rectified else y
    yield from _fault(bench, i, top[0].data, want, 1e-12, "forward_then is not forward and what it absorbs")


def _update(bench: Bench, i: int, bottom: list[Blob]) -> Iterator[str]:
    layer, dy = bench.net.layers[i], _spoilt(bench.net.tops[i][0])
    dy.diff[...] = random(layer.name, i).standard_normal(dy.shape)
    found = []
    for update in (
        lambda: layer.update_affine(_by_channel(dy.diff * bottom[0].data), _by_channel(dy.diff)),
        lambda: layer.update([dy], bottom),
    ):
        for blob in layer.blobs:
            blob.diff[...] = 1
        update()
        found.append([blob.diff.copy() for blob in layer.blobs])
    for got, want in zip(*found, strict=True):
        yield from _fault(bench, i, got, want, 1e-12, "update_affine is not update")


def _gradients(bench: Bench, i: int, bottom: list[Blob]) -> Iterator[str]:
    layer = bench.net.layers[i]
    top = [_spoilt(blob) for blob in bench.net.tops[i]]
    layer.forward(bottom, top)
    y, draw = top[0].data.copy(), random(layer.name, i)
    g, b = draw.standard_normal((2, *(y.shape[1:2] or (1,))))
    behind = _spoilt(top[0])
    behind.data[...] = np.maximum(_applied(y, (g, b)), 0)
    behind.diff[...] = draw.standard_normal(y.shape)
    dz = behind.diff * (behind.data > 0)
    top[0].diff[...] = _applied(dz, (g, np.zeros_like(b)))
    layer.backward(top, [True], bottom)
    dx, bottom[0].diff[...], top[0].diff[...] = bottom[0].diff.copy(), np.nan, np.nan
    found = layer.backward_then(behind, top, bottom, g, True)
    what = "backward_then is not backward and what it absorbs"
    yield from _fault(bench, i, bottom[0].diff, dx, 1e-12, what)
    for got, want in zip(found, (dz * y, dz), strict=True):
        yield from _fault(bench, i, got, _by_channel(want), 1e-12, what)


def _by_channel(x: np.ndarray) -> np.ndarray:
    """The sums over all but axis 1; a single one where there is none."""
    return x.sum(axis=(0, *range(2, x.ndim))) if x.ndim > 1 else x.sum(keepdims=True)


def _applied(x: np.ndarray, affine: Affine) -> np.ndarray:
    g, b = (np.reshape(v, (-1, *[1] * (x.ndim - 2))) for v in affine)
    return g * x + b


def _forward(layer: Layer, bottom: list[Blob], tops: list[Blob]) -> np.ndarray:
    made = [_spoilt(blob) for blob in tops]
    layer.forward(bottom, made)
    return made[0].data


def _copy(blob: Blob) -> Blob:
    made = Blob(blob.shape, blob.dtype)
    made.data[...] = blob.data
    return made


def _spoilt(blob: Blob) -> Blob:
    made = Blob(blob.shape, blob.dtype)
    made.data[...] = np.nan
    return made


def _fault(bench: Bench, i: int, got: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> Iterator[str]:
    fault = compare(got, want, tolerance, bench.net.layers[i].layer_param.top[0])
    if fault:
        yield f"{bench.place(i)}: {what}: {fault}"
