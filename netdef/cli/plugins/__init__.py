"""netdef plugins: what was loaded, what it brings, what failed and why; a new plugin, and the proof of one."""

import argparse
from pathlib import Path
from typing import Any

from netdef.cli import flags
from netdef.names import nearest

HELP = """\
A plugin is an entry point in the group "netdef" of an installed distribution, or a file given with --plugin.
The same choices by environment: NETDEF_PLUGIN_FILES, NETDEF_ALLOW, NETDEF_DENY, NETDEF_PREFER, NETDEF_STRICT.

new NAME writes a package with one layer, its options, its ONNX form and its tests into a folder of that name.
check WHAT proves the layers of a plugin (its distribution, a FILE.py) or one layer TYPE: gradients, shapes, in place,
memory plan, snapshot, ONNX, bad options, over the nets in its tests/cases/*.prototxt.

examples:
  netdef plugins
  netdef plugins --plugin mylayer.py
  netdef plugins --strict-plugins --json
  netdef plugins new netdef-soft-clip
  netdef plugins check netdef-soft-clip
  netdef plugins check mylayer.py --cases nets
"""
ACTIONS = ("new", "check")


def add(subparsers: Any) -> None:
    summary = "list the plugins: what each provides, what failed and why; write a new one, prove one"
    parser = flags.command(subparsers, "plugins", run, "[new NAME | check WHAT] [flags]", summary, HELP)
    parser.add_argument("action", nargs="?", metavar="new|check", help="without it, the plugins are listed")
    parser.add_argument("what", nargs="?", metavar="WHAT", help="new: a name; check: a plugin, FILE.py or layer type")
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="new: where to make its folder")
    parser.add_argument("--cases", type=Path, metavar="DIR", help="check: where the cases are")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    if args.action is None:
        return _list(args)
    if args.action not in ACTIONS:
        raise flags.UsageError(
            f"'{args.action}' is no action{nearest(args.action, ACTIONS)} (see: netdef plugins --help)"
        )
    if args.what is None:
        raise flags.UsageError(f"want: netdef plugins {args.action} {'NAME' if args.action == 'new' else 'WHAT'}")
    return _new(args) if args.action == "new" else _check(args)


def _list(args: argparse.Namespace) -> int:
    from netdef import registry
    from netdef.report import catalog
    from netdef.report.tables import show, show_json

    found = catalog.plugins(registry.default())
    if args.json:
        show_json(found)
    else:
        columns = ("plugin", "version", "module", "ms", "state", "provides")
        rows = [(p.name, p.version, p.module, f"{p.ms:.1f}", p.state, _counts(p.provides)) for p in found]
        show(columns, rows, right=("ms",))
        for plugin in found:
            if plugin.error:
                print(f"{plugin.name}: {plugin.error}")
        for name, owners in _twins(found).items():
            print(f"{name}: provided by {', '.join(owners)}; {_choice(name, registry.default())}")
    return int(any(plugin.error and plugin.module in args.plugin for plugin in found))


def _twins(found: Any) -> dict[str, list[str]]:
    """Layer types that several plugins provide, with all who do."""
    names = sorted({name for plugin in found for name in plugin.shared})
    return {name: [p.name for p in found if name in p.provides.get("layers", ())] for name in names}


def _choice(name: str, registry: Any) -> str:
    chosen = registry.settings.prefer.get(name)
    return f"{chosen} is preferred" if chosen else f"each layer's options decide, or NETDEF_PREFER={name}=PLUGIN"


def _counts(provides: dict[str, list[str]]) -> str:
    """As in: layers 12, fillers 1."""
    return ", ".join(f"{kind} {len(names)}" for kind, names in provides.items())


def _new(args: argparse.Namespace) -> int:
    from netdef.cli import settings
    from netdef.cli.plugins.new import new

    for path in new(args.what, args.dir, settings.plugins(args)):
        print(path)
    print(f'next: cd {args.dir / args.what} && pip install -e ".[test]" && pytest')
    return 0


def _check(args: argparse.Namespace) -> int:
    from netdef.cli import settings
    from netdef.cli.plugins.check import check
    from netdef.report.tables import show_json

    registry = _with_file(args.what) if args.what.endswith(".py") else settings.plugins(args)
    results = check(args.what, args.cases, registry)
    if args.json:
        done = list(results)
        show_json([vars(r) | {"passed": r.passed} for r in done])
    else:
        done = [_shown(result) for result in results]
        failed = [r.type for r in done if not r.passed]
        print(f"failed: {', '.join(failed)}" if failed else f"{', '.join(r.type for r in done)}: every promise is kept")
    return int(not all(r.passed for r in done))


def _with_file(path: str) -> Any:
    """All plugins and a file's, whose layers are taken wherever another plugin has a layer of that type too."""
    from netdef.registry import Registry

    registry = Registry().load()
    loaded = [p for p in registry.plugins if p.name == f"file:{path}"] or [registry.load_file(path)]
    types = loaded[0].provides.get("layers", [])
    registry.settings.prefer.update(dict.fromkeys(types, loaded[0].name))
    return registry


def _shown(result: Any) -> Any:
    print(f"{result.type}, from {result.plugin} {result.version}".rstrip())
    for note in result.notes:
        print(f"  note: {note}")
    for case in result.cases:
        print(f"  {case.case}: {'ok' if not case.faults else 'failed'}")
        for fault in case.faults:
            print(f"    {fault}")
    if not result.cases:
        print(f"  no case has a layer of type {result.type}")
    return result
