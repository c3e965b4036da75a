"""Snapshots: weights and solver state in Caffe's files, and back, bit for bit."""

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from netdef.errors import WeightsError
from netdef.files import replacing
from netdef.weights import wire
from netdef.weights.blobproto import Stored, read_blob, write_blob
from netdef.weights.caffemodel import map_file
from netdef.weights.hdf5 import replacing_hdf5

ITER, LEARNED_NET, HISTORY, CURRENT_STEP = 1, 2, 3, 4
SEED, PASSES, LOSSES = 1000, 1001, 1002  # netdef's own; Caffe skips them
POLICY, BEST, BEST_ITER, STALE, RECOVERIES, TYPE = 1003, 1004, 1005, 1006, 1007, 1008
_INTEGERS = {ITER: "iter", CURRENT_STEP: "current_step", SEED: "seed"}
_INTEGERS |= {BEST_ITER: "best_iter", STALE: "stale", RECOVERIES: "recoveries"}
_TEXTS = {LEARNED_NET: "learned_net", TYPE: "type"}


@dataclass
class State:
    """What a solver must remember beside the weights."""

    iter: int = 0
    learned_net: str = ""
    history: Sequence[Any] = ()
    """Arrays when written, Stored when read: the first memory of every parameter, then the second of every one."""
    current_step: int = 0
    seed: int | None = None
    passes: list[list[int]] = field(default_factory=list)
    """Forward passes of every layer, of the train net and then of each test net: where data and randomness stand."""
    losses: list[float] = field(default_factory=list)
    policy: list[float] = field(default_factory=list)
    best: float = math.nan
    """NaN before the first test."""
    best_iter: int = -1
    stale: int = 0
    recoveries: int = 0
    type: str = ""
    """The solver type whose history it is; empty in a state of Caffe's own."""


def write_state(path: Path, state: State) -> None:
    """As .solverstate, or as HDF5 where the name ends in .h5; all or nothing."""
    if path.suffix == ".h5":
        _write_hdf5(path, state)
        return
    with replacing(path) as f:
        _write_fields(f, state)


def _write_fields(f: IO[bytes], state: State) -> None:
    """The history comes last, and how much of it there must be is known: so no cut can go unseen."""
    f.write(wire.int_field(ITER, state.iter) + wire.bytes_field(LEARNED_NET, state.learned_net.encode()))
    f.write(wire.int_field(CURRENT_STEP, state.current_step))
    if state.seed is not None:
        f.write(wire.int_field(SEED, state.seed))
    for counts in state.passes:
        f.write(wire.bytes_field(PASSES, wire.packed_ints(1, counts)))
    f.write(wire.bytes_field(LOSSES, np.asarray(state.losses, "<f4").tobytes()))
    f.write(_own(state))
    for x in state.history:
        pieces = write_blob(x)
        f.write(wire.bytes_head(HISTORY, sum(map(len, pieces))))
        for piece in pieces:
            f.write(piece)


def _own(state: State) -> bytes:
    """What only netdef remembers, each where there is something to remember."""
    found = wire.bytes_field(TYPE, state.type.encode()) if state.type else b""
    if state.policy:
        found += wire.bytes_field(POLICY, np.asarray(state.policy, "<f8").tobytes())
    if not math.isnan(state.best):
        found += wire.number(BEST << 3 | wire.FIXED64) + struct.pack("<d", state.best)
        found += wire.int_field(BEST_ITER, state.best_iter)
    if state.stale:
        found += wire.int_field(STALE, state.stale)
    return found + (wire.int_field(RECOVERIES, state.recoveries) if state.recoveries else b"")


def read_state(path: Path) -> State:
    """Raises WeightsError for a file that is missing, truncated or no solver state."""
    buffer = map_file(path)
    if bytes(buffer[:8]) == b"\x89HDF\r\n\x1a\n":
        return _read_hdf5(path)
    try:
        return _read_fields(buffer, str(path))
    except (ValueError, struct.error) as e:
        raise WeightsError(f"{path} is damaged: {e}") from e


