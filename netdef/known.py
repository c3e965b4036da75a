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


def of_type(name: str, installed: Container[str] = ()) -> str:
    """Which distribution to install for a layer type, as the end of a message; empty where none is known."""
    return _hint(name, installed)


def of_field(message: str, field: str) -> str:
    """The same for a field of a message, an option block's name being one of LayerParameter."""
    return _hint(f"{message}.{field}")


def _hint(name: str, installed: Container[str] = ()) -> str:
    found = [distribution for distribution in table().get(name, []) if distribution not in installed]
    return f"; install {' or '.join(found)}, which provides it (pip install plugins/{found[0]})" if found else ""
