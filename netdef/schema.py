"""The schema a prototxt is read with: our messages plus the option blocks of every plugin, composed at start."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from netdef_proto import netdef_pb2

from netdef.compose import PACKAGE, Composition
from netdef.errors import PluginError
from netdef.merge import read_as
from netdef.options import Block


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
        self._composition = Composition(blocks, own)
        self.pool = descriptor_pool.DescriptorPool()
        try:
            self.pool.AddSerializedFile(self._composition.file.SerializeToString())
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
        return [self.pool.FindEnumTypeByName(f"{PACKAGE}.{e.name}") for e in self._composition.file.enum_type]

    def declared(self, options: "str | Block | None", message: Any) -> Any:
        """A layer's option block as its class declared it: with its own defaults and types. Raises LayerError."""
        view = self._composition.views.get(options) if isinstance(options, Block) else None
        return message if view is None else read_as(message, self.message(view))

    def declared_type(self, options: "str | Block") -> Any:
        """The descriptor of a class's option block, as the class declared it."""
        if isinstance(options, Block) and options in self._composition.views:
            return self.message(self._composition.views[options]).DESCRIPTOR
        name = options.name if isinstance(options, Block) else options
        return self.message("LayerParameter").DESCRIPTOR.fields_by_name[name].message_type

    def owner(self, message: str, field: str) -> str | None:
        """Which provider added a field first; None for the schema's own."""
        return next(iter(self.owners(self.composed(message), field)), None)

    def owners(self, message: str, field: str) -> list[str]:
        """All that added a field, or the value of an enum ("PoolingParameter.PoolMethod", "LOWRES")."""
        return self._composition.owners.get((message, field), [])

    def shared_by(self, message: str, field: str) -> list[str]:
        """Those of them that declared it for others to read, outside a class."""
        return self._composition.shared.get((message, field), [])

    def added_by(self, provider: str) -> list[str]:
        """The "Message.field" that a provider added to messages of Caffe's schema, its option blocks among them."""
        own = {m.name for m in netdef_pb2.DESCRIPTOR.message_types_by_name.values()}
        return [
            f"{m}.{f}" for (m, f), providers in self._composition.owners.items() if m in own and provider in providers
        ]

    def doc(self, message: str, field: str) -> str:
        """What its plugin says of a field; empty for the schema's own, see netdef_proto.comments for those."""
        return self._composition.docs.get((message, field)) or self._composition.docs.get(
            (self.composed(message), field), ""
        )

    def composed(self, message: str) -> str:
        """The message that prototxts are read by, where this is one class's view of it."""
        return self._composition.composed.get(message, message)
