"""What a layer must refuse, in words of its own: the nets a case says so of, and options nobody would give."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.graph.choose import provider
from netdef.graph.filter import place
from netdef.options import Block
from netdef.registry import Registry
from netdef.testing.bench import Bench
from netdef.testing.cases import Case


def refused(case: Case, registry: Registry) -> Iterator[str]:
    """A case that says refused=TEXT: the net must not build or run, and the message must hold the text."""
    try:
        bench = Bench(case, registry, np.float32)
        bench.forward(bench.draw())
    except NetdefError as e:
        if not e.meant:
            yield f"refused, but not in words of the layer's own: {e}"
        elif str(case.refused) not in str(e):
            yield f"refused, but the message does not say '{case.refused}': {e}"
    else:
        yield f"the case says that it is refused ({case.refused}), but it runs"


def bad_options(case: Case, registry: Registry) -> Iterator[str]:
    """0, below 0 and no word at all, in every option of every layer, one at a time.

    A layer may take it or refuse it in words of its own; any other exception is a fault.
    """
    bench = Bench(case, registry, np.float32)
    away = replace(case, file=str(Path(case.file).resolve())) if case.base else case
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # an odd word may name a file to write
        for layer in bench.net.layers:
            block = "" if layer.role else _block(provider(layer.layer_param, registry).thing)
            for field in getattr(layer.layer_param, block).DESCRIPTOR.fields if block else ():
                for value in _odd(field):
                    yield from _tried(away, registry, layer.name, block, field, value)


def _block(cls: Any) -> str:
    return cls.options.name if isinstance(cls.options, Block) else cls.options or ""


def _odd(field: Any) -> list[Any]:
    if field.message_type is not None or field.enum_type is not None or field.cpp_type == field.CPPTYPE_BOOL:
        return []
    if field.cpp_type == field.CPPTYPE_STRING:
        return ["no such word"]
    signed = field.cpp_type not in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    return [0, -1] if signed else [0]


def _tried(case: Case, registry: Registry, layer: str, block: str, field: Any, value: Any) -> Iterator[str]:
    found: list[Any] = []

    def change(net: Any) -> None:
        found.extend(x for x in net.layer if x.name == layer)
        for each in found:
            options = getattr(each, block)
            options.ClearField(field.name)
            options.MergeFrom(type(options)(**{field.name: [value] if _is_repeated(field) else value}))

    try:
        with np.errstate(all="ignore"):
            bench = Bench(case, registry, np.float32, change=change)
            bench.forward(bench.draw())
    except NetdefError as e:
        if not e.meant:
            yield f"{place(found[0])}: {block} {{ {field.name}: {value} }} is neither taken nor refused in words: {e}"


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)
