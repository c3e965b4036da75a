"""The folder that compiled kernels are kept in: one for each version and machine, trusted, pruned, shared politely."""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import llvmlite
import numba

from . import host

try:
    import fcntl
except ImportError:  # not on Windows: two processes may then compile the same, and the later one's file stays
    fcntl = None  # type: ignore[assignment]

UNUSED = 7 * 86400  # seconds after which a folder that no process has started with is of a version gone by
PATIENCE = 60.0  # seconds to wait for another process's compiler; it may have been stopped


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Where objects are kept: a folder named by all that they depend on, in the first place that will do, or None.

    NETDEF_CACHE_DIR, then the user's cache, then the temporary folder.
    """
    user = getattr(os, "getuid", lambda: "user")()
    # A home that nobody knows stays "~", and would be made in the working directory.
    homes = [p for p in (os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")) if p and os.path.isabs(p)]
    for place in [os.environ.get("NETDEF_CACHE_DIR"), *homes, f"{tempfile.gettempdir()}/netdef-{user}"]:
        if place and _is_usable(found := Path(place) / "netdef" / f"kernels-{_loaded}"):
            return found
    return None


def _digest() -> str:
    machine = host.name() + host.features()
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {machine}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _stamp() -> list[tuple[str, int, int]]:
    """What shows at a glance whether a source was written to."""
    with os.scandir(Path(__file__).parent) as found:
        stats = [(entry.name, entry.stat()) for entry in found if entry.name.endswith(".py")]
    return sorted((name, s.st_mtime_ns, s.st_size) for name, s in stats)


_stamped, _loaded = _stamp(), _digest()


def is_current() -> bool:
    """Whether the sources are still those that this process began to load: while they are edited, or upgraded, what
    is compiled from some of them must not be kept under the name of others, nor what was kept be called by others."""
    return _stamp() == _stamped or _digest() == _loaded


def _is_usable(found: Path) -> bool:
    try:
        is_new = not found.exists()
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (_is_safe(found) and os.access(found, os.W_OK | os.X_OK)):
            return False
        os.utime(found)  # tells other versions that it is in use
    except OSError:
        return False
    if is_new:
        _prune(found)
    return True


def _is_safe(found: Path) -> bool:
    """Whether nobody else can have filled it or can put another in its place: what is in it will be executed."""
    if not hasattr(os, "getuid"):
        return True
    states = [p.stat() for p in (found, *found.parents[:2])]
    return states[0].st_uid == os.getuid() and all(
        s.st_uid in (0, os.getuid()) and (not s.st_mode & stat.S_IWOTH or s.st_mode & stat.S_ISVTX) for s in states
    )


def _prune(mine: Path) -> None:
    """Remove the folders of versions that nobody uses. A process that still did would only compile once more."""
    for other in mine.parent.iterdir():
        with contextlib.suppress(OSError):
            is_ours = re.fullmatch(r"kernels-[0-9a-f]{16}", other.name) and other != mine and not other.is_symlink()
            if is_ours and time.time() - other.stat().st_mtime > UNUSED:
                shutil.rmtree(other, ignore_errors=True)


@contextlib.contextmanager
def claim(path: Path | None, patience: float) -> Iterator[bool]:
    """The right to compile what `path` will hold, against other processes; False where one had it for too long."""
    if path is None or fcntl is None:
        yield True
        return
    lock = path.with_name(f"{path.name}.lock")
    try:
        handle = lock.open("w")
    except OSError:  # the disk is full, or the folder gone
        yield True
        return
    with handle:
        taken = _take(handle, time.monotonic() + patience)
        yield taken
        if taken:
            lock.unlink(missing_ok=True)


def _take(handle, end: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return True
