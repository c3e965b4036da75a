"""Who provides what: plugins found at the entry points, loaded one by one, and the names they bring."""

import contextlib
import inspect
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pluggy

from netdef import hookspecs, known, provided
from netdef.errors import PluginError
from netdef.loading import Plugin, Settings, explained, from_file, installed, is_code_of, is_own
from netdef.names import nearest
from netdef.options import Block
from netdef.schema import Schema

__all__ = ["KINDS", "Plugin", "Provided", "Registry", "Settings", "default"]

KINDS = {"layers": "layer type", "fillers": "filler", "rules": "solver type", "policies": "lr_policy"}
KINDS |= {"sources": "data backend", "importers": "ONNX operator", "peers": "peer"}
_HOOKS = [name for name in vars(hookspecs) if name.startswith("netdef_")]
_log = logging.getLogger(__name__)


@dataclass
class Provided:
    """A named thing and the plugin it came from."""

    thing: Any
    plugin: Plugin


class Registry:
    """Every plugin loaded, and what it provides by kind ("layers", "fillers", ...) and name."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or Settings.from_environment()
        self.plugins: list[Plugin] = []
        self._names: dict[str, dict[str, list[Provided]]] = {kind: {} for kind in KINDS}
        self._blocks: list[tuple[Plugin, Block, bool]] = []
        """Whose, what, and whether a layer class declares it for itself."""
        self.observers: list[Provided] = []
        self._manager = pluggy.PluginManager(hookspecs.GROUP)
        self._manager.add_hookspecs(hookspecs)

    def load(self) -> "Registry":
        """Every entry point of the group and every file in the settings; a failure is kept, and loading goes on."""
        found = installed()
        if not any(is_own(plugin) for plugin, _ in found):
            raise PluginError("netdef is not installed, so its own layers cannot be found; run: pip install -e .")
        for plugin, load in found:
            if self.settings.allows(plugin):
                self._attempt(plugin, load)
            else:
                plugin.denied = True
                self.plugins.append(plugin)
        for path in {Path(path).resolve(): path for path in self.settings.files}.values():
            self.load_file(path)
        self._warn_of_names_without_plugin()
        return self

    def load_file(self, path: str) -> Plugin:
        """A Python file as a plugin, by the name "file:PATH"; it need not be on any path."""
        plugin, load = from_file(path)
        self._attempt(plugin, load)
        self.__dict__.pop("schema", None)
        return plugin

    def add(self, name: str, module: Any) -> Plugin:
        """Register a module (or any object with hooks) by hand, as a test or a notebook does."""
        plugin = Plugin(name, "", getattr(module, "__name__", type(module).__name__))
        self._attempt(plugin, lambda: module)
        self.__dict__.pop("schema", None)
        return plugin

    def _attempt(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        self.plugins.append(plugin)
        before = time.perf_counter()
        with _kept(plugin):
            module = load()
            self._manager.register(module, plugin.name)
            self._collect(plugin, module)
        plugin.ms = 1e3 * (time.perf_counter() - before)
        self._be_strict(plugin)

    def _be_strict(self, plugin: Plugin) -> None:
        if plugin.error and self.settings.strict:
            raise PluginError(f"plugin {plugin.titled}: {plugin.error}")

    # -- what a module brings ---------------------------------------------------------------------------------------

    def _collect(self, plugin: Plugin, module: Any) -> None:
        """Call each hook by itself: one that fails takes nothing from the others."""
        hooks = dict(self._hooks(module))
        for name, hook in hooks.items():
            with _kept(plugin):
                if name not in _HOOKS:
                    raise PluginError(f"no such hook: {name}{nearest(name, _HOOKS)}")
                self._take(plugin, name.removeprefix("netdef_"), hook())
        unmarked = [n for n in _unmarked(module) if n not in hooks]
        if unmarked:
            plugin.fault(f"{unmarked[0]} is no hook without @hookimpl above it")
        elif not hooks:
            plugin.fault(f"it has no hooks; want one of {', '.join(_HOOKS)}, with @hookimpl above it")

    def _hooks(self, module: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
        for caller in self._manager.get_hookcallers(module) or []:
            for impl in caller.get_hookimpls():
                if impl.plugin is module:
                    yield caller.name, impl.function

    def _take(self, plugin: Plugin, kind: str, found: Any) -> None:
        if kind == "options":
            blocks = provided.options(found)
            self._blocks += [(plugin, block, False) for block in blocks]
            _count(plugin, kind, [block.name or block.message for block in blocks])
        elif kind == "observers":
            observers = provided.observers(found)
            self.observers += [Provided(observer, plugin) for observer in observers]
            _count(plugin, kind, [type(observer).__name__ for observer in observers])
        else:
            things = provided.layers(found) if kind == "layers" else provided.named(kind, found)
            for names, thing, problem in things:
                if problem:
                    plugin.fault(problem)
                else:
                    self._enter(plugin, kind, names, thing)

    def _enter(self, plugin: Plugin, kind: str, names: tuple[str, ...], thing: Any) -> None:
        for name in names:
            self._names[kind].setdefault(name, []).append(Provided(thing, plugin))
        _count(plugin, kind, names)
        if kind == "layers" and isinstance(thing.options, Block):
            self._blocks.append((plugin, thing.options, True))

    def _withdraw(self, plugin: Plugin) -> None:
        """Take back all that a plugin brought."""
        for claims in (c for names in self._names.values() for c in names.values()):
            claims[:] = [c for c in claims if c.plugin is not plugin]
        self._names = {kind: {n: c for n, c in names.items() if c} for kind, names in self._names.items()}
        self.observers = [o for o in self.observers if o.plugin is not plugin]
        self._blocks = [b for b in self._blocks if b[0] is not plugin]
        plugin.provides.clear()

    def culprit(self, error: BaseException) -> Plugin | None:
        """The plugin in whose code an error arose: the innermost but for netdef's own; None where it is nobody's."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        others = [p for p in self.plugins if not is_own(p)]
        return next((p for frame in reversed(frames) for p in others if is_code_of(p.module, frame)), None)

    # -- the schema -------------------------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> Schema:
        """The composed schema; made once, after loading. A plugin whose options do not fit in is withdrawn."""
        try:
            return _schema(self._blocks)
        except PluginError:
            self._withdraw_misfits()
            return _schema(self._blocks)

    def _withdraw_misfits(self) -> None:
        kept: list[tuple[Plugin, Block, bool]] = []
        for plugin in self.plugins:
            blocks = [b for b in self._blocks if b[0] is plugin]
            try:
                _schema(kept + blocks)
                kept += blocks
            except PluginError as e:
                self._withdraw(plugin)
                plugin.fault(str(e))
                self._be_strict(plugin)

    # -- who provides a name ----------------------------------------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        return sorted(self._names[kind])

    def claims(self, kind: str, name: str) -> list[Provided]:
        """Everything registered under a name, in the order of loading; empty for an unknown one."""
        return self._names[kind].get(name, [])

    def find(self, kind: str, name: str, refusal: Callable[[Provided], str] | None = None) -> Provided:
        """What is registered under a name.

        Where several plugins claim it, the user's choice counts (NETDEF_PREFER), then `refusal`: why one of them is
        not meant, or "". One thing under two names of plugins is one. Raises PluginError: unknown (with the nearest
        names, or who is known to provide it), claimed by several, or refused by all.
        """
        claims = list({id(c.thing): c for c in self.claims(kind, name)}.values())
        if not claims:
            raise PluginError(f"unknown {KINDS[kind]} '{name}'{self._hint(kind, name)}")
        preferred = [c for c in claims if self.settings.prefers(name, c.plugin, c.thing)]
        claims = preferred or claims
        reasons = [refusal(c) if refusal and len(claims) > 1 else "" for c in claims]
        left = [c for c, reason in zip(claims, reasons, strict=True) if not reason]
        if len(left) == 1:
            return left[0]
        raise PluginError(_undecided(kind, name, left or claims, [] if left else reasons))

    def get(self, kind: str, name: str) -> Any:
        return self.find(kind, name).thing

    def role(self, role: str) -> str:
        """The layer type that declares it plays a part for the engine, such as "split"."""
        for name, claims in self._names["layers"].items():
            if any(getattr(c.thing, "role", "") == role for c in claims):
                return name
        raise PluginError(f"no plugin provides a layer for the role '{role}'{self._missing()}")

    def _hint(self, kind: str, name: str) -> str:
        there = {p.distribution for p in self.plugins}  # one that failed, or was denied, needs no installing
        hint = known.of_type(name, there) if kind == "layers" else ""
        return (self._broken(name) or hint or nearest(name, self.names(kind))) + self._missing()

    def _broken(self, name: str) -> str:
        """What is wrong with a plugin that would provide it, as the end of a message."""
        found = next((p for p in self.plugins if f"'{name}'" in p.error), None)
        return f": plugin {found.titled}: {found.error}" if found else ""

    def _missing(self) -> str:
        failed = [p.name for p in self.plugins if p.error]
        denied = [p.name for p in self.plugins if p.denied]
        hints = [f"plugins that failed to load: {', '.join(failed)}"] if failed else []
        hints += [f"not loaded, as the settings say: {', '.join(denied)}"] if denied else []
        return f" ({'; '.join(hints)}; see: netdef plugins)" if hints else ""

    def _warn_of_names_without_plugin(self) -> None:
        there = {name for p in self.plugins for name in (p.name, p.distribution)}
        for setting, names in (("NETDEF_ALLOW", self.settings.allow), ("NETDEF_DENY", self.settings.deny)):
            for name in (n for n in names if n not in there):
                _log.warning("%s names '%s', which is not installed%s", setting, name, nearest(name, there))
        for name, choice in self.settings.prefer.items():
            claims = [c for names in self._names.values() for c in names.get(name, [])]
            if not any(self.settings.prefers(name, c.plugin, c.thing) for c in claims):
                providers = ", ".join(c.plugin.name for c in claims) or "nobody"
                _log.warning("NETDEF_PREFER=%s=%s chooses nothing: '%s' is of %s", name, choice, name, providers)


