"""Tasks: functions compiled on first use, cached on disk, called by address from any thread without Python's lock."""

import hashlib
import os
import tempfile
from pathlib import Path

import numba
import numpy as np
from llvmlite import ir
from numba import cfunc, config, njit, types
from numba.extending import intrinsic

from .simd import F32, I64

# Sums may be reordered into vectors; NaN and infinity keep their meaning.
FAST = {"contract", "reassoc", "nsz", "arcp"}
KINDS = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
helper = njit(fastmath=FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    # Cached code is executed, so a folder that somebody else could have filled is not ours.
    mine = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    return mine and os.access(folder, os.W_OK | os.X_OK)


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: a folder named by what they depend on, in the first writable place, or None.

    Numba looks only at the file a function stands in; the name holds a digest of all kernels, so that a changed helper
    is never served stale.
    """
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    user = getattr(os, "getuid", lambda: "user")()
    places = [os.environ.get("NETDEF_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    for place in [*places, os.path.join(tempfile.gettempdir(), f"netdef-{user}")]:
        if place and _usable(folder := Path(place) / "netdef" / f"kernels-{digest.hexdigest()[:16]}"):
            return folder
    return None


class Task:
    """A loop body f(job, item, thread), compiled for float32 or float64 when it is first run.

    `job` points at 8-byte slots that hold array addresses and numbers; `unpack` reads them.
    """

    def __init__(self, function):
        self.function = function
        self.compiled = {}

    def address(self, dtype) -> int:
        """The native address of the body for arrays of `dtype`."""
        known = self.compiled.get(dtype)
        if known is None:
            known = self.compiled[dtype] = compile_cached(self.function, self.signature(KINDS[np.dtype(dtype)]))
        return known.address

    @staticmethod
    def signature(kind):
        return types.void(types.CPointer(kind), types.intp, types.intp)


def compile_cached(function, signature):
    """`function` as native code of the C signature, from the disk where it was compiled before."""
    folder, before = cache_folder_once(), config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else before
    try:
        return cfunc(signature, cache=folder is not None, fastmath=FAST, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before


def cache_folder_once(known=[]) -> Path | None:  # noqa: B006 - the list is the memory
    if not known:
        known.append(cache_folder())
    return known[0]


def cold() -> bool:
    """Whether kernels must still be compiled, which takes some seconds, because none is cached."""
    folder = cache_folder_once()
    return folder is None or not any(folder.iterdir())


def task(function) -> Task:
    return Task(function)


UNPACKED = {"i": types.intp, "b": types.CPointer(types.uint8), "k": types.CPointer(types.int32),
            "n": types.CPointer(types.int64), "f": types.float64}  # fmt: skip


@intrinsic(prefer_literal=True)
def unpack(typingctx, job, spec):
    """The job's slots as a tuple; one letter each: a array of the job's float type, r a number of that type, i integer,
    f float64, b bytes, k int32 array, n int64 array."""
    text = spec.literal_value
    kinds = [{"a": job, "r": job.dtype}.get(c) or UNPACKED[c] for c in text]

    def codegen(context, bld, signature, args):
        slots = bld.bitcast(args[0], I64.as_pointer())
        values = []
        for i, kind in enumerate(kinds):
            value = bld.load(bld.gep(slots, [ir.Constant(I64, i)]))
            if isinstance(kind, types.CPointer):
                value = bld.inttoptr(value, context.get_value_type(kind))
            elif isinstance(kind, types.Float):
                value = bld.bitcast(value, ir.DoubleType())
                value = bld.fptrunc(value, F32) if kind is types.float32 else value
            values.append(value)
        return context.make_tuple(bld, signature.return_type, values)

    return types.Tuple(kinds)(job, spec), codegen


def fields(cls):
    """An intrinsic that reads a NamedTuple of integers from a pointer to int64."""
    kind = types.NamedUniTuple(types.int64, len(cls._fields), cls)

    @intrinsic
    def read(typingctx, p):
        def codegen(context, bld, signature, args):
            places = [bld.gep(args[0], [ir.Constant(I64, i)]) for i in range(len(cls._fields))]
            return context.make_tuple(bld, signature.return_type, [bld.load(place) for place in places])

        return kind(p), codegen

    return read


def pack(args) -> np.ndarray:
    """The slots of a job: addresses of arrays, integers, floats as float64."""
    slots = np.empty(len(args), np.int64)
    reals = slots.view(np.float64)
    for i, arg in enumerate(args):
        if isinstance(arg, np.ndarray):
            if not arg.flags.c_contiguous:
                raise ValueError(f"kernels: got an array with strides {arg.strides}; want a contiguous one")
            slots[i] = arg.__array_interface__["data"][0]
        elif isinstance(arg, float):
            reals[i] = arg
        else:
            slots[i] = 0 if arg is None else arg
    return slots
