"""The memory plan: which activations and gradients may lie in the same bytes, as they are never alive together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Key = int
"""Which storage: blobs that share one have one key."""
ALIGN = 64  # bytes: a cache line, and the widest vector


@dataclass
class Step:
    """What one layer touches, by storage; storages that blobs share have one key."""

    bottom_data: list[Key]
    bottom_diff: list[Key]
    top_data: list[Key]
    top_diff: list[Key]
    reads: tuple[str, ...] = ()
    """Whose data backward and update need: "bottom", "top"."""
    runs_backward: bool = False
    down: tuple[bool, ...] = ()
    """Which bottoms get a gradient."""


@dataclass
class Life:
    """From the step that writes a storage to the last that reads it; steps run 0..2n-1, forward then backward."""

    begin: int
    end: int

    def overlaps(self, other: "Life") -> bool:
        return self.begin <= other.end and other.begin <= self.end


def lifetimes(steps: list[Step], runs: Mapping[int, int] | None = None) -> dict[Key, Life]:
    """How long each storage is needed. Storages that no step writes are left out: they must keep what they hold.

    `runs` maps the last to the first of the steps that go backward as one: all they touch is alive together.
    """
    times = list(range(len(steps)))
    for end, begin in (runs or {}).items():
        times[begin : end + 1] = [begin] * (end + 1 - begin)
    lives: dict[Key, Life] = {}
    last = 2 * len(steps) - 1
    for i, step in enumerate(steps):
        for key in step.top_data:
            _touch(lives, key, i)
        for key in step.bottom_data:
            _use(lives, key, i)
    for i, step in reversed(list(enumerate(steps))):
        if step.runs_backward:
            _backward(lives, step, last - times[i])
    return lives


def _backward(lives: dict[Key, Life], step: Step, now: int) -> None:
    for side, keys in (("bottom", step.bottom_data), ("top", step.top_data)):
        if side in step.reads:
            for key in keys:
                _use(lives, key, now)
    for key in step.top_diff:
        _use(lives, key, now)
    for key, wanted in zip(step.bottom_diff, step.down, strict=True):
        if wanted:
            _touch(lives, key, now)


def _touch(lives: dict[Key, Life], key: Key, now: int) -> None:
    if key in lives:
        lives[key].end = max(lives[key].end, now)
    else:
        lives[key] = Life(now, now)


def _use(lives: dict[Key, Life], key: Key, now: int) -> None:
    if key in lives:
        lives[key].end = max(lives[key].end, now)


def assign(lives: dict[Key, Life], sizes: dict[Key, int], keep: Iterable[Key] = ()) -> tuple[dict[Key, int], int]:
    """Byte offsets of the storages in one arena, and its size; the largest are placed first, as low as they fit.

    `keep` names storages that must have memory of their own: what the user reads or writes between passes.
    """
    kept = set(keep)
    offsets: dict[Key, int] = {}
    placed: list[tuple[int, int, Life]] = []
    for key in sorted((k for k in lives if k not in kept), key=lambda k: -sizes[k]):
        size = -(-sizes[key] // ALIGN) * ALIGN
        offset = 0
        for low, high, _ in sorted((p for p in placed if p[2].overlaps(lives[key])), key=lambda p: p[0]):
            if low - offset >= size:
                break
            offset = max(offset, high)
        offsets[key] = offset
        placed.append((offset, offset + size, lives[key]))
    return offsets, max((high for _, high, _ in placed), default=0)