def _read_fields(buffer: memoryview, what: str) -> State:
    state = State()
    history: list[Stored] = []
    numbers = set()
    for number, _, value in wire.walk(buffer, what):
        if isinstance(value, int):
            numbers.add(number)
            name = _INTEGERS.get(number)
            if name:
                setattr(state, name, value)
        elif number in _TEXTS:
            setattr(state, _TEXTS[number], bytes(value).decode(errors="replace"))
        elif number == HISTORY:
            history.append(read_blob(value, f"{what}: history {len(history)}"))
        elif number == PASSES:
            state.passes.append(_ints(value, what))
        elif number == LOSSES:
            state.losses = np.frombuffer(value, "<f4").tolist()
        elif number == POLICY:
            state.policy = np.frombuffer(value, "<f8").tolist()
        elif number == BEST:
            (state.best,) = struct.unpack("<d", value)
    if ITER not in numbers:
        raise WeightsError(f"{what} holds no iteration; is it a .solverstate?")
    state.history = history
    return state


def _ints(message: memoryview, what: str) -> list[int]:
    found: list[int] = []
    for _, _, value in wire.walk(message, what):
        at = 0
        while isinstance(value, memoryview) and at < len(value):
            number, at = wire.varint(value, at, what)
            found.append(number)
    return found


def _write_hdf5(path: Path, state: State) -> None:
    groups = {"history": [np.asarray(x) for x in state.history], "netdef_passes": [np.asarray(x) for x in state.passes]}
    with replacing_hdf5(path, (x for arrays in groups.values() for x in arrays)) as f:
        f["iter"], f["current_step"] = state.iter, state.current_step
        for name, text in (("learned_net", state.learned_net), ("netdef_type", state.type)):
            f[name] = np.array(text.encode(), f"S{max(1, len(text.encode()))}")  # of fixed length, as Caffe's
        if state.seed is not None:
            f["netdef_seed"] = np.uint64(state.seed)
        f["netdef_losses"] = np.asarray(state.losses, "f4")
        f["netdef_policy"] = np.asarray(state.policy, "f8")
        f["netdef_best"] = np.array([state.best, state.best_iter, state.stale, state.recoveries], "f8")
        for group, arrays in groups.items():
            made = f.create_group(group)
            for i, x in enumerate(arrays):
                made[str(i)] = x


def _read_hdf5(path: Path) -> State:
    import h5py

    try:
        with h5py.File(path, "r") as f:
            state = State(f["iter"][()].item(), _text(f["learned_net"]), current_step=f["current_step"][()].item())
            arrays = [f["history"][str(i)][()] for i in range(len(f["history"]))]
            state.history = [Stored(tuple(x.shape), x) for x in arrays]
            if "netdef_seed" in f:
                state.seed = int(f["netdef_seed"][()])
                state.losses = f["netdef_losses"][()].tolist()
                passes = f["netdef_passes"]
                state.passes = [[int(n) for n in passes[str(i)][()]] for i in range(len(passes))]
            if "netdef_type" in f:
                state.type = _text(f["netdef_type"])
            if "netdef_best" in f:
                state.policy = f["netdef_policy"][()].tolist()
                state.best, *counts = f["netdef_best"][()].tolist()
                state.best_iter, state.stale, state.recoveries = map(int, counts)
            return state
    except Exception as e:  # h5py raises whatever kind the damage happens to hit
        raise WeightsError(f"cannot read {path} as a solver state: {e}") from e


def _text(node: Any) -> str:
    value = node[()]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def find_weights(learned_net: str, state: Path) -> Path:
    """The weights a state belongs to: where it says, else beside the state under the same name."""
    for path in (Path(learned_net), state.parent / Path(learned_net).name):
        if learned_net and path.is_file():
            return path
    raise WeightsError(f"{state} belongs to weights '{learned_net}', which are neither there nor beside it")


def written(prefix: Path) -> list[tuple[int, Path]]:
    """(iteration, state file) of the snapshots under a prefix, oldest first."""
    pattern = re.compile(re.escape(prefix.name) + r"_iter_(\d+)\.solverstate(\.h5)?")
    return sorted((int(m[1]), p) for p in prefix.parent.glob("*.solverstate*") if (m := pattern.fullmatch(p.name)))


def latest(prefix: Path) -> Path:
    """The state of the highest iteration that was written under a prefix."""
    found = written(prefix)
    if not found:
        raise WeightsError(f"no snapshot {prefix}_iter_*.solverstate to resume from")
    return found[-1][1]


def prune(prefix: Path, keep: int, upto: int) -> None:
    """Remove all but the last `keep` snapshots up to an iteration, each state before the weights it needs."""
    for _, state in [s for s in written(prefix) if s[0] <= upto][: -keep or None]:
        model = state.with_name(state.name.replace(".solverstate", ".caffemodel"))
        state.unlink(missing_ok=True)
        model.unlink(missing_ok=True)
