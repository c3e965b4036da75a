"""Batches made ahead of their use by threads of their own; which thread made one, and when, never shows."""

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

Arrays = list[Any]
Make = Callable[[int, Arrays | None], Arrays]
"""make(p, old): the arrays of pass p, a function of p alone; `old` are arrays of an earlier pass, free to be reused."""


def workers() -> int:
    """Threads for sources that decode images: the rest of the machine is for the layers."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


class _State:
    """What owner and threads share; it knows nothing of the owner, so that nets can be collected."""

    def __init__(self, make: Make, depth: int):
        self.make, self.depth = make, depth
        self.changed = threading.Condition()
        self.done: dict[int, Arrays | BaseException] = {}
        self.free: deque[Arrays] = deque(maxlen=depth + 1)
        self.wanted = self.next = 0
        self.round = 0
        """Counts fresh starts, so that a batch begun before one is not taken for one begun after."""
        self.ended = False

    def restart(self, p: int) -> None:
        self.round += 1
        self.done.clear()
        self.wanted = self.next = p
        self.changed.notify_all()

    def idle(self) -> None:
        """Make nothing more until the next start."""
        self.restart(0)
        self.wanted = -1 - self.depth

    def stop(self) -> None:
        with self.changed:
            self.ended = True
            self.done.clear()
            self.changed.notify_all()

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.ended or self.next < self.wanted + self.depth)
                if self.ended:
                    return
                p, self.next, begun = self.next, self.next + 1, self.round
                old = self.free.popleft() if self.free else None
            result: Arrays | BaseException
            try:
                result = self.make(p, old)
            except BaseException as e:
                result = e
            with self.changed:
                if begun == self.round and not self.ended:
                    self.done[p] = result
                    self.changed.notify_all()
            del old, result


class Prefetch:
    """`take(p)` is make(p), ready beforehand when passes are taken in order; what make raised is raised by take.

    At most `depth` batches wait, besides the one in use; 0 makes each when it is asked for. Threads begin with the
    first batch and end with the Prefetch, or with the program.
    """

    def __init__(self, make: Make, depth: int, threads: int = 1):
        self._state = _State(make, depth)
        self._threads = min(threads, depth)
        self._stamp: Any = None
        self._running = False
        self._last: Arrays | None = None

    def take(self, p: int, stamp: Any = None) -> Arrays:
        """The arrays of pass p, good until the next call. With another stamp nothing made before is used."""
        state = self._state
        if not self._threads:
            self._last = state.make(p, self._last)
            return self._last
        with state.changed:
            if not self._running or p != state.wanted or stamp != self._stamp:
                state.restart(p)
                self._stamp = stamp
            self._start()
            state.changed.wait_for(lambda: p in state.done)
            result = state.done.pop(p)
            if isinstance(result, BaseException):
                state.idle()
                raise result
            if self._last is not None:
                state.free.append(self._last)
            self._last = result
            state.wanted = p + 1
            state.changed.notify_all()
            return result

    def _start(self) -> None:
        if self._running:
            return
        self._running = True
        for _ in range(self._threads):
            # a daemon, so that the interpreter does not wait for it before _end can stop it
            thread = threading.Thread(target=self._state.run, name="netdef-prefetch", daemon=True)
            _live[thread] = self._state
            thread.start()
        weakref.finalize(self, self._state.stop)


_live: "weakref.WeakKeyDictionary[threading.Thread, _State]" = weakref.WeakKeyDictionary()


@atexit.register
def _end() -> None:
    """A thread still running while the interpreter is taken down could crash it."""
    for thread, state in list(_live.items()):
        state.stop()
        thread.join()
