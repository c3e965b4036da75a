"""The schema a prototxt is read with: our messages plus the option blocks of every plugin, composed at start."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from netdef_proto import netdef_pb2

from netdef.errors import PluginError
from netdef.merge import form, read_as, same, widen
from netdef.options import Block, Enum, Field, scalar

PACKAGE = "netdef"
FIRST_NUMBER = 20000  # of plugins' fields: names are what a prototxt holds, so numbers only have to be free
_Proto = descriptor_pb2.FieldDescriptorProto


class Schema:
    """Message classes by name, made in a private pool so that two schemas can live side by side.

    Plugins may declare one option twice. Declared alike, it is one. Two classes that contradict each other in its
    default, or in a type that something wider holds (uint32 and int32, one and repeated), each get their own:
    prototxts are read by the wider, and `declared` gives a class its options as it declared them. What cannot be read
    alike (a number, a block) is a PluginError that names both. Options outside a class must be declared alike, as
    nobody says who reads them.
    """

    def __init__(self, blocks: Iterable[tuple[str, Block]] = (), own: Iterable[tuple[str, Block]] = ()):
        """(provider, block) pairs: `own` are those that a class declares for itself, `blocks` all others."""
        self._file = descriptor_pb2.FileDescriptorProto.FromString(netdef_pb2.DESCRIPTOR.serialized_pb)
        self._messages = {m.name: m for m in self._file.message_type}
        self._owners: dict[tuple[str, str], list[str]] = {}
        self._docs: dict[tuple[str, str], str] = {}
        self._shared: dict[tuple[str, str], list[str]] = {}
        """Who declared a field outside a class; what only classes declare may be widened."""
        self._composed: dict[str, str] = {}
        own = _in_order(own)
        for provider, block in _in_order(blocks):
            self._add_block(provider, block, False)
        for provider, block in own:
            self._add_block(provider, block, True)
        self._views = {block: view for _, block in own if (view := self._view(block))}
        self.pool = descriptor_pool.DescriptorPool()
        try:
            self.pool.AddSerializedFile(self._file.SerializeToString())
        except TypeError as e:
            raise PluginError(f"options that make no schema: {e}") from None
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

    def declared(self, options: "str | Block | None", message: Any) -> Any:
        """A layer's option block as its class declared it: with its own defaults and types. Raises LayerError."""
        view = self._views.get(options) if isinstance(options, Block) else None
        return message if view is None else read_as(message, self.message(view))

    def declared_type(self, options: "str | Block") -> Any:
        """The descriptor of a class's option block, as the class declared it."""
        if isinstance(options, Block) and options in self._views:
            return self.message(self._views[options]).DESCRIPTOR
        name = options.name if isinstance(options, Block) else options
        return self.message("LayerParameter").DESCRIPTOR.fields_by_name[name].message_type

    def owner(self, message: str, field: str) -> str | None:
        """Which provider added a field first; None for the schema's own."""
        return next(iter(self.owners(self.composed(message), field)), None)

    def owners(self, message: str, field: str) -> list[str]:
        """All that added a field, or the value of an enum ("PoolingParameter.PoolMethod", "LOWRES")."""
        return self._owners.get((message, field), [])

    def shared_by(self, message: str, field: str) -> list[str]:
        """Those of them that declared it for others to read, outside a class."""
        return self._shared.get((message, field), [])

    def added_by(self, provider: str) -> list[str]:
        """The "Message.field" that a provider added to messages of Caffe's schema, its option blocks among them."""
        own = {m.name for m in netdef_pb2.DESCRIPTOR.message_types_by_name.values()}
        return [f"{m}.{f}" for (m, f), providers in self._owners.items() if m in own and provider in providers]

    def doc(self, message: str, field: str) -> str:
        """What its plugin says of a field; empty for the schema's own, see netdef_proto.comments for those."""
        return self._docs.get((message, field)) or self._docs.get((self.composed(message), field), "")

    def composed(self, message: str) -> str:
        """The message that prototxts are read by, where this is one class's view of it."""
        return self._composed.get(message, message)

    # -- composing --------------------------------------------------------------------------------------------------

    def _add_block(self, provider: str, block: Block, of_class: bool) -> None:
        if not block.name:
            self._add_message(provider, block.message, block, of_class)
            return
        layer = self._messages["LayerParameter"]
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
            self._owners["LayerParameter", block.name] = []
        self._note("LayerParameter", block.name, provider, of_class)

    def _message_of(self, block: Block) -> str:
        """The message that a layer's block of this name is: the one that was there first."""
        fields = self._messages["LayerParameter"].field
        there = next((f for f in fields if f.name == block.name), None)
        return str(there.type_name.rsplit(".", 1)[-1]) if there else block.message

    def _add_message(self, provider: str, name: str, block: Block, of_class: bool) -> None:
        if name not in self._messages:
            self._messages[name] = self._file.message_type.add(name=name)
        for field in block.fields:
            self._add_field(provider, self._messages[name], field, of_class)

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
            self._docs[key] = field.doc
            self._owners[key] = []
        elif not same(there, new):
            self._reconcile(provider, message, there, new, of_class)
        self._note(*key, provider, of_class)

    def _note(self, message: str, field: str, provider: str, of_class: bool) -> None:
        """Who declared it; Caffe's own fields have no owners, whoever declares them again."""
        owners = self._owners.get((message, field))
        if owners is not None and provider not in owners:
            owners.append(provider)
        if not of_class:
            self._shared.setdefault((message, field), []).append(provider)

    def _reconcile(self, provider: str, message: Any, there: Any, new: Any, of_class: bool) -> None:
        before, other = form(there), self.owner(message.name, there.name) or "Caffe's schema"
        key = (message.name, there.name)
        loose = key in self._owners and key not in self._shared
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
                self._owners[f"{message.name}.{name}", value] = []
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
        elif field.type in self._messages:
            new.type, new.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type}"
        else:
            raise PluginError(f"option '{field.name}' has the type '{field.type}', which no message is named")
        if field.default is not None:
            new.default_value = _default_text(field.default)
        return new

    # -- views ------------------------------------------------------------------------------------------------------

    def _view(self, block: Block, message: str = "") -> str:
        """The name of a message that is the composed one but for what the block declares otherwise, if anything."""
        composed = self._messages[message or self._message_of(block)]
        view = descriptor_pb2.DescriptorProto()
        view.CopyFrom(composed)
        del view.enum_type[:]
        view.name = f"{composed.name}_{len(self._messages)}"
        changed = [self._declare(view, composed, field) for field in block.fields]
        if not any(changed):
            return ""
        self._docs |= {(view.name, field.name): field.doc for field in block.fields if field.doc}
        self._composed[view.name] = composed.name
        self._messages[view.name] = self._file.message_type.add()
        self._messages[view.name].CopyFrom(view)
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