@contextlib.contextmanager
def _kept(plugin: Plugin) -> Iterator[None]:
    """Note what is raised as a fault of the plugin; an exit as well, as a plugin must not end the program."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as e:
        plugin.fault(explained(e, plugin.module))


def _count(plugin: Plugin, kind: str, names: Iterable[str]) -> None:
    plugin.provides.setdefault(kind, []).extend(names)


def _schema(blocks: list[tuple[Plugin, Block, bool]]) -> Schema:
    shared = [(plugin.name, block) for plugin, block, of_class in blocks if not of_class]
    return Schema(shared, [(plugin.name, block) for plugin, block, of_class in blocks if of_class])


def _undecided(kind: str, name: str, claims: list[Provided], reasons: list[str]) -> str:
    alike = len({c.plugin.name for c in claims}) < len(claims)
    names = [f"{c.plugin.name}.{c.thing.__name__}" if alike else c.plugin.name for c in claims]
    owners = [f"{n} {c.plugin.version}".strip() for n, c in zip(names, claims, strict=True)]
    flags = " or ".join(f"--prefer {name}={n}" for n in names)
    choice = f"choose with {flags}, or set NETDEF_PREFER={name}={names[0]}"
    if reasons:
        told = "; ".join(f"{owner} {reason}" for owner, reason in zip(owners, reasons, strict=True))
        return f"{KINDS[kind]} '{name}': none that provides it is meant for this layer: {told}; {choice}"
    return f"{KINDS[kind]} '{name}' is claimed by {' and '.join(owners)}; {choice}"


def _unmarked(module: Any) -> list[str]:
    """Functions with a hook's name that the module itself defines."""
    own = getattr(module, "__name__", "")
    return [
        n
        for n, f in getattr(module, "__dict__", {}).items()
        if n in _HOOKS and inspect.isfunction(f) and f.__module__ == own
    ]


@lru_cache(maxsize=1)
def default() -> Registry:
    """The registry of this process, loaded on first use."""
    return Registry().load()
