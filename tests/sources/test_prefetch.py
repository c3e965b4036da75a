"""Prefetching: in order whatever the timing, restarted where another pass is wanted, gone with its owner."""

import gc
import subprocess
import sys
import threading
import time

import pytest

from netdef.errors import SourceError
from netdef.sources.prefetch import Prefetch


def threads():
    return [t for t in threading.enumerate() if t.name == "netdef-prefetch"]


def soon(what):
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.001)
    return what()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("depth", [0, 1, 4])
def test_passes_in_order_whatever_the_timing(depth, count):
    def make(p, old):
        time.sleep(0.002 * (p % 3))
        return [p]

    ahead = Prefetch(make, depth, count)
    assert [ahead.take(p)[0] for p in range(12)] == list(range(12))


def test_no_more_than_depth_are_made_ahead():
    made = []
    ahead = Prefetch(lambda p, old: made.append(p) or [p], 3)
    ahead.take(0)
    assert soon(lambda: len(made) == 4)
    time.sleep(0.02)
    assert made == [0, 1, 2, 3]
    ahead.take(1)
    assert soon(lambda: made == [0, 1, 2, 3, 4])


def test_another_pass_or_stamp_starts_anew():
    salt = ["a"]
    ahead = Prefetch(lambda p, old: [(p, salt[0])], 2)
    assert ahead.take(5) == [(5, "a")]
    assert ahead.take(2) == [(2, "a")]
    assert ahead.take(2) == [(2, "a")]
    assert ahead.take(3) == [(3, "a")]
    salt[0] = "b"
    assert ahead.take(4, stamp="b") == [(4, "b")]
    assert ahead.take(5, stamp="b") == [(5, "b")]


def test_arrays_are_used_again_but_never_those_in_use():
    given = []

    def make(p, old):
        given.append(old)
        return old or [object()]

    ahead, held = Prefetch(make, 2), set()
    for p in range(20):
        mine = ahead.take(p)
        held.add(id(mine[0]))
        time.sleep(0.001)
        assert mine is not ahead._state.done.get(p + 1)
    assert len(held) <= 4 and any(given)


def test_an_exception_surfaces_once_where_its_pass_is_taken():
    broken = {2}

    def make(p, old):
        if p in broken:
            raise SourceError(f"record {p}")
        return [p]

    ahead = Prefetch(make, 4)
    assert [ahead.take(p)[0] for p in (0, 1)] == [0, 1]
    for _ in range(2):
        with pytest.raises(SourceError, match="record 2"):
            ahead.take(2)
    assert ahead.take(3) == [3]
    broken.clear()
    assert ahead.take(2) == [2]


def test_threads_end_with_their_owner():
    before = set(threads())  # of others, which may end meanwhile
    ahead = Prefetch(lambda p, old: [p], 4, 2)
    ahead.take(0)
    assert len(set(threads()) - before) == 2
    del ahead
    gc.collect()
    assert soon(lambda: not set(threads()) - before)


def ends(code):
    """The program's output; it must end by itself."""
    start = "import sys, time, threading, _thread; from netdef.sources.prefetch import Prefetch\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=60)


def test_the_program_ends_while_batches_are_made():
    done = ends("a = Prefetch(lambda p, old: time.sleep(0.05) or [p], 4, 2); a.take(0); print('out')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")


def test_ctrl_c_while_waiting():
    done = ends(
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it\n"
        "a = Prefetch(lambda p, old: time.sleep(0.5) or [p], 4)\n"
        "threading.Timer(0.1, _thread.interrupt_main).start()\n"
        "try: [a.take(p) for p in range(1000)]\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
