"""Compiled functions as object files on disk: a second start links them, without waking Numba's compiler."""

import builtins
import hashlib
import json
import logging
import os
import threading
from functools import lru_cache
from pathlib import Path

from llvmlite import binding
from numba import _helperlib, cfunc
from numba.core.runtime import _nrt_python

from . import host, kept

_log = logging.getLogger("netdef.kernels")
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child made while a thread compiles would inherit half a compiler, and a lock that nobody opens.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_alive: list = []


@lru_cache(maxsize=1)
def engine():
    """What links objects. Numba's helpers, which they name where an error could be raised, are made known to it as
    Numba would: its own way wakes the whole compiler."""
    for prefix, helpers in (("numba_", _helperlib.c_helpers), ("NRT_", _nrt_python.c_helpers)):
        for name, where in helpers.items():
            binding.add_symbol(prefix + name, where)
    for kind in vars(builtins).values():
        if isinstance(kind, type) and issubclass(kind, BaseException):
            binding.add_symbol(f"PyExc_{kind.__name__}", id(kind))
    return binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())


def _machine():
    binding.initialize_native_target()  # Numba does it when it first compiles, which may never happen here
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    relocation = "static" if target.name.startswith("x86") else "default"
    options = {"cpu": host.name(), "features": host.features(), "reloc": relocation}
    return target.create_target_machine(**options, opt=3, codemodel="jitdefault", jit=True)


def place(function, signature) -> Path | None:
    """The file of a compiled function, whether it is there or not."""
    name = f"{function.__module__}.{function.__qualname__}-{signature.args[0]}".replace("*", "")
    return kept.folder() / name if kept.folder() else None


def address(function, signature, fastmath=False) -> int:
    """The native address of `function`, compiled as a C function, now or in an earlier process; threads wait."""
    path = place(function, signature)
    with _lock:
        return _linked(path) or _address(function, signature, fastmath, path)


def _address(function, signature, fastmath, path) -> int:
    _say_so(kept.folder())
    with kept.claim(path, kept.PATIENCE):
        found = _linked(path)  # another process may have been at it
        if found is None:
            found = _compile(function, signature, fastmath, path).address
    return found


def prepare(function, signature, fastmath=False) -> None:
    """Compiles and keeps `function`, unless that is done or another process is at it."""
    path = place(function, signature)
    with _lock, kept.claim(path, patience=0) as mine:
        if mine and path and not path.exists():
            _compile(function, signature, fastmath, path)


def _compile(function, signature, fastmath, path):
    compiled = cfunc(signature, fastmath=fastmath, error_model="numpy")(function)
    _alive.append(compiled)
    if path and kept.is_current():
        _save(path, compiled)
    return compiled


@lru_cache(maxsize=1)
def _say_so(folder: Path | None) -> None:
    """Once a process, as whoever waits wants to know."""
    then = f"kept in {folder}" if folder else "there is no folder to keep them in (see NETDEF_CACHE_DIR)"
    _log.info("compiling kernels for this machine, some 10 seconds for a net's; %s", then)


def _linked(path: Path | None) -> int | None:
    """The address of a saved function; None where there is none, or it needs what this process does not have."""
    if path is None or not kept.is_current():
        return None
    about, code = _read(path)
    linker = engine()
    if not about or not all(binding.address_of_symbol(name) for name in about["needs"]):
        return None
    linker.add_object_file(binding.ObjectFileRef.from_data(code))
    linker.finalize_object()
    return linker.get_function_address(about["symbol"])


def _read(path: Path) -> tuple[dict, bytes]:
    """What `_save` wrote, if it is still that: its sum stands before it. Nothing at all where it is not."""
    try:
        checksum, whole = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return {}, b""
    if checksum != _checksum(whole):
        return {}, b""
    head, code = whole.split(b"\n", 1)
    return json.loads(head), code


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _save(path: Path, compiled) -> None:
    """Writes the function's object, and what it needs of its process, in one step."""
    module = binding.parse_assembly(compiled.inspect_llvm())
    try:
        code = compiled._library._get_compiled_object()
    except (AttributeError, RuntimeError, ValueError):  # not Numba's public face: emit it once more where it changed
        code = _machine().emit_object(module)
    names = [v.name for v in [*module.functions, *module.global_variables] if v.is_declaration]
    needs = [name for name in names if not name.startswith("llvm.")]
    whole = json.dumps({"symbol": compiled.native_name, "needs": needs}).encode() + b"\n" + code
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(_checksum(whole) + b"\n" + whole)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
