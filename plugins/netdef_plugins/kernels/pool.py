"""The native half of the thread pool: items of a job are claimed by compare-and-swap, so no lock is ever held."""

import os

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from . import objects
from .simd import I64

# Slots of the shared block; those that are written by several threads stand on cache lines of their own.
TICKET, DONE, FUNCTION, JOB, COUNT, CALLED, SIZE = 0, 8, 16, 17, 18, 19, 24
slots = types.CPointer(types.int64)
# Some milliseconds of waiting: longer than the Python code between two kernels, shorter than anybody minds.
PATIENCE = 160_000


@intrinsic
def swap(typingctx, p, i, old, new):
    """Whether p[i] was old and is now new."""

    def codegen(context, bld, signature, args):
        where = bld.gep(args[0], [args[1]])
        return bld.extract_value(bld.cmpxchg(where, args[2], args[3], "acq_rel", "acquire"), 1)

    return types.boolean(p, types.intp, types.int64, types.int64), codegen


@intrinsic
def read(typingctx, p, i):
    def codegen(context, bld, signature, args):
        return bld.load_atomic(bld.gep(args[0], [args[1]]), "acquire", 8)

    return types.int64(p, types.intp), codegen


@intrinsic
def write(typingctx, p, i, value):
    def codegen(context, bld, signature, args):
        bld.store_atomic(args[2], bld.gep(args[0], [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(p, types.intp, types.int64), codegen


@intrinsic
def increase(typingctx, p, i):
    def codegen(context, bld, signature, args):
        return bld.atomic_rmw("add", bld.gep(args[0], [args[1]]), ir.Constant(I64, 1), "acq_rel")

    return types.int64(p, types.intp), codegen


@intrinsic
def call(typingctx, function, job, item, thread):
    def codegen(context, bld, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [I64] * 3)
        bld.call(bld.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), codegen


def _external(name, condition):
    """A nullary C function or LLVM intrinsic as something to call; nothing at all where the condition fails."""

    @intrinsic
    def act(typingctx):
        def codegen(context, bld, signature, args):
            if condition:
                kind = ir.FunctionType(ir.VoidType(), [])
                bld.call(bld.module.globals.get(name) or ir.Function(bld.module, kind, name), [])
            return context.get_dummy_value()

        return types.void(), codegen

    return act


relax = _external("llvm.x86.sse2.pause", binding.get_process_triple().startswith("x86_64"))
give_way = _external("sched_yield", os.name == "posix")


def serve(pool, thread, patience):
    """Works on whatever is published, until nothing came for `patience` rounds or it is called away."""
    idle = 0
    while idle < patience and read(pool, CALLED) == 0:
        ticket = read(pool, TICKET)
        left = ticket & 0xFFFFFFFF
        if left > 0 and swap(pool, TICKET, ticket, ticket - 1):
            call(pool[FUNCTION], pool[JOB], pool[COUNT] - left, thread)
            increase(pool, DONE)
            idle = 0
        else:
            relax()
            idle += 1


def launch(pool, function, job, count):
    """Publishes a job of `count` items, works on it too, and returns when all of them are done."""
    pool[FUNCTION], pool[JOB], pool[COUNT], pool[DONE] = function, job, count, 0
    write(pool, TICKET, (((pool[TICKET] >> 32) + 1) << 32) | count)
    while True:
        ticket = read(pool, TICKET)
        left = ticket & 0xFFFFFFFF
        if left == 0:
            break
        if swap(pool, TICKET, ticket, ticket - 1):
            call(function, job, count - left, 0)
            increase(pool, DONE)
    rounds = 0
    while read(pool, DONE) < count:
        relax()
        rounds += 1
        if rounds > 1000:
            give_way()


def compiled() -> tuple[int, int]:
    """The addresses of serve and launch."""
    return (
        objects.address(serve, types.void(slots, types.intp, types.intp)),
        objects.address(launch, types.void(slots, types.int64, types.int64, types.int64)),
    )
