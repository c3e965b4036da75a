"""How many threads compute, for these kernels and BLAS alike, and the pool that runs a task on them."""

import ctypes
import os
import threading
from collections.abc import Callable
from contextvars import copy_context

import numpy as np
import threadpoolctl

from . import native, pool
from .cores import available


class Pool:
    """count - 1 workers beside the calling thread; they spin a moment for the next job, then sleep."""

    def __init__(self, count: int):
        self.count = count
        self.lock = threading.Lock()
        self.block = np.zeros(pool.SIZE, np.int64)
        self.where = native.place(self.block)
        serve, launch = pool.compiled()
        self.serve = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(serve)
        self.launch = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64)(launch)
        self.asleep = [False] * count
        self.call: Callable[[], object] | None = None
        self.doors = [threading.Semaphore(0) for _ in range(count)]
        self.open = True
        for thread in range(1, count):
            threading.Thread(target=self._work, args=(thread,), daemon=True, name=f"netdef-{thread}").start()

    def _work(self, thread: int) -> None:
        while self.open:
            self.serve(self.where, thread, pool.PATIENCE)
            call = self.call
            if call is not None:
                call()
            else:
                self.asleep[thread] = True
                self.doors[thread].acquire()

    def _wake(self, count: int) -> None:
        for thread in range(1, min(self.count, count)):
            if self.asleep[thread]:
                self.asleep[thread] = False
                self.doors[thread].release()

    def run(self, function: int, job: bytes, items: int) -> None:
        with self.lock:
            self._wake(items)
            self.launch(self.where, function, job, items)

    def together(self, work: Callable[[], object], aid: Callable[[], object]) -> None:
        """Calls work here and aid in the other threads, if they come before the first of these calls has returned."""
        going, gates = True, []  # locks, since Ctrl-C may come anywhere, and a condition does not stand that

        def end() -> None:
            nonlocal going
            going, self.call, self.block[pool.CALLED] = False, None, 0

        def call() -> None:
            gate = threading.Lock()
            with gate:
                gates.append(gate)
                if going:
                    try:
                        aid()
                    finally:
                        end()

        with self.lock:
            try:
                self.call, self.block[pool.CALLED] = call, 1
                self._wake(self.count)
                work()
            finally:
                end()
                for gate in gates:
                    gate.acquire()

    def close(self) -> None:
        self.open = False
        for door in self.doors:
            door.release()


FLOAT32 = np.dtype(np.float32)
_state: dict = {}


def count() -> int:
    """Threads that kernels and BLAS use."""
    if "count" not in _state:
        set_count(available())
    return _state["count"]


def set_count(n: int) -> None:
    """Sets the number of threads of kernels and BLAS together; n < 1 is a ValueError.

    BLAS itself gets one, and `share` calls it from several: its own threads spin for milliseconds after each product
    and take the cores from the kernels that come next.
    """
    if n < 1:
        raise ValueError(f"threads: got {n}; want 1 or more")
    _state["count"] = n
    _state["limits"] = threadpoolctl.threadpool_limits(1, user_api="blas")
    if "pool" in _state:
        _state.pop("pool").close()


def each(function: Callable[[int], object], items: int) -> None:
    """Calls function(0) .. function(items - 1), shared among the threads: for NumPy calls, which let others run.

    Raises what a call raised; calls not begun by then may be left out. Kernels that a call runs have its thread alone.
    """
    if items <= 1 or count() == 1 or _local.__dict__.get("among"):
        for item in range(items):
            function(item)
        return
    left, failed = iter(range(items)), []
    contexts = [copy_context() for _ in range(count() - 1)]  # with what NumPy is told to ignore

    def work() -> None:
        _local.among = True
        try:
            for item in left:
                function(item)
        finally:
            _local.among = False

    def aid() -> None:
        try:
            contexts.pop().run(work)
        except BaseException as e:
            failed.append(e)

    _pool().together(work, aid)
    if failed:
        raise failed[0]


def share(function: Callable[[int, int], object], size: int) -> None:
    """Calls function(first, last) for parts of 0 .. size, a thread each."""
    n = count()
    each(lambda k: function(size * k // n, size * (k + 1) // n), n)


def run(task: native.Task, items: int, *args, dtype: np.dtype = FLOAT32) -> None:
    """Calls the task's body for items 0 .. items - 1, shared among the threads; returns when all are done.

    `dtype` is that of the arrays of the job's float type. Arrays must be contiguous. Which thread takes an item is
    left to chance, so a body's result must depend on the item alone.
    """
    _pool().run(task.address(dtype), native.pack(args), items)


def _pool() -> Pool:
    """All threads, or within a call of `each` the thread that makes it."""
    state = _local.__dict__ if _local.__dict__.get("among") else _state
    if "pool" not in state:
        state["pool"] = Pool(1 if state is not _state else count())
    return state["pool"]


def scratch(name: str, floats: int) -> np.ndarray:
    """At least `floats` float32 that stay allocated between calls, on a cache line's boundary; each Python thread has
    its own under each name."""
    known = _local.__dict__.get(name)
    if known is None or known.size < floats:
        whole = np.empty(floats + 32, np.float32)
        start = -whole.ctypes.data % 64 // 4
        known = _local.__dict__[name] = whole[start : start + floats + 16]
    return known


_local = threading.local()
if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: the child makes its own pool when it first needs one.
    os.register_at_fork(after_in_child=lambda: _state.pop("pool", None))
