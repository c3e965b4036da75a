"""Two declarations of one option: one field that holds what either may, and each one's own view of it."""

from typing import Any

from google.protobuf import descriptor_pb2

from netdef.errors import LayerError, PluginError
from netdef.options import several

Proto = descriptor_pb2.FieldDescriptorProto
_REPEATED = Proto.LABEL_REPEATED
_WHOLE = (Proto.TYPE_INT32, Proto.TYPE_UINT32, Proto.TYPE_INT64, Proto.TYPE_UINT64)
_NUMBERS = (*_WHOLE, Proto.TYPE_FLOAT, Proto.TYPE_DOUBLE)


def same(a: Any, b: Any) -> bool:
    """Whether two fields mean the same to who reads them."""
    return form(a) == form(b) and a.default_value == b.default_value


def form(field: Any) -> tuple[Any, ...]:
    """How it is read, the default apart."""
    return field.type, field.type_name, field.label


def widen(there: Any, new: Any) -> None:
    """Make `there` hold what `new` may hold too. Raises PluginError where no field holds both."""
    there.type = wider(there, new)
    there.label = max(there.label, new.label)  # optional 1, repeated 3
    if there.label == _REPEATED:
        there.ClearField("default_value")


def wider(a: Any, b: Any) -> Any:
    """The type that holds both: of whole numbers int64, of numbers double. Raises PluginError for other pairs."""
    if (a.type, a.type_name) == (b.type, b.type_name):
        return a.type
    if a.type in _WHOLE and b.type in _WHOLE:
        return Proto.TYPE_INT64
    if a.type in _NUMBERS and b.type in _NUMBERS:
        return Proto.TYPE_DOUBLE
    raise PluginError(f"{spelled(a)} cannot be read as {spelled(b)}")


def spelled(field: Any) -> str:
    """ "repeated uint32", "BNParameter"."""
    name = field.type_name.rsplit(".", 1)[-1] or Proto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"{'repeated ' if field.label == _REPEATED else ''}{name}"


def read_as(message: Any, view: Any) -> Any:
    """A message as another message class of the same field names sees it; what is not set stays so.

    Raises LayerError for a value that the class does not take: two where it takes one, a fraction, an enum's name.
    """
    out = view()
    for field, value in message.ListFields():
        to = view.DESCRIPTOR.fields_by_name[option_of(field)]
        given = list(value) if _is_repeated(field) else [value]
        if not _is_repeated(to) and len(given) > 1:
            raise LayerError(f"option '{to.name}' takes one value, got {len(given)}")
        if to.message_type is not None:
            _copy_messages(given, out, to)
            continue
        read = [_read(x, field, to) for x in given]
        try:
            if _is_repeated(to):
                getattr(out, to.name).extend(read)
            else:
                setattr(out, to.name, read[0])
        except (TypeError, ValueError) as e:
            raise LayerError(f"option '{to.name}': {e}") from None
    return out


def option_of(field: Any) -> str:
    """The name of the option whose values a field of a composed message holds: its own, or of `several`."""
    plain = str(field.name.lower())
    return plain if field.name == several(plain) and plain in field.containing_type.fields_by_name else str(field.name)


def _copy_messages(given: list[Any], out: Any, to: Any) -> None:
    for message in given:
        child = getattr(out, to.name)
        child = child.add() if _is_repeated(to) else child
        child.SetInParent()
        same_type = message.DESCRIPTOR is child.DESCRIPTOR
        child.CopyFrom(message if same_type else read_as(message, type(child)))


def _read(x: Any, field: Any, to: Any) -> Any:
    if to.enum_type is not None:
        name = field.enum_type.values_by_number[x].name
        if name not in to.enum_type.values_by_name:
            raise LayerError(f"option '{to.name}' takes {', '.join(to.enum_type.values_by_name)}; got {name}")
        return to.enum_type.values_by_name[name].number
    if isinstance(x, float) and to.cpp_type not in (to.CPPTYPE_FLOAT, to.CPPTYPE_DOUBLE):
        if not x.is_integer():
            raise LayerError(f"option '{to.name}' takes a whole number, got {x:g}")
        return int(x)
    return x


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)
