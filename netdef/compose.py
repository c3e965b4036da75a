"""Option blocks put into Caffe's messages: what each adds, who added it, and where two say different things."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2
from netdef_proto import netdef_pb2

from netdef.errors import PluginError
from netdef.merge import form, same, widen
from netdef.options import Block, Enum, Field, scalar, several

PACKAGE = "netdef"
FIRST_NUMBER = 20000  # of plugins' fields: names are what a prototxt holds, so numbers only have to be free
_Proto = descriptor_pb2.FieldDescriptorProto
Key = tuple[str, str]
"""(message, field), or (message.enum, value)."""


class Composition:
    """A descriptor of all messages, made of Caffe's and of (provider, block) pairs.

    Where two declarations of one option differ, the message holds what either may, and a class that declared the block
    for itself has a message of its own in `views`, with its own defaults and types.
    """

    def __init__(self, blocks: Iterable[tuple[str, Block]], own: Iterable[tuple[str, Block]]):
        """`own` are the blocks that a class declares for itself. Raises PluginError for what cannot be read alike."""
        self.file = descriptor_pb2.FileDescriptorProto.FromString(netdef_pb2.DESCRIPTOR.serialized_pb)
        self.messages = {m.name: m for m in self.file.message_type}
        self.owners: dict[Key, list[str]] = {}
        """Who added it, in order; Caffe's own have none."""
        self.shared: dict[Key, list[str]] = {}
        """Who declared it outside a class; what only classes declare may be widened."""
        self.docs: dict[Key, str] = {}
        self.composed: dict[str, str] = {}
        """The message that each view is of."""
        own = _in_order(own)
        for provider, block in _in_order(blocks):
            self._add_block(provider, block, False)
        for provider, block in own:
            self._add_block(provider, block, True)
        self.views = {block: view for _, block in own if (view := self._view(block))}

    def _add_block(self, provider: str, block: Block, of_class: bool) -> None:
        if not block.name:
            self._add_message(provider, block.message, block, of_class)
            return
        layer = self.messages["LayerParameter"]
        there = next((f for f in layer.field if f.name == block.name), None)
        if there is not None and there.type != _Proto.TYPE_MESSAGE:
            raise PluginError(
                f"{provider}: '{block.name}' cannot name an option block: layers have a field of this name"
            )
        message = self._message_of(block)
        self._add_message(provider, message, block, of_class)
        if there is None:
            field = layer.field.add(name=block.name, number=_free_number(layer), label=_Proto.LABEL_OPTIONAL)
            field.type, field.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{message}"
            self.owners["LayerParameter", block.name] = []
        self._note("LayerParameter", block.name, provider, of_class)

    def _message_of(self, block: Block) -> str:
        """The message that a layer's block of this name is: the one that was there first."""
        fields = self.messages["LayerParameter"].field
        there = next((f for f in fields if f.name == block.name), None)
        return str(there.type_name.rsplit(".", 1)[-1]) if there else block.message

    def _add_message(self, provider: str, name: str, block: Block, of_class: bool) -> None:
        if name not in self.messages:
            self.messages[name] = self.file.message_type.add(name=name)
        for field in block.fields:
            self._add_field(provider, self.messages[name], field, of_class)

    def _add_field(self, provider: str, message: Any, field: Field, of_class: bool) -> None:
        key = (message.name, field.name)
        there = next((f for f in message.field if f.name == field.name), None)
        if isinstance(field.type, Block):
            self._add_message(provider, field.type.message, field.type, of_class)
        if isinstance(field.type, Enum):
            self._add_values(provider, message, _enum_name(there) or field.type.name, field.type, of_class)
        new = self._field(message, field, _enum_name(there))
        if there is None:
            new.number = _free_number(message)
            message.field.append(new)
            self.docs[key] = field.doc
            self.owners[key] = []
        elif not same(there, new):
            self._reconcile(provider, message, there, new, of_class)
        self._note(*key, provider, of_class)

    def _note(self, message: str, field: str, provider: str, of_class: bool) -> None:
        """Who declared it; Caffe's own fields have no owners, whoever declares them again."""
        owners = self.owners.get((message, field))
        if owners is not None and provider not in owners:
            owners.append(provider)
        if not of_class:
            self.shared.setdefault((message, field), []).append(provider)

    def _reconcile(self, provider: str, message: Any, there: Any, new: Any, of_class: bool) -> None:
        key = (message.name, there.name)
        caffes = of_class and key not in self.owners and there.type == new.type
        if caffes and (there.label, new.label) == (_Proto.LABEL_OPTIONAL, _Proto.LABEL_REPEATED):
            self._add_several(provider, message, new)
            return
        before, other = form(there), next(iter(self.owners.get(key, ())), "Caffe's schema")
        loose = key in self.owners and key not in self.shared
        try:
            widen(there, new) if loose else widen(_copy(there), new)
            if not of_class or (not loose and before[2] < new.label):
                raise PluginError(
                    "only a class that names the block in its `options` may have its own view of an option"
                )
        except PluginError as e:
            raise PluginError(
                f"option '{there.name}' of {message.name} is declared one way by {other}, another way by {provider}: "
                f"{e}; deny one of the two plugins"
            ) from None

    def _add_several(self, provider: str, message: Any, field: Any) -> None:
        """Room for several values of an option of which Caffe's schema has one."""
        name = several(field.name)
        if all(f.name != name for f in message.field):
            message.field.append(_copy(field))
            message.field[-1].name, message.field[-1].number = name, _free_number(message)
            self.owners[message.name, name] = []
        self._note(message.name, name, provider, True)

    def _add_values(self, provider: str, message: Any, name: str, enum: Enum, of_class: bool = True) -> None:
        there = next((e for e in message.enum_type if e.name == name), None)
        if there is None:
            there = message.enum_type.add(name=name)
            for value, number in enum.numbers.items():
                there.value.add(name=value, number=number)
            return
        for value in enum.values:
            if all(v.name != value for v in there.value):
                there.value.add(name=value, number=1 + max(v.number for v in there.value))
                self.owners[f"{message.name}.{name}", value] = []
            self._note(f"{message.name}.{name}", value, provider, of_class)

    def _field(self, message: Any, field: Field, enum: str = "") -> Any:
        """A field as it was declared; its number is left open."""
        new = _Proto(name=field.name, label=_Proto.LABEL_REPEATED if field.repeated else _Proto.LABEL_OPTIONAL)
        if isinstance(field.type, Block):
            new.type, new.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type.message}"
        elif isinstance(field.type, Enum):
            new.type, new.type_name = _Proto.TYPE_ENUM, f".{PACKAGE}.{message.name}.{enum or field.type.name}"
        elif scalar(field.type):
            new.type = getattr(_Proto, f"TYPE_{field.type.upper()}")
        elif field.type in self.messages:
            new.type, new.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type}"
        else:
            raise PluginError(f"option '{field.name}' has the type '{field.type}', which no message is named")
        if field.default is not None:
            new.default_value = _default_text(field.default)
        return new

    # -- views ------------------------------------------------------------------------------------------------------

    def _view(self, block: Block, message: str = "") -> str:
        """The name of a message that is the composed one but for what the block declares otherwise, if anything."""
        composed = self.messages[message or self._message_of(block)]
        view = descriptor_pb2.DescriptorProto()
        view.CopyFrom(composed)
        del view.enum_type[:]
        view.name = f"{composed.name}_{len(self.messages)}"
        changed = [self._declare(view, composed, field) for field in block.fields]
        if not any(changed):
            return ""
        self.docs |= {(view.name, field.name): field.doc for field in block.fields if field.doc}
        self.composed[view.name] = composed.name
        self.messages[view.name] = self.file.message_type.add()
        self.messages[view.name].CopyFrom(view)
        return view.name

    def _declare(self, view: Any, composed: Any, field: Field) -> bool:
        """Put a field as declared in the place of the composed one; whether that is a change."""
        there = next(f for f in view.field if f.name == field.name)
        declared = self._field(view, field)
        declared.number = there.number
        if isinstance(field.type, Enum):
            enum = next(e for e in composed.enum_type if e.name == _enum_name(there))
            if [(v.name, v.number) for v in enum.value] == list(field.type.numbers.items()):
                declared.type_name = there.type_name
            else:
                self._add_values("", view, field.type.name, field.type)
        if isinstance(field.type, Block) and (nested := self._view(field.type, field.type.message)):
            declared.type_name = f".{PACKAGE}.{nested}"
        if same(there, declared):
            return False
        there.CopyFrom(declared)
        return True


def _in_order(blocks: Iterable[tuple[str, Block]]) -> list[tuple[str, Block]]:
    """Whatever the order of loading, the schema is the same."""
    return sorted(blocks, key=lambda b: (b[1].name, b[1].message, b[0]))


def _copy(field: Any) -> Any:
    copy = _Proto()
    copy.CopyFrom(field)
    return copy


def _enum_name(field: Any) -> str:
    """The name of an enum field's enum; empty for another field."""
    return str(field.type_name.rsplit(".", 1)[-1]) if field is not None and field.type == _Proto.TYPE_ENUM else ""


def _free_number(message: Any) -> int:
    return max([FIRST_NUMBER, *(f.number + 1 for f in message.field)])


def _default_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
