"""netdef layers: which layer types there are, who provides them, what options they take."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
examples:
  netdef layers
  netdef layers Pooling
  netdef layers Convolution --json
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "layers", run, "[TYPE] [flags]", "list the layer types, or say everything about one", HELP
    )
    parser.add_argument("type", nargs="?", metavar="TYPE", help="a layer type, as a prototxt names it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    from netdef.cli import settings
    from netdef.report import catalog
    from netdef.report.tables import show_json

    registry = settings.plugins(args)
    found = catalog.layers(registry) if args.type is None else catalog.layer(registry, args.type)
    if args.json:
        show_json(found)
    elif args.type is None:
        _table(found)
    else:
        for entry in found:
            _one(entry)


def _table(found: Any) -> None:
    from netdef.report.tables import show

    columns = ("type", "provider", "version", "bottoms", "tops", "in place", "onnx", "summary")
    show(
        columns, [(e.type, e.plugin, e.version, e.bottoms, e.tops, _yes(e.in_place), e.onnx, e.summary) for e in found]
    )


def _one(entry: Any) -> None:
    from netdef.report.tables import show

    print(f"{entry.type}, from {entry.plugin} {entry.version}".rstrip())
    print("\n" + (entry.doc or "It has no description.") + "\n")
    facts = {
        "also named": ", ".join(entry.aliases),
        "bottoms": entry.bottoms,
        "tops": entry.tops,
        "in place": _yes(entry.in_place),
        "loss": "yes, with weight 1 unless loss_weight says otherwise" if entry.loss else "",
        "onnx": entry.onnx,
    }
    for name, fact in facts.items():
        if fact:
            print(f"{name}: {fact}")
    if not entry.block:
        print("\nIt takes no options.")
    for i, (message, options) in enumerate(entry.options.items()):
        block = entry.block if i == 0 else entry.also.get(message)
        print(f"\n{block} {{ }}:" if block else f"\n{message}:")
        show(("option", "type", "default", "meaning"), [_row(option, entry.plugin) for option in options])


def _row(option: Any, provider: str) -> tuple[str, str, str, str]:
    kind = " | ".join(option.values) or option.type
    added = f"(added by {option.plugin})" if option.plugin not in ("", provider) else ""
    return option.name, kind + ", repeated" * option.repeated, _default(option.default), f"{option.doc} {added}".strip()


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or '""'
    return "" if value is None else f"{value:g}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
