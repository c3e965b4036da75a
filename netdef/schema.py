"""The schema a prototxt is read with: our messages plus the option blocks of every plugin, composed at start."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from netdef_proto import netdef_pb2

from netdef.errors import PluginError
from netdef.options import SCALARS, Block, Enum, Field

PACKAGE = "netdef"
FIRST_NUMBER = 20000  # of plugins' fields: names are what a prototxt holds, so numbers only have to be free
_Proto = descriptor_pb2.FieldDescriptorProto


class Schema:
    """Message classes by name, made in a private pool so that two schemas can live side by side."""

    def __init__(self, blocks: Iterable[tuple[str, Block]] = ()):
        """`blocks` are (provider, block) pairs; the provider is named when two blocks contradict each other."""
        self._file = descriptor_pb2.FileDescriptorProto.FromString(netdef_pb2.DESCRIPTOR.serialized_pb)
        self._messages = {m.name: m for m in self._file.message_type}
        self._owners: dict[tuple[str, str], str] = {}
        self._docs: dict[tuple[str, str], str] = {}
        for provider, block in sorted(blocks, key=lambda b: (b[1].name, b[0])):
            self._add_block(provider, block)
        self.pool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(self._file.SerializeToString())
        self._classes: dict[str, Any] = {}

    def message(self, name: str) -> Any:
        """The class of a message, such as "NetParameter"."""
        if name not in self._classes:
            descriptor = self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
            self._classes[name] = message_factory.GetMessageClass(descriptor)
        return self._classes[name]

    def enums(self) -> list[Any]:
        """Descriptors of the enums that stand outside every message, such as Phase."""
        return [self.pool.FindEnumTypeByName(f"{PACKAGE}.{e.name}") for e in self._file.enum_type]

    def owner(self, message: str, field: str) -> str | None:
        """Which provider added a field; None for the schema's own."""
        return self._owners.get((message, field))

    def doc(self, message: str, field: str) -> str:
        """What its plugin says of a field; empty for the schema's own, see netdef_proto.comments for those."""
        return self._docs.get((message, field), "")

    def _add_block(self, provider: str, block: Block) -> None:
        if not block.name:
            self._add_message(provider, block.message, block)
            return
        layer = self._messages["LayerParameter"]
        there = next((f for f in layer.field if f.name == block.name), None)
        message = there.type_name.rsplit(".", 1)[-1] if there else block.message
        self._add_message(provider, message, block)
        if there is None:
            field = layer.field.add(name=block.name, number=_free_number(layer), label=_Proto.LABEL_OPTIONAL)
            field.type, field.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{message}"
            self._owners["LayerParameter", block.name] = provider

    def _add_message(self, provider: str, name: str, block: Block) -> None:
        if name not in self._messages:
            self._messages[name] = self._file.message_type.add(name=name)
        message = self._messages[name]
        for field in block.fields:
            self._add_field(provider, message, field)

    def _add_field(self, provider: str, message: Any, field: Field) -> None:
        new = _Proto(name=field.name, label=_Proto.LABEL_REPEATED if field.repeated else _Proto.LABEL_OPTIONAL)
        self._set_type(provider, message, new, field)
        if field.default is not None:
            new.default_value = _default_text(field.default)
        there = next((f for f in message.field if f.name == field.name), None)
        if there is None:
            new.number = _free_number(message)
            message.field.append(new)
            self._owners[message.name, field.name] = provider
            self._docs[message.name, field.name] = field.doc
        elif (there.type, there.type_name, there.label) != (new.type, new.type_name, new.label):
            other = self._owners.get((message.name, field.name), "the schema")
            raise PluginError(
                f"option '{field.name}' of {message.name} has one type from {other} and another from {provider}; "
                "remove one of the two plugins"
            )

    def _set_type(self, provider: str, message: Any, new: Any, field: Field) -> None:
        if isinstance(field.type, Block):
            self._add_message(provider, field.type.message, field.type)
            new.type, new.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type.message}"
        elif isinstance(field.type, Enum):
            if all(e.name != field.type.name for e in message.enum_type):
                enum = message.enum_type.add(name=field.type.name)
                for number, value in enumerate(field.type.values):
                    enum.value.add(name=value, number=number)
            new.type, new.type_name = _Proto.TYPE_ENUM, f".{PACKAGE}.{message.name}.{field.type.name}"
        elif field.type in SCALARS:
            new.type = getattr(_Proto, f"TYPE_{field.type.upper()}")
        elif field.type in self._messages:
            new.type, new.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type}"
        else:
            known = ", ".join(SCALARS)
            raise PluginError(
                f"option '{field.name}' has unknown type '{field.type}'; want {known} or a message's name"
            )


def _free_number(message: Any) -> int:
    return max([FIRST_NUMBER, *(f.number + 1 for f in message.field)])


def _default_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
