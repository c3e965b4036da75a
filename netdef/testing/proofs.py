"""What a case proves beside its gradients: each function yields a line for every promise that is not kept."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netdef import weights
from netdef.errors import ExportError, NetdefError
from netdef.export import build, verify
from netdef.export.select import select
from netdef.graph.prepare import layer_class
from netdef.layer import TEST, Source
from netdef.registry import Registry
from netdef.testing.bench import Bench
from netdef.testing.cases import Case
from netdef.testing.steps import compare, spoil


def forward(bench: Bench, point: int = 0, before: Callable[[int], None] | None = None) -> list[tuple[str, np.ndarray]]:
    """A pass forward: the outputs, named for messages."""
    names = [f"{bench.place(i)}: top '{bench.net.layers[i].layer_param.top[t]}'" for i, t in bench.outputs]
    return list(zip(names, bench.forward(bench.draw(point), before), strict=True))


def run(bench: Bench, point: int = 0) -> list[tuple[str, np.ndarray]]:
    """A pass forward and, where the case has gradients, backward: everything it gives, named for messages."""
    found = forward(bench, point)
    if bench.case.gradient:
        dx, dw = bench.backward()
        found += [(f"gradient of input '{name}'", x) for name, x in dx.items()]
        found += [(f"gradient of parameter {name}", x) for name, x in dw.items()]
    return found


def differences(got: Any, want: Any, tolerance: float, what: str) -> Iterator[str]:
    """Compare what two runs gave, in order: two nets may have other names for the same blob."""
    for (name, x), (_, y) in zip(got, want, strict=True):
        fault = compare(x, y, tolerance, name)
        if fault:
            yield f"{what}: {fault}"


def repeatable(case: Case, registry: Registry) -> Iterator[str]:
    """The same pass gives the same, whatever the tops held, and in another process: a net built anew."""
    bench, other = Bench(case, registry), Bench(case, registry)
    first = forward(bench)
    yield from differences(forward(bench), first, 0, "the same pass run twice differs; random numbers are for rng()")
    yield from differences(forward(other), first, 0, "two nets of one seed differ")
    spoilt = forward(bench, 0, lambda i: _spoil_tops(bench, i))
    yield from differences(spoilt, first, 0, "forward must write its tops, every element: what they held shows")


def in_place(case: Case, registry: Registry) -> Iterator[str]:
    """Where a class says in_place, the case gives the same written in place and not."""
    inside = Bench(case, registry, change=lambda net: _move(net, registry, True))
    if any(t is b for ts, bs in zip(inside.net.tops, inside.net.bottoms, strict=True) for t in ts for b in bs):
        outside = Bench(case, registry, change=lambda net: _move(net, registry, False))
        yield from differences(run(inside), run(outside), 1e-12, "in place differs from out of place")


def another_batch(case: Case, registry: Registry) -> Iterator[str]:
    """Twice the batch, and back: as a net built for that size. A case whose layers refuse the size passes."""
    bench = Bench(case, registry)
    shapes = {name: blob.shape for name, blob in bench.inputs.items()}
    if not any(shapes.values()):
        return
    before = run(bench)
    try:
        for name, shape in shapes.items():
            bench.inputs[name].reshape(*(2 * d for d in shape[:1]), *shape[1:])
        doubled = run(bench, 1)
        new = run(Bench(case, registry, change=lambda net: _double(net, registry)), 1)
    except NetdefError as e:
        if not e.meant:  # not a refusal but an accident
            yield f"with twice the batch: {e}"
        return
    yield from differences(doubled, new, 1e-12, "reshaped to twice the batch it differs from a net of that size")
    for name, shape in shapes.items():
        bench.inputs[name].reshape(*shape)
    yield from differences(run(bench), before, 1e-12, "reshaped to another batch and back it differs")


def single_precision(case: Case, registry: Registry) -> Iterator[str]:
    """float32 agrees with float64 to a thousandth; nets that draw their own data are not the same and are left out."""
    bench = Bench(case, registry)
    if not any(isinstance(layer, Source) and layer.role != "input" for layer in bench.net.layers):
        yield from differences(run(Bench(case, registry, np.float32)), run(bench), 1e-3, "float32 differs from float64")


def memory_plan(case: Case, registry: Registry) -> Iterator[str]:
    """Blobs that share memory by plan hold, to rounding, what they hold without one; for TEST, forward alone."""
    planned, free = Bench(case, registry, plan=True), Bench(case, registry)
    go = forward if case.phase == TEST else run
    yield from differences(go(planned), go(free), 1e-12, "with the memory plan it differs")


def weights_round_trip(case: Case, registry: Registry) -> Iterator[str]:
    """Parameters saved and loaded into a net of another seed are the same, in both formats."""
    bench = Bench(case, registry, np.float32)
    if not bench.net.params:
        return
    for suffix in (".caffemodel", ".h5"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"case{suffix}"
            weights.save(file, case.name, bench.net.layers)
            other = Bench(case, registry, np.float32, seed=2)
            for blob in (b for blobs in other.net.params.values() for b in blobs):
                blob.data[...] = 0
            weights.load(other.net.layers, file)
        for name, blobs in bench.net.params.items():
            for i, (mine, its) in enumerate(zip(blobs, other.net.params[name], strict=True)):
                if not np.array_equal(mine.data, its.data, equal_nan=True):
                    yield f"layer '{name}': parameter {i} comes back from a {suffix} file with other values"


def onnx_form(case: Case, registry: Registry) -> Iterator[str]:
    """The net built for TEST agrees with ONNX Runtime blob by blob; or is refused by name, where the case says so."""
    bench = Bench(case, registry, np.float32, phase=TEST)
    try:
        chosen = select(bench.net)
    except ExportError:
        return  # only sources, losses and metrics: nothing to export
    names = [bench.net.layers[i].name for i in chosen.layers]
    try:
        exported = build(bench.net)
    except ExportError as e:
        if case.onnx is True:
            yield f"ONNX: {e}; write to_onnx, or end the case's line with onnx=no:REASON"
        elif not any(f"'{name}'" in str(e) for name in names):
            yield f"ONNX: {e}"
        return
    if case.onnx is not True:
        yield f"ONNX: the case says that there is no form ({case.onnx}), but to_onnx gave one"
        return
    blobs = {name: bench.net.layers[i].layer_param.top[t] for name, (i, t) in exported.inputs.items()}
    feeds = [{name: drawn[blob] for name, blob in blobs.items()} for drawn in map(bench.draw, range(3))]
    try:
        verify(bench.net, exported, feeds=feeds, every=True, threads=1)
    except ExportError as e:
        yield f"ONNX: {e}"


def _spoil_tops(bench: Bench, i: int) -> None:
    net = bench.net
    kept = [t for layer, tops in zip(net.layers, net.tops, strict=True) if isinstance(layer, Source) for t in tops]
    for top in net.tops[i]:  # an input that is overwritten in place is a top too
        if not any(top.shares_data(b) for b in (*kept, *net.bottoms[i])):
            spoil(top.data)


def _double(net: Any, registry: Registry) -> None:
    for layer in net.layer:
        cls = layer_class(layer, registry)
        if cls.role == "input":
            for shape in (s for s in getattr(layer, cls.options).shape if len(s.dim)):
                shape.dim[0] *= 2


def _move(net: Any, registry: Registry, inside: bool) -> None:
    """Rename tops so that every layer that may works in place, or none does."""
    renamed: dict[str, str] = {}
    alone = _read_once(net)
    for i, layer in enumerate(net.layer):
        movable = layer_class(layer, registry).in_place and i in alone and len(layer.top)
        old = list(layer.top)
        layer.bottom[:] = [renamed.get(name, name) for name in layer.bottom]
        for name in old:
            renamed.pop(name, None)
        if movable:
            layer.top[0] = renamed[old[0]] = layer.bottom[0] if inside else f"{layer.name}_apart"


def _read_once(net: Any) -> set[int]:
    """Layers that are the only reader of their first bottom."""
    latest: dict[str, tuple[int, int]] = {}
    readers: dict[tuple[int, int], list[int]] = {}
    for i, layer in enumerate(net.layer):
        for name in layer.bottom:
            readers.setdefault(latest.get(name, (-1, 0)), []).append(i)
        latest.update((name, (i, t)) for t, name in enumerate(layer.top))
    return {who[0] for who in readers.values() if len(who) == 1 and len(net.layer[who[0]].bottom)}
