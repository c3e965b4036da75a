"""Who provides what: plugins found at the entry points, loaded one by one, and the names they bring."""

import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pluggy

from netdef import hookspecs
from netdef.errors import PluginError
from netdef.names import nearest
from netdef.options import Block
from netdef.schema import Schema

KINDS = {"layers": "layer type", "fillers": "filler", "rules": "solver type", "policies": "lr_policy"}
KINDS |= {"sources": "data backend"}


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


@dataclass
class Provided:
    """A named thing and the plugin it came from."""

    thing: Any
    plugin: Plugin


class Registry:
    """Every plugin loaded, and what it provides by kind ("layers", "fillers", ...) and name."""

    def __init__(self, settings: "Settings | None" = None):
        self.settings = settings or Settings.from_environment()
        self.plugins: list[Plugin] = []
        self._names: dict[str, dict[str, list[Provided]]] = {kind: {} for kind in KINDS}
        self._options: list[tuple[str, Block]] = []
        self.observers: list[Provided] = []
        self._manager = pluggy.PluginManager(hookspecs.GROUP)
        self._manager.add_hookspecs(hookspecs)

    def load(self) -> "Registry":
        """Every entry point of the group and every file in the settings; a failure is kept, and loading goes on."""
        found = [(f"{_dist(e)}:{e.name}", e) for e in metadata.entry_points(group=hookspecs.GROUP)]
        if not any(e.value.startswith("netdef.") for _, e in found):
            raise PluginError("netdef is not installed, so its own layers cannot be found; run: pip install -e .")
        for name, entry in sorted(found, key=lambda f: f[0]):
            version = entry.dist.version if entry.dist else ""
            plugin = Plugin(name, version, entry.value)
            if self.settings.allows(plugin):
                self._attempt(plugin, entry.load)
        for path in self.settings.files:
            self._attempt(Plugin(f"file:{path}", "", str(path)), lambda p=path: _load_file(Path(p)))
        return self

    def add(self, name: str, module: Any) -> Plugin:
        """Register a module (or any object with hooks) by hand, as a test or a notebook does."""
        plugin = Plugin(name, "", getattr(module, "__name__", type(module).__name__))
        self._attempt(plugin, lambda: module)
        self.__dict__.pop("schema", None)
        return plugin

    def _attempt(self, plugin: Plugin, load: Any) -> None:
        self.plugins.append(plugin)
        try:
            module = load()
            self._manager.register(module, plugin.name)
            self._refuse_unknown_hooks(module)
            self._collect(plugin, module)
        except Exception as e:
            plugin.error = plugin.error or f"{type(e).__name__}: {e}"
        if plugin.error and self.settings.strict:
            raise PluginError(f"plugin {plugin.name} {plugin.version}: {plugin.error}")

    def _refuse_unknown_hooks(self, module: Any) -> None:
        known = {n for n in vars(hookspecs) if n.startswith("netdef_")}
        for caller in self._manager.get_hookcallers(module) or []:
            if not caller.has_spec():
                raise PluginError(f"no such hook: {caller.name}{nearest(caller.name, known)}")

    def _collect(self, plugin: Plugin, module: Any) -> None:
        for kind in KINDS:
            hook = self._hook(module, f"netdef_{kind}")
            found = _named(kind, hook()) if hook else []
            for name, thing in found:
                problem = _missing_methods(thing) if kind == "layers" else ""
                if problem:
                    plugin.error = f"{plugin.error}; {problem}".removeprefix("; ")
                    continue
                self._names[kind].setdefault(name, []).append(Provided(thing, plugin))
                plugin.provides.setdefault(kind, []).append(name)
                if kind == "layers" and isinstance(thing.options, Block):
                    self._options.append((plugin.name, thing.options))
        for block in (self._hook(module, "netdef_options") or list)():
            self._options.append((plugin.name, block))
        for observer in (self._hook(module, "netdef_observers") or list)():
            self.observers.append(Provided(observer, plugin))

    def _hook(self, module: Any, name: str) -> Any:
        callers = {c.name for c in self._manager.get_hookcallers(module) or []}
        return getattr(module, name) if name in callers else None

    @cached_property
    def schema(self) -> Schema:
        """The composed schema; made once, after loading."""
        return Schema(self._options)

    def names(self, kind: str) -> list[str]:
        return sorted(self._names[kind])

    def claims(self, kind: str, name: str) -> list[Provided]:
        """Everything registered under a name, in the order of loading; empty for an unknown one."""
        return self._names[kind].get(name, [])

    def find(self, kind: str, name: str) -> Provided:
        """What is registered under a name. Raises PluginError: unknown (with the nearest names) or claimed twice."""
        claims = self.claims(kind, name)
        preferred = [c for c in claims if self.settings.prefers(name, c.plugin)]
        if len(preferred or claims) == 1:
            return (preferred or claims)[0]
        if claims:
            owners = " and ".join(f"{c.plugin.name} {c.plugin.version}".strip() for c in claims)
            choice = f"NETDEF_PREFER={name}={claims[0].plugin.name}"
            raise PluginError(f"{KINDS[kind]} '{name}' is claimed by {owners}; choose with {choice}")
        raise PluginError(f"unknown {KINDS[kind]} '{name}'{nearest(name, self.names(kind))}{self._failed_hint()}")

    def get(self, kind: str, name: str) -> Any:
        return self.find(kind, name).thing

    def role(self, role: str) -> str:
        """The layer type that declares it plays a part for the engine, such as "split"."""
        for name, claims in self._names["layers"].items():
            if any(getattr(c.thing, "role", "") == role for c in claims):
                return name
        raise PluginError(f"no plugin provides a layer for the role '{role}'{self._failed_hint()}")

    def _failed_hint(self) -> str:
        failed = [p.name for p in self.plugins if p.error]
        return f" (plugins that failed to load: {', '.join(failed)}; see: netdef plugins)" if failed else ""


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
            return tuple(w for w in text.split(",") if w)

        prefer = dict(w.split("=", 1) for w in environ.get("NETDEF_PREFER", "").split(",") if "=" in w)
        strict = environ.get("NETDEF_STRICT", "") not in ("", "0")
        return cls(words("NETDEF_ALLOW"), words("NETDEF_DENY"), words("NETDEF_PLUGIN_FILES"), prefer, strict)

    def allows(self, plugin: Plugin) -> bool:
        """Whether to load it; what ships with netdef itself is always allowed unless denied by name."""
        names = {plugin.name, plugin.name.split(":")[0]}
        own = plugin.module.split(".")[0] in ("netdef", "netdef_plugins")
        return not names & set(self.deny) and (own or not self.allow or bool(names & set(self.allow)))

    def prefers(self, name: str, plugin: Plugin) -> bool:
        return self.prefer.get(name) in (plugin.name, plugin.name.split(":")[0])


def _dist(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "?"


def _named(kind: str, found: Any) -> Iterator[tuple[str, Any]]:
    if kind != "layers":
        yield from found.items()
        return
    for cls in found:
        for name in (getattr(cls, "type", cls.__name__), *getattr(cls, "aliases", ())):
            yield name, cls


def _missing_methods(cls: Any) -> str:
    """Why a layer class is refused; empty when it has all three operations."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        return f"layer '{getattr(cls, 'type', cls.__name__)}' lacks {' and '.join(missing)}"
    if not inspect.isclass(cls) or not isinstance(getattr(cls, "type", None), str):
        return f"layer {cls!r} is not a class with a `type`"
    cls = cast(Any, cls)
    lacking = [m for m in ("forward", "backward", "update") if not callable(getattr(cls, m, None))]
    return f"layer '{cls.type}' lacks {' and '.join(lacking)}" if lacking else ""


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"no such plugin file: {path}")
    name = f"netdef_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def default() -> Registry:
    """The registry of this process, loaded on first use."""
    return Registry().load()
