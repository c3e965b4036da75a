"""Tasks: functions compiled on first use and called by address, from any thread, without Python's lock."""

from ctypes import addressof, c_char
from functools import cache
from struct import Struct
from typing import ClassVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import ahead, objects
from .cores import available
from .simd import F32, I64

# Sums may be reordered into vectors; NaN and infinity keep their meaning.
FAST = {"contract", "reassoc", "nsz", "arcp"}
KINDS = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
HOW = {"fastmath": FAST, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
helper = njit(**HOW)
inlined = njit(**HOW, forceinline=True)  # for helpers whose arguments are many numbers or vectors


class Task:
    """A loop body f(job, item, thread), compiled for float32 or float64 when it is first run.

    `job` points at 8-byte slots that hold array addresses and numbers; `unpack` reads them.
    """

    made: ClassVar[list["Task"]] = []
    """All of the modules that are loaded: what a process needs one of, it is likely to need more of."""

    def __init__(self, function):
        self.function = function
        self.compiled = {}
        self.made.append(self)

    def address(self, dtype) -> int:
        """The native address of the body for arrays of `dtype`."""
        known = self.compiled.get(dtype)
        if known is None:
            if not self.is_kept(dtype):
                ahead.ask([t.called(dtype) for t in self.others() if not t.is_kept(dtype)], available() - 1)
            known = self.compiled[dtype] = objects.address(self.function, signature(dtype), FAST)
        return known

    def others(self) -> list["Task"]:
        """All other tasks, first those of its own module, which this process is about to compile itself."""
        module = self.function.__module__
        return sorted((t for t in self.made if t is not self), key=lambda t: t.function.__module__ != module)

    def prepare(self, dtype) -> None:
        """Compile it for the processes that come."""
        objects.prepare(self.function, signature(dtype), FAST)

    def is_kept(self, dtype) -> bool:
        """Whether nothing needs to be compiled; where nothing can be kept, nothing can be made ahead either."""
        path = objects.place(self.function, signature(dtype))
        return path is None or path.exists()

    def called(self, dtype) -> tuple[str, str, str]:
        return self.function.__module__, self.function.__name__, np.dtype(dtype).name


def signature(dtype):
    return types.void(types.CPointer(KINDS[np.dtype(dtype)]), types.intp, types.intp)


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


def place(array: np.ndarray) -> int:
    """Where a contiguous array's memory begins, by its buffer: a third of the time that NumPy takes to say so."""
    try:
        return addressof(c_char.from_buffer(array))
    except (TypeError, ValueError):  # not for writing, or empty
        return shaped(array, array.shape).__array_interface__["data"][0]


def shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A contiguous array's elements in another shape, never a copy of them."""
    if not array.flags.c_contiguous:
        raise ValueError(f"kernels: got an array with strides {array.strides}; want a contiguous one")
    return array.reshape(shape)


@cache
def _slots(kinds: str) -> Struct:
    return Struct(kinds)


def pack(args) -> bytes:
    """The slots of a job: addresses of arrays, integers, floats as float64. Half of the time of a small array's."""
    kinds, values = "", []
    for arg in args:
        if isinstance(arg, np.ndarray):
            arg = place(arg)
        kinds += "d" if isinstance(arg, float) else "q"
        values.append(0 if arg is None else arg)
    return _slots(kinds).pack(*values)
