"""Which distribution provides a layer type or an option that nobody here does: known.tsv, read for unknown names."""

import csv
from collections.abc import Container
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def table() -> dict[str, list[str]]:
    """Distributions by layer type ("Permute") or field ("LayerParameter.permute_param")."""
    found: dict[str, list[str]] = {}
    text = resources.files("netdef").joinpath("known.tsv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        found.setdefault(row["name"], []).append(row["distribution"])
    return found


@lru_cache(maxsize=1)
def needs() -> dict[str, list[str]]:
    """The others of these distributions that one needs."""
    text = resources.files("netdef").joinpath("known.tsv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["distribution"]: row["needs"].split() for row in rows}


def of_type(name: str, installed: Container[str] = ()) -> str:
    """Which distribution to install for a layer type, as the end of a message; empty where none is known."""
    return _hint(name, installed)


def of_field(message: str, field: str) -> str:
    """The same for a field of a message, an option block's name being one of LayerParameter."""
    return _hint(f"{message}.{field}")


def _hint(name: str, installed: Container[str] = ()) -> str:
    found = [distribution for distribution in table().get(name, []) if distribution not in installed]
    if not found:
        return ""
    first = [name for name in needs().get(found[0], []) if name not in installed]
    command = " ".join(f"plugins/{name}" for name in (*first, found[0]))
    also = f" (it needs {' and '.join(first)})" if first else ""
    return f"; install {' or '.join(found)}{also}, which provides it (in the clone: pip install {command})"
