"""What a hook gave back, taken apart: each named thing, or the reason why it is refused."""

import inspect
from collections.abc import Iterator
from typing import Any

from netdef.errors import PluginError
from netdef.options import Block

EVENTS = ("start", "iteration", "updated", "test", "best", "snapshot", "statistics", "recovered", "end", "failed")
"""What an observer of a training run may listen to; see netdef.solver.Solver."""
_OPERATIONS = ("forward", "backward", "update")
_READS = ("bottom", "top")
_CLASSES = ("rules",)


def layers(found: Any) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """(names, class, what is wrong with it) for each layer class; classes listed twice come once."""
    _check(found, list, "netdef_layers", "a list of classes")
    for cls in {id(cls): cls for cls in found}.values():
        problem = _layer_fault(cls)
        names = () if problem else (cls.type, *(name for name in cls.aliases if name != cls.type))
        yield names, cls, problem


def named(kind: str, found: Any) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """The same for fillers, rules, policies, sources, importers and peers: dicts of functions or classes by name."""
    hook, what = f"netdef_{kind}", "a class" if kind in _CLASSES else "a function"
    _check(found, dict, hook, f"a dict with {what} for each name")
    for name, thing in found.items():
        right = inspect.isclass(thing) if kind in _CLASSES else callable(thing)
        problem = "" if right and isinstance(name, str) else f"{hook} gave {thing!r} under {name!r}; want {what}"
        if kind == "rules" and not problem:
            lacking = [m for m in ("memory", "step") if not hasattr(thing, m)] or sorted(_abstract(thing))
            problem = f"rule '{name}' lacks {' and '.join(lacking)}" if lacking else ""
        yield (name,), thing, problem


def options(found: Any) -> list[Block]:
    _check(found, list, "netdef_options", "a list of Block")
    for block in found:
        if not isinstance(block, Block):
            raise PluginError(f"netdef_options gave {block!r}; want a Block")
    return list(found)


def observers(found: Any) -> list[Any]:
    _check(found, list, "netdef_observers", "a list of objects")
    for observer in found:
        if inspect.isclass(observer):
            raise PluginError(
                f"netdef_observers gave the class {observer.__name__}; want an object: {observer.__name__}()"
            )
        if not any(callable(getattr(observer, event, None)) for event in EVENTS):
            raise PluginError(f"observer {type(observer).__name__} has none of {', '.join(EVENTS)}")
    return list(found)


def _check(found: Any, kind: type, hook: str, want: str) -> None:
    if not isinstance(found, (list, tuple) if kind is list else kind):
        raise PluginError(f"{hook} gave {'nothing' if found is None else repr(found)[:60]}; want {want}")


def _layer_fault(cls: Any) -> str:
    """Why a layer class is refused; empty when it has all three operations and its declarations make sense."""
    if not inspect.isclass(cls):
        return f"layer {cls!r} is not a class with a `type`"
    name = getattr(cls, "type", None)
    if not isinstance(name, str) or not name:
        return f"layer class {cls.__name__} has no `type`: the name that prototxts use"
    missing = sorted(_abstract(cls))
    missing = missing or [m for m in _OPERATIONS if not callable(getattr(cls, m, None))]
    if missing:
        return f"layer '{name}' lacks {' and '.join(missing)}"
    if not all(hasattr(cls, member) for member in ("bottoms", "tops", "options", "reads", "claims")):
        return f"layer '{name}' does not derive from netdef.layer.Layer"
    wrong = _wrong_declaration(cls)
    return f"layer '{name}' declares {wrong}" if wrong else ""


def _abstract(cls: Any) -> frozenset[str]:
    return getattr(cls, "__abstractmethods__", frozenset())


def _wrong_declaration(cls: Any) -> str:
    aliases = getattr(cls, "aliases", ())
    if not isinstance(aliases, (list, tuple)) or not all(isinstance(name, str) and name for name in aliases):
        return f"aliases = {aliases!r}; want a tuple of names"
    for what in ("bottoms", "tops"):
        if not _is_count(getattr(cls, what)):
            return f"{what} = {getattr(cls, what)!r}; want a number, or (least, most) with None for any"
    if not (cls.options is None or isinstance(cls.options, Block | str)):
        return f"options = {cls.options!r}; want a Block or the name of a block in the schema"
    if isinstance(cls.options, Block) and not cls.options.name:
        return 'options without a name; want Block("..._param", ...)'
    reads = inspect.getattr_static(cls, "reads")  # a property says it layer by layer
    if not isinstance(reads, property) and (isinstance(reads, str) or not set(reads) <= set(_READS)):
        return f'reads = {reads!r}; want a tuple of "bottom" and "top", or ()'
    return ""


def _is_count(declared: Any) -> bool:
    if isinstance(declared, int):
        return declared >= 0
    if not isinstance(declared, tuple) or len(declared) != 2:
        return False
    low, high = declared
    return isinstance(low, int) and (high is None or (isinstance(high, int) and high >= low))
