"""Compiling ahead: while a process compiles the kernel it needs now, others compile those that it will need next."""

import atexit
import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LEAST, MOST = 3, 3  # the kernels that are worth a process, and the processes that are worth their start
_helpers: list[subprocess.Popen] = []
_asked: set[tuple[str, ...]] = set()


def ask(kernels: Sequence[tuple[str, str, str]], processes: int) -> None:
    """Let so many other processes make kernels (module, task, dtype), the last one first."""
    new = [kernel for kernel in kernels if kernel not in _asked]
    if len(new) < LEAST and not _helpers:
        return
    _asked.update(new)
    lines = "".join(" ".join(kernel) + "\n" for kernel in reversed(new))
    with contextlib.suppress(OSError):  # it only saves time
        while len(_helpers) < min(processes, MOST) and _is_python(sys.executable):
            _helpers.append(_start())
        for helper in _helpers:
            helper.stdin.write(lines.encode())
            helper.stdin.flush()


def _is_python(program: str) -> bool:
    """Not another program that Python is built into, which would be started once more."""
    return Path(program or "").name.startswith("python") and not getattr(sys, "frozen", False)


def _start() -> subprocess.Popen:
    """A process that takes lines until this one ends; Ctrl-C in the terminal is not for it."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
    apart = {"process_group": 0} if os.name == "posix" else {}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, **quiet, **apart)


def serve() -> None:
    """Make what stdin names, unless it is kept or being made, for as long as there is somebody to need it."""
    parent = os.getppid()
    if hasattr(os, "nice"):
        os.nice(10)  # what the one that asked does meanwhile goes first
    for line in sys.stdin:
        if os.getppid() != parent:
            return
        module, task, dtype = line.split()
        getattr(importlib.import_module(module), task).prepare(dtype)


@atexit.register
def _stop() -> None:
    for helper in _helpers:
        helper.kill()
        helper.communicate()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.clear)  # they are the parent's
