"""The messages of Caffe's schema under the name scripts import, with the options that plugins add."""

from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from netdef import registry


def __getattr__(name: str) -> Any:
    """A message class (caffe_pb2.NetParameter), an enum outside messages (caffe_pb2.Phase) or a value of it (TEST)."""
    schema = registry.default().schema
    if name.startswith("_"):
        raise AttributeError(name)
    for enum in schema.enums():
        if name == enum.name:
            return EnumTypeWrapper(enum)
        if name in enum.values_by_name:
            return enum.values_by_name[name].number
    try:
        return schema.message(name)
    except KeyError:
        raise AttributeError(f"the schema has no message {name}") from None
