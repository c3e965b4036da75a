"""Compiled functions as object files on disk: a second start links them, without waking Numba's compiler."""

import builtins
import hashlib
import json
import os
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import llvmlite
import numba
from llvmlite import binding
from numba import _helperlib, cfunc
from numba.core.runtime import _nrt_python


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    # Cached code is executed, so a folder that somebody else could have filled is not ours.
    mine = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    return mine and os.access(folder, os.W_OK | os.X_OK)


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Where objects are kept: a folder named by all that they depend on, in the first writable place, or None.

    NETDEF_CACHE_DIR, then the user's cache, then the temporary folder.
    """
    machine = binding.get_host_cpu_name() + binding.get_host_cpu_features().flatten()
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {machine}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    user = getattr(os, "getuid", lambda: "user")()
    places = [os.environ.get("NETDEF_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    for place in [*places, os.path.join(tempfile.gettempdir(), f"netdef-{user}")]:
        if place and _usable(found := Path(place) / "netdef" / f"kernels-{digest.hexdigest()[:16]}"):
            return found
    return None


def cold() -> bool:
    """Whether kernels must still be compiled, which takes some seconds, because none is cached."""
    return folder() is None or not any(folder().iterdir())


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
    features = binding.get_host_cpu_features().flatten()
    options = {"cpu": binding.get_host_cpu_name(), "features": features, "reloc": relocation}
    return target.create_target_machine(**options, opt=3, codemodel="jitdefault", jit=True)


def address(function, signature, fastmath=False) -> int:
    """The native address of `function`, compiled as a C function, now or in an earlier process; threads wait."""
    with _lock:
        return _address(function, signature, fastmath)


def _address(function, signature, fastmath) -> int:
    name = f"{function.__module__}.{function.__qualname__}-{signature.args[0]}".replace("*", "")
    path = folder() / name if folder() else None
    found = _linked(path) if path else None
    if found is None:
        compiled = cfunc(signature, fastmath=fastmath, error_model="numpy")(function)
        _kept.append(compiled)
        found = compiled.address
        if path:
            _save(path, compiled)
    return found


def _linked(path: Path) -> int | None:
    """The address of a saved function; None where there is none, or it needs what this process does not have."""
    try:
        head, code = path.read_bytes().split(b"\n", 1)
        about = json.loads(head)
    except (OSError, ValueError):
        return None
    linker = engine()
    if len(code) != about["size"] or not all(binding.address_of_symbol(name) for name in about["needs"]):
        return None
    linker.add_object_file(binding.ObjectFileRef.from_data(code))
    linker.finalize_object()
    return linker.get_function_address(about["symbol"])


def _save(path: Path, compiled) -> None:
    """Writes the function's object, and what it needs of its process, in one step."""
    module = binding.parse_assembly(compiled.inspect_llvm())
    try:
        code = compiled._library._get_compiled_object()
    except (AttributeError, RuntimeError, ValueError):  # not Numba's public face: emit it once more where it changed
        code = _machine().emit_object(module)
    names = [v.name for v in [*module.functions, *module.global_variables] if v.is_declaration]
    needs = [name for name in names if not name.startswith("llvm.")]
    head = json.dumps({"symbol": compiled.native_name, "needs": needs, "size": len(code)})
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        part.write_bytes(head.encode() + b"\n" + code)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


_kept: list = []
_lock = threading.Lock()
