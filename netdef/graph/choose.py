"""Which class makes a layer, where several plugins provide its type; which options it would leave unread."""

from typing import Any

from google.protobuf.message import Message

from netdef.blame import blamed, named
from netdef.errors import LayerError, NetdefError, PluginError
from netdef.graph.arity import arity_fault
from netdef.graph.filter import place
from netdef.loading import distribution
from netdef.merge import option_of
from netdef.options import Block, Enum
from netdef.registry import Provided, Registry
from netdef.schema import Schema


def layer_class(layer: Any, registry: Registry) -> Any:
    """The class a layer is made by; see provider."""
    return provider(layer, registry).thing


def provider(layer: Any, registry: Registry) -> Provided:
    """The class a layer is made by, and its plugin.

    The user's word counts (NETDEF_PREFER); else, of several plugins that provide the type, the one whose class declares
    every option the layer sets and the counts it has, and whose `claims` says yes. Raises PluginError at the layer's
    place where that leaves none or several, and LayerError for an option that the class would pass over in silence: in
    its block, or, where others provide the type too, another plugin's block.
    """
    if not layer.type:
        raise PluginError(f"{place(layer)}: want a type, one of those that netdef layers lists")
    try:
        found = registry.find("layers", layer.type, lambda claim: refusal(layer, claim, registry))
    except PluginError as e:
        raise e.at(place(layer)) from None
    alone = len(registry.claims("layers", layer.type)) == 1
    unread = _unread(layer, found, registry, alone=alone)
    if unread:
        raise LayerError(f"{place(layer)}: {found.plugin.titled} {unread}")
    return found


def placed(error: BaseException, layer: Any, registry: Registry, kind: type[NetdefError] = LayerError) -> NetdefError:
    """What a layer's code raised, at the layer's place; what it did not mean to raise, with the plugin it came from."""
    if not isinstance(error, NetdefError):
        error = blamed(error, registry.culprit(error) or provider(layer, registry).plugin, kind)
    return error.at(place(layer))


def refusal(layer: Any, claim: Provided, registry: Registry) -> str:
    """Why a class is not meant for a layer; empty where it may be."""
    unread = _unread(layer, claim, registry, alone=False)
    wrong = unread or arity_fault(layer, claim.thing)
    if wrong:
        return wrong
    with named(f"{place(layer)}: claims", claim.plugin, LayerError):
        return "" if claim.thing.claims(layer) else "does not claim it"


def _unread(layer: Any, claim: Provided, registry: Registry, alone: bool) -> str:
    """An option that the layer sets and the class would not read; empty where there is none.

    Where the class is `alone`, blocks beside its own are passed over as Caffe does, for public nets are full of them,
    and what its distribution declares in its block for another class may be there: its author knows of both.
    """
    options = claim.thing.options
    own = options.name if isinstance(options, Block) else options
    for field, value in layer.ListFields():
        if field.name == own:
            unread = _unread_in(field.name, value, claim, registry.schema, alone)
        else:
            unread = "" if alone else _unread_elsewhere(field, value, claim, registry.schema)
        if unread:
            return unread
    return ""


def _unread_elsewhere(field: Any, value: Any, claim: Provided, schema: Schema) -> str:
    """The same for a field beside the class's own block, and for what others added to the block that it is."""
    if not _is_read(field, claim, schema):
        return f"does not read {field.name}"
    message = value.DESCRIPTOR.name if isinstance(value, Message) else ""
    for inner, _ in value.ListFields() if message else ():
        owners = schema.owners(message, inner.name)
        if owners and not _has(owners, claim):
            return f"does not read {inner.name} of {field.name}"
    return ""


def _unread_in(name: str, block: Any, claim: Provided, schema: Schema, alone: bool) -> str:
    options = claim.thing.options
    declared = {field.name: field for field in options.fields} if isinstance(options, Block) else {}
    for field, value in block.ListFields():
        option = option_of(field)
        if option not in declared and not _is_read(field, claim, schema, alone):
            return f"takes one {option} of {name}" if option != field.name else f"does not read {option} of {name}"
        if field.enum_type is not None:
            kind = declared[field.name].type if field.name in declared else None
            for word in _words(field, value):
                known = word in kind.values if isinstance(kind, Enum) else _is_word_of(word, field, claim, schema)
                if not known:
                    return f"does not know {field.name}: {word}"
    return ""


def _is_read(field: Any, claim: Provided, schema: Schema, alone: bool = False) -> bool:
    """Whether an option that the class does not declare itself means something to it.

    Caffe's own do, and what its distribution declares outside of classes. A class that names its block in words reads
    all of a plugin's block, and of Caffe's what its distribution declares there.
    """
    key, options = (field.containing_type.name, field.name), claim.thing.options
    owners = schema.owners(*key)
    if not owners or (alone and _has(owners, claim)):
        return True
    if isinstance(options, str) and key[0] != "LayerParameter":
        return bool(schema.owners("LayerParameter", options)) or _has(owners, claim)
    return _has(schema.shared_by(*key), claim)


def _is_word_of(name: str, field: Any, claim: Provided, schema: Schema) -> bool:
    """Whether a class may be given a word that it does not declare: declared outside classes, it is for all."""
    key = (f"{field.containing_type.name}.{field.enum_type.name}", name)
    return not schema.owners(*key) or bool(schema.shared_by(*key)) or _has(schema.owners(*key), claim)


def _words(field: Any, value: Any) -> list[str]:
    numbers = [value] if isinstance(value, int) else value
    return [field.enum_type.values_by_number[number].name for number in numbers]


def _has(owners: list[str], claim: Provided) -> bool:
    return any(distribution(owner) == claim.plugin.distribution for owner in owners)
