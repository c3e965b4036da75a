"""The messages of Caffe's schema under the name scripts import, with the options that plugins add."""

from typing import Any

from netdef import registry


def __getattr__(name: str) -> Any:
    """A message class (caffe_pb2.NetParameter) or a value of a top-level enum (caffe_pb2.TEST)."""
    schema = registry.default().schema
    if name.startswith("_"):
        raise AttributeError(name)
    for enum in schema.enums():
        if name in enum.values_by_name:
            return enum.values_by_name[name].number
    try:
        return schema.message(name)
    except KeyError:
        raise AttributeError(f"the schema has no message {name}") from None
