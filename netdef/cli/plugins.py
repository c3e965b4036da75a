"""netdef plugins: what was loaded, from which distribution, what it brings, what failed and why."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
A plugin is an entry point in the group "netdef" of an installed distribution, or a file given with --plugin.
The same choices by environment: NETDEF_PLUGIN_FILES, NETDEF_ALLOW, NETDEF_DENY, NETDEF_PREFER, NETDEF_STRICT.

examples:
  netdef plugins
  netdef plugins --plugin mylayer.py
  netdef plugins --strict-plugins --json
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "plugins", run, "[flags]", "list the plugins: what each provides, what failed and why", HELP
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from netdef import registry
    from netdef.report import catalog
    from netdef.report.tables import show_json

    found = catalog.plugins(registry.default())
    if args.json:
        show_json(found)
    else:
        _print(found)
    return int(any(plugin.error and plugin.module in args.plugin for plugin in found))


def _print(found: Any) -> None:
    from netdef.report.tables import show

    columns = ("plugin", "version", "module", "state", "provides")
    show(columns, [(p.name, p.version, p.module, p.state, _counts(p.provides)) for p in found])
    for plugin in found:
        if plugin.error:
            print(f"{plugin.name}: {plugin.error}")


def _counts(provides: dict[str, list[str]]) -> str:
    """As in: layers 12, fillers 1."""
    return ", ".join(f"{kind} {len(names)}" for kind, names in provides.items())
