"""Imports run downward only: the picture in words, held to the code by ast."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PICTURE = """
__main__ pytest_cases
cli
pycaffe report testing onnx_import predict
surgery
export solver
read
net
inplace memory parameters
graph
sources
weights upgrade autodiff
layer filler
blame
registry
loading provided
prototxt schema
compose
merge
blob hookspecs options files limits distance
names known leftovers
errors
__init__
"""
FLOOR = {room: depth for depth, rooms in enumerate(PICTURE.split("\n")) for room in rooms.split()}
OFFERED = {"layer", "filler", "sources", "blob", "errors", "netdef.solver.rules"}


def imports(file: Path, package: str) -> Iterator[str]:
    """Dotted names that a module imports when it runs; those for type checkers alone do not count."""
    tree = ast.parse(file.read_text())
    checked = [i for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.dump(i.test)]
    unreal = {id(node) for i in checked for node in ast.walk(i)}
    for node in ast.walk(tree):
        if id(node) in unreal:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            module = ".".join([*parts[: len(parts) - node.level + 1], node.module or ""]) if node.level else node.module
            yield from (f"{module.strip('.')}.{alias.name}" for alias in node.names)


def modules(top: str, base: str = ".") -> list[tuple[str, Path]]:
    """(package, file) of every module below a folder."""
    files = sorted((ROOT / base / top).rglob("*.py"))
    return [(".".join(f.parent.relative_to(ROOT / base).parts), f) for f in files]


def room(name: str) -> str:
    """The first name below the package; none for the package itself, which holds the version and needs nothing."""
    return [*name.split("."), ""][1]


def ids(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else ""


@pytest.mark.parametrize(("package", "file"), modules("netdef"), ids=ids)
def test_the_engine_imports_downward(package, file):
    own = room(package) or file.stem
    assert own in FLOOR, f"{file}: a new room; give it a floor in the picture"
    for name in imports(file, package):
        assert name.split(".")[0] != "netdef_plugins", f"the engine knows no layer by name, but imports {name}"
        to = room(name)
        if name.split(".")[0] == "netdef" and to not in (own, "", "__version__"):
            assert FLOOR[to] > FLOOR[own], f"{own} imports {name}, which is not below it"


@pytest.mark.parametrize(("package", "file"), modules("netdef_plugins", "plugins"), ids=ids)
def test_families_import_what_a_stranger_may(package, file):
    for name in imports(file, package):
        if name.split(".")[0] == "netdef":
            assert {room(name), name.rpartition(".")[0], name} & OFFERED, (
                f"a family imports {name}; it may import {', '.join(sorted(OFFERED))}"
            )
        assert name.split(".")[0] != "netdef_proto", "options come through self.param"


@pytest.mark.parametrize(("package", "file"), modules("netdef_plugins/kernels", "plugins"), ids=ids)
def test_kernels_know_no_layer(package, file):
    for name in imports(file, package):
        if name.split(".")[0] in ("netdef", "netdef_plugins"):
            assert name.startswith("netdef_plugins.kernels"), f"a kernel imports {name}"


def test_messages_come_from_the_composed_schema():
    """Those of the compiled module are other classes, without plugins' options, and do not mix with them."""
    users = {f.name for p, f in modules("netdef") for name in imports(f, p) if "netdef_pb2" in name}
    assert users <= {"compose.py", "schema.py"}
