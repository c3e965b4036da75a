"""What killed processes left half written: a lock tells that a writer lives, a name whose kernel can see the lock."""

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks: nothing is taken for a leftover
    fcntl = None  # type: ignore[assignment]

PART = ".part"


@contextlib.contextmanager
def held(part: Path) -> Iterator[Path]:
    """A file or folder that is being written, named `*.part`, under the name by which others can tell that it still is.

    It is locked before it gets that name, and until the block has ended, or the process, however that came. Where the
    system cannot lock it keeps its name, which nobody takes for a leftover.
    """
    handle = _locked(part)
    if handle is None:
        yield part
        return
    named = part.with_name(part.name.removesuffix(PART) + _ending())
    try:
        try:
            part.rename(named)
        except OSError:  # a name may be too long with an ending
            named = part
        yield named
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove what processes that are gone left in a folder; once in the life of a process, since that takes a listing.

    Of those that ran on another machine, or before this one was started, nothing can be known: theirs stays.
    """
    _remove(folder.resolve())


@functools.lru_cache(maxsize=256)
def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(e.path) for e in entries if _ending() and e.name.endswith(_ending())]:
            handle = _locked(path)
            if handle is not None:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                os.close(handle)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock, to be closed; none where another has it, or none can be had."""
    if not _ending():
        return None
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # networks lock only what may be written
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if handle is not None:
            os.close(handle)
        return None
    return handle


@functools.cache
def _ending() -> str:
    """The end of names on the running kernel, whose processes see each other's locks; nothing where it has no name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes() if fcntl else b""
    except OSError:
        boot = b""
    return f".{hashlib.sha256(boot).hexdigest()[:12]}{PART}" if boot else ""
