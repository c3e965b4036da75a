"""Where each layer was written: filled in from the scan, taken out before writing."""

from typing import Any

from google.protobuf.message import Message

from netdef.prototxt.scan import Entry, Source

_ORIGIN = "netdef_origin"
_HOLDERS = frozenset({"layer", "layers", "net_param", "train_net_param", "test_net_param"})


def set_origins(message: Any, entries: list[Entry], source: Source) -> None:
    """Give every layer in a net or solver, V0's inner layers included, its FILE:LINE:COLUMN."""
    counts: dict[str, int] = {}
    for entry in entries:
        if entry.name not in _HOLDERS:
            continue
        for value in entry.values:
            index = counts.get(entry.name, 0)
            counts[entry.name] = index + 1
            held = getattr(message, entry.name)
            child: Any = held if isinstance(held, Message) else held[index]
            if _ORIGIN in child.DESCRIPTOR.fields_by_name:
                child.netdef_origin = source.place(value.start if entry.listed else entry.start)
            set_origins(child, value.entries or [], source)


def clear_origins(message: Any) -> None:
    """Whatever set it: no netdef_origin stays, at any depth."""
    for field, value in message.ListFields():
        if field.name == _ORIGIN:
            message.ClearField(_ORIGIN)
        elif field.name in _HOLDERS:
            for child in [value] if isinstance(value, Message) else value:
                clear_origins(child)
