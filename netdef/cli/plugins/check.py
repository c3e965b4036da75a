"""netdef plugins check: every promise of the layer contract, over the cases its author wrote as prototxt."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netdef.errors import NetdefError, PluginError
from netdef.names import nearest


@dataclass
class CaseResult:
    """One case; no faults means that it keeps every promise."""

    file: str
    case: str
    faults: list[str] = field(default_factory=list)


@dataclass
class TypeResult:
    """One layer type of a plugin with the cases it occurs in."""

    type: str
    plugin: str
    version: str
    notes: list[str]
    """What is no fault, but would help its users."""
    cases: list[CaseResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return bool(self.cases) and not any(case.faults for case in self.cases)


def check(target: str, cases: Path | None, registry: Any) -> Iterator[TypeResult]:
    """The results for a distribution, a plugin, a file or a layer type, type by type.

    Cases are sought in `cases`, else in tests/cases/ and cases/ beside the plugin's module, one folder up, and here.
    Raises PluginError where there is nothing to check.
    """
    wanted = _wanted(target, registry)
    if not wanted:
        raise PluginError(f"{target} provides no layer")
    files = _files(cases, [plugin for _, plugin in wanted])
    loaded = [case for file in files for case in _load(file)]
    for cls, plugin in wanted:
        names = {cls.type, *cls.aliases}
        result = TypeResult(cls.type, plugin.name, plugin.version, list(_notes(cls)))
        result.cases = [_run(case, registry) for case in loaded if names & _types(case, registry)]
        yield result


def _wanted(target: str, registry: Any) -> list[tuple[Any, Any]]:
    """(class, plugin) pairs, each class once."""
    plugins = [p for p in registry.plugins if target in (p.name, p.distribution) or p.name == f"file:{target}"]
    claims = [c for name in registry.names("layers") for c in registry.claims("layers", name)]
    if plugins:
        for plugin in plugins:
            if plugin.error:
                raise PluginError(f"{plugin.titled}: {plugin.error}")
        claims = [c for c in claims if c.plugin in plugins]
    else:
        claims = registry.claims("layers", target)
        if not claims:
            if Path(target).is_dir():
                raise PluginError(f"'{target}' is a folder; install the package in it: pip install -e {target}")
            known = [*registry.names("layers"), *(p.distribution for p in registry.plugins)]
            raise PluginError(f"'{target}' is no plugin, file or layer type{nearest(target, known)}")
    return list({id(c.thing): (c.thing, c.plugin) for c in claims}.values())


def _files(cases: Path | None, plugins: list[Any]) -> list[Path]:
    places = [cases] if cases else list(dict.fromkeys(p for plugin in plugins for p in _places(plugin)))
    for place in places:
        found = sorted(place.glob("*.prototxt"))
        if found:
            return found
    looked = ", ".join(str(place) for place in places)
    raise PluginError(f"no case: no *.prototxt in {looked}; write some, or say where they are with --cases DIR")


def _places(plugin: Any) -> list[Path]:
    home = _home(plugin)
    up = [home, home.parent] if (home / "__init__.py").is_file() else [home]
    return [folder / place for folder in (*up, Path()) for place in ("tests/cases", "cases", "tests/layers")]


def _home(plugin: Any) -> Path:
    """The folder that a plugin's module lies in."""
    if plugin.name.startswith("file:"):
        return Path(plugin.module).resolve().parent
    spec = importlib.util.find_spec(plugin.module.split(":")[0])
    return Path(spec.origin).parent if spec and spec.origin else Path.cwd()


def _load(file: Path) -> list[Any]:
    from netdef.testing import load_cases

    return load_cases(file)


def _types(case: Any, registry: Any) -> set[str]:
    from netdef import prototxt

    net = prototxt.parse(case.text, registry.schema.message("NetParameter"), case.file, ignored=[])
    return {layer.type for layer in net.layer}


def _run(case: Any, registry: Any) -> CaseResult:
    from netdef.testing import BrokenPromiseError, check_layer

    try:
        check_layer(case, registry=registry)
    except BrokenPromiseError as e:
        return CaseResult(case.file, case.name, [line.strip() for line in str(e).splitlines()[1:]])
    except NetdefError as e:
        return CaseResult(case.file, case.name, [str(e)])
    return CaseResult(case.file, case.name)


def _notes(cls: Any) -> Iterator[str]:
    from netdef.options import Block

    if not cls.__doc__:
        yield f"class {cls.__name__} has no docstring; netdef layers shows its first sentence"
    silent = [f.name for f in cls.options.fields if not f.doc] if isinstance(cls.options, Block) else []
    if silent:
        yield f"no doc for {', '.join(silent)} of {cls.options.name}"
