"""What a layer's backward and update may touch, and what they may read: proven one layer at a time, last to first."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from netdef.blob import Blob
from netdef.testing.bench import Bench, random


class Step:
    """One layer of a net in the middle of a backward pass, which can be run again and again from the same state."""

    def __init__(self, bench: Bench, i: int):
        net = bench.net
        self.where = bench.place(i)
        self.layer, self.bottom, self.top, self.down = net.layers[i], net.bottoms[i], net.tops[i], net.propagate_down[i]
        self.learns = [k for k, learns in enumerate(self.layer.learns) if learns]
        self._blobs = list({id(b): b for b in [*self.bottom, *self.top]}.values())
        self._state = [(b.data.copy(), b.diff.copy()) for b in self._blobs]

    def restore(self) -> None:
        for blob, (data, diff) in zip(self._blobs, self._state, strict=True):
            blob.data[...], blob.diff[...] = data, diff
        for blob in self.layer.blobs:
            blob.diff[...] = 0

    def run(self, down: list[bool] | None = None) -> list[np.ndarray]:
        """Update, then backward; the gradients of parameters and then of bottoms."""
        self.layer.update(self.top, self.bottom)
        self.backward(self.down if down is None else down)
        return self.gradients()

    def backward(self, down: list[bool]) -> None:
        if any(down):
            self.layer.backward(self.top, down, self.bottom)

    def gradients(self) -> list[np.ndarray]:
        blobs = [self.layer.blobs[k] for k in self.learns] + [b for b, d in zip(self.bottom, self.down) if d]
        return [b.diff.copy() for b in blobs]

    def names(self) -> list[str]:
        bottoms = [f"bottom {j} ('{self.layer.layer_param.bottom[j]}')" for j, d in enumerate(self.down) if d]
        return [f"parameter {k}" for k in self.learns] + bottoms

    def is_apart(self, j: int) -> bool:
        """Whether a bottom's diff is memory that no top uses."""
        return all(self.bottom[j].storages[1] is not t.storages[1] for t in self.top)


def step_faults(bench: Bench) -> Iterator[str]:
    """Run a bench forward and backward, and say what each layer does that the contract forbids."""
    bench.forward(bench.draw())
    bench.pull()
    for i in reversed(range(len(bench.net.layers))):
        if not bench.net.runs_backward[i]:
            continue
        step = Step(bench, i)
        step.restore()
        want = step.run()
        for check in (_adds, _writes, _leaves_alone, _touches_no_data, _reads_what_it_declares):
            step.restore()
            yield from (f"{step.where}: {fault}" for fault in check(step, want))
        step.restore()
        step.run()


def _adds(step: Step, want: list[np.ndarray]) -> Iterator[str]:
    """update adds: to what was there, and again when it is called again."""
    before = []
    for k, once in zip(step.learns, want, strict=False):
        blob = step.layer.blobs[k]
        blob.diff[...] = random("before", k).standard_normal(blob.shape) * np.max(np.abs(once), initial=0.0)
        before.append(blob.diff.copy())
    for times in (1, 2):
        step.layer.update(step.top, step.bottom)
        for k, start, once in zip(step.learns, before, want, strict=False):
            fault = compare(step.layer.blobs[k].diff - start, times * once, 1e-9, f"after {times} of update")
            if fault:
                yield f"update must add to the diff of parameter {k}: {fault}"
                return


def _writes(step: Step, want: list[np.ndarray]) -> Iterator[str]:
    """backward writes: what the bottoms' diffs held before does not matter."""
    for j, blob in enumerate(step.bottom):
        if step.down[j] and step.is_apart(j):
            blob.diff[...] = np.nan
    for name, got, wanted in zip(step.names(), step.run(), want, strict=True):
        if not np.array_equal(got, wanted):
            yield f"backward must write {name}'s diff, every element: what it held before shows in the result"


def _leaves_alone(step: Step, want: list[np.ndarray]) -> Iterator[str]:
    """A bottom that needs no gradient keeps its diff, and the others get the same as before."""
    for j, blob in enumerate(step.bottom):
        down = [d and k != j for k, d in enumerate(step.down)]
        if not any(down) or not step.is_apart(j) or any(blob is b for k, b in enumerate(step.bottom) if k != j):
            continue
        step.restore()
        blob.diff[...] = mark = random("mark", j).standard_normal(blob.shape).astype(blob.dtype)
        got = step.run(down)
        name = f"bottom {j} ('{step.layer.layer_param.bottom[j]}')"
        if not np.array_equal(blob.diff, mark):
            yield f"backward writes the diff of {name} though propagate_down[{j}] is false"
        for other, a, b in zip(step.names(), got, want, strict=True):
            if other != name and not np.array_equal(a, b):
                yield f"{other} gets another gradient when propagate_down[{j}] is false"


def _touches_no_data(step: Step, want: list[np.ndarray]) -> Iterator[str]:
    """Data is for reading; the layer before may still need it. update must leave the tops' diffs for backward."""
    data = [(f"{what} {k}", b, b.data.copy()) for what, k, b in _named(step)]
    diffs = [b.diff.copy() for b in step.top]
    step.layer.update(step.top, step.bottom)
    for t, (blob, diff) in enumerate(zip(step.top, diffs, strict=True)):
        if not np.array_equal(blob.diff, diff):
            yield f"update changes the diff of top {t}, which backward still needs"
    step.backward(step.down)
    for name, blob, before in data:
        if not np.array_equal(blob.data, before, equal_nan=True):
            yield f"backward or update changes the data of {name}"


def _reads_what_it_declares(step: Step, want: list[np.ndarray]) -> Iterator[str]:
    """The memory plan gives data away that `reads` does not name: here it is overwritten."""
    reads = tuple(step.layer.reads)
    allowed = {id(b.storages[0]) for what, _, b in _named(step) if what in reads}
    hidden = {id(b): (what, b) for what, _, b in _named(step) if id(b.storages[0]) not in allowed}
    for _, blob in hidden.values():
        spoil(blob.data)
    if hidden and not all(np.array_equal(a, b) for a, b in zip(step.run(), want, strict=True)):
        what = " or ".join(sorted({f"{what}'s" for what, _ in hidden.values()}))
        yield f"backward or update reads the {what} data, but the class declares reads = {reads}"


def _named(step: Step) -> list[tuple[str, int, Blob]]:
    return [("bottom", j, b) for j, b in enumerate(step.bottom)] + [("top", t, b) for t, b in enumerate(step.top)]


def spoil(x: np.ndarray) -> None:
    """Overwrite with NaN; where all are whole numbers, which may be used as indices, with each other's values."""
    whole = x.size > 0 and np.isfinite(x).all() and np.array_equal(x, np.floor(x))
    x[...] = np.roll(x.reshape(-1), 1).reshape(x.shape) if whole else np.nan


def compare(got: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> str:
    """Empty where two arrays agree to a part of their scale; else where and by how much they do not."""
    if got.shape != want.shape:
        return f"{what}: shape {got.shape}, want {want.shape}"
    scale = float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want)))
    with np.errstate(invalid="ignore"):
        off = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0.0, np.abs(got - want))
    off = np.where(np.isnan(off), np.inf, off)
    if not off.size or off.max() <= tolerance * scale:
        return ""
    at: Any = np.unravel_index(int(np.argmax(off)), off.shape)
    return f"{what}: at {tuple(int(k) for k in at)} {got[at]:.9g}, want {want[at]:.9g}"
