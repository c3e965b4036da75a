"""The distributions under plugins/, loaded without being installed; as a script, the table of what they provide."""

import importlib
import sys
import tomllib
from functools import cache
from pathlib import Path

from netdef.registry import Registry, Settings

FOLDER = Path(__file__).resolve().parents[2] / "plugins"
NAMES = [path.parent.name for path in sorted(FOLDER.glob("netdef-*/pyproject.toml"))]


def project(name):
    return tomllib.loads((FOLDER / name / "pyproject.toml").read_text())["project"]


@cache
def registry(*names):
    """netdef's own plugins and those of these distributions."""
    found = Registry(Settings()).load()
    there = {p.distribution for p in found.plugins}
    sys.path += [str(FOLDER / name) for name in NAMES if str(FOLDER / name) not in sys.path]
    for name in (n for n in names if n not in there):
        for entry, module in project(name)["entry-points"]["netdef"].items():
            found.add(f"{name}:{entry}", importlib.import_module(module))
    return found


def rows(found, name):
    """What netdef/known.tsv should say of a distribution: its types, then the fields it adds to Caffe's messages.

    Each with the others of these distributions that it needs.
    """
    plugins = [p for p in found.plugins if p.distribution == name]
    types = {t for p in plugins for t in p.provides.get("layers", [])}
    fields = {f for p in plugins for f in found.schema.added_by(p.name)}
    needs = " ".join(other for other in NAMES if other in project(name)["dependencies"])
    return [(name, row, needs) for row in (*sorted(types), *sorted(fields))]


if __name__ == "__main__":
    print("distribution\tname\tneeds")
    for name in NAMES:
        for row in rows(registry(*NAMES), name):
            print("\t".join(row))
