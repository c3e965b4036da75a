"""One plugin at a time: its module loaded, timed, and what went wrong told with the plugin's own line."""

import importlib.util
import os
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from netdef.errors import NetdefError, PluginError
from netdef.hookspecs import GROUP


@dataclass
class Plugin:
    """One entry point or file, and what became of it."""

    name: str
    """distribution:entry point, which is also how it is named in settings."""
    version: str = ""
    module: str = ""
    error: str = ""
    """Why it, or a part of it, was not loaded; empty when all is well."""
    provides: dict[str, list[str]] = field(default_factory=dict)
    ms: float = 0.0
    """How long it took to load, with whatever it imported first."""
    denied: bool = False
    """Not loaded, because the settings say so."""

    @property
    def distribution(self) -> str:
        return distribution(self.name)

    @property
    def titled(self) -> str:
        """Its name and version, for messages."""
        return f"{self.name} {self.version}".strip()

    def fault(self, what: str) -> None:
        """Note one thing that is wrong with it."""
        self.error = f"{self.error}; {what}".removeprefix("; ")


@dataclass
class Settings:
    """Which plugins may load: from the environment, or set by flags."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    prefer: dict[str, str] = field(default_factory=dict)
    strict: bool = False

    @classmethod
    def from_environment(cls, environ: Any = os.environ) -> "Settings":
        """NETDEF_ALLOW, _DENY, _PLUGIN_FILES, _PREFER (Type=plugin): comma-separated; NETDEF_STRICT: 1 or 0."""

        def words(key: str) -> tuple[str, ...]:
            text = environ.get(key, "")
            if key == "NETDEF_PLUGIN_FILES":  # plugins' names may hold the separator of paths
                text = text.replace(os.pathsep, ",")
            return tuple(dict.fromkeys(w.strip() for w in text.split(",") if w.strip()))

        prefer = dict(w.split("=", 1) for w in words("NETDEF_PREFER") if "=" in w)
        strict = environ.get("NETDEF_STRICT", "") not in ("", "0")
        return cls(words("NETDEF_ALLOW"), words("NETDEF_DENY"), words("NETDEF_PLUGIN_FILES"), prefer, strict)

    def allows(self, plugin: Plugin) -> bool:
        """Whether to load it; what ships with netdef itself is always allowed unless denied by name."""
        names = {plugin.name, plugin.distribution}
        return not names & set(self.deny) and (is_own(plugin) or not self.allow or bool(names & set(self.allow)))

    def prefers(self, name: str, plugin: Plugin, thing: Any) -> bool:
        """Whether the choice for a name is this distribution, this plugin, or this class of it (plugin.Class)."""
        names = (plugin.distribution, plugin.name, f"{plugin.name}.{getattr(thing, '__name__', '')}")
        return self.prefer.get(name) in names


def distribution(plugin: str) -> str:
    """Whose a plugin of this name is: a file is its own."""
    return plugin if plugin.startswith("file:") else plugin.split(":")[0]


def installed() -> list[tuple[Plugin, Callable[[], Any]]]:
    """Every entry point of the group with what loads it; netdef's own first, then by name."""
    found = []
    for entry in metadata.entry_points(group=GROUP):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "")
        found.append((Plugin(f"{name}:{entry.name}", version, entry.value), entry.load))
    return sorted(found, key=lambda f: (not is_own(f[0]), f[0].name))


def from_file(path: str) -> tuple[Plugin, Callable[[], Any]]:
    """A Python file as a plugin, with what loads it."""
    return Plugin(f"file:{path}", "", path), lambda: _load_file(Path(path))


def is_own(plugin: Plugin) -> bool:
    """Whether it ships with netdef itself."""
    return plugin.module.split(".")[0] in ("netdef", "netdef_plugins")


def explained(error: BaseException, module: str) -> str:
    """The error with its kind, and the last line it passed in the plugin's own files."""
    text = str(error) if isinstance(error, NetdefError) else first_line(error)
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({_short(error.filename or '')}:{error.lineno})"
    line = own_line(error, module)
    return f"{text} ({line})" if line else text


def first_line(error: BaseException) -> str:
    """The kind and the first line of what it says: some libraries write pages."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}".removesuffix(": ")


def own_line(error: BaseException, module: str) -> str:
    """FILE:LINE of the innermost frame in a plugin's own code; empty where there is none."""
    lines = [(frame, n) for frame, n in traceback.walk_tb(error.__traceback__) if is_code_of(module, frame)]
    return f"{_short(lines[-1][0].f_code.co_filename)}:{lines[-1][1]}" if lines else ""


def is_code_of(module: str, frame: FrameType) -> bool:
    """Whether a frame runs a plugin's code: `module` is a file's path, or a name, of whose package any module is."""
    package = module.split(":")[0].split(".")[0]
    name = str(frame.f_globals.get("__name__", ""))
    return frame.f_code.co_filename == os.path.abspath(module) or name.split(".")[0] == package


def _short(file: str) -> str:
    """The file relative to the working directory where it lies below it, else its last two parts."""
    path = Path(file)
    below = path.is_relative_to(Path.cwd())
    return str(path.relative_to(Path.cwd()) if below else Path(*path.parts[-2:]))


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"no such plugin file: {path}")
    # a name of its own for each path, and the same one when it is loaded again
    name = f"netdef_file_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
