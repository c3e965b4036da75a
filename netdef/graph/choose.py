"""Which class makes a layer, where several plugins provide its type; which options it would leave unread."""

from typing import Any

from netdef.errors import LayerError, PluginError
from netdef.graph.arity import arity_fault
from netdef.graph.filter import place
from netdef.options import Block, Enum
from netdef.registry import Provided, Registry


def layer_class(layer: Any, registry: Registry) -> Any:
    """The class a layer is made by; see provider."""
    return provider(layer, registry).thing


def provider(layer: Any, registry: Registry) -> Provided:
    """The class a layer is made by, and its plugin.

    The user's word counts (NETDEF_PREFER); else, of several plugins that provide the type, the one whose class declares
    every option the layer sets and the counts it has, and whose `claims` says yes. Raises PluginError at the layer's
    place where that leaves none or several, and LayerError for an option of the block that the class does not read.
    """
    try:
        found = registry.find("layers", layer.type, lambda claim: refusal(layer, claim, registry))
    except PluginError as e:
        raise e.at(place(layer)) from None
    unread = _unread(layer, found, registry, own_block_only=True)
    if unread:
        raise LayerError(f"{place(layer)}: {found.plugin.titled} {unread}")
    return found


def refusal(layer: Any, claim: Provided, registry: Registry) -> str:
    """Why a class is not meant for a layer; empty where it may be."""
    unread = _unread(layer, claim, registry, own_block_only=False)
    wrong = unread or arity_fault(layer, claim.thing)
    if wrong:
        return wrong
    return "" if claim.thing.claims(layer) else "does not claim it"


def _unread(layer: Any, claim: Provided, registry: Registry, own_block_only: bool) -> str:
    """An option that the layer sets and the class would not read; empty where there is none."""
    options = claim.thing.options
    own = options.name if isinstance(options, Block) else options
    for field, value in layer.ListFields():
        if field.name == own:
            unread = _unread_in(value, claim, registry)
        else:
            foreign = not own_block_only and _is_foreign(registry.schema.owners(*_key(field)), claim)
            unread = f"does not read {field.name}" if foreign else ""
        if unread:
            return unread
    return ""


def _unread_in(block: Any, claim: Provided, registry: Registry) -> str:
    """Options that another distribution added to the block mean nothing to the class, unless it declares them too."""
    options = claim.thing.options
    declared = {field.name: field for field in options.fields} if isinstance(options, Block) else {}
    for field, value in block.ListFields():
        if field.name not in declared and _is_foreign(registry.schema.owners(*_key(field)), claim):
            return f"does not read {field.name} of {block.DESCRIPTOR.name}"
        if field.enum_type is not None:
            kind = declared[field.name].type if field.name in declared else None
            known = kind.values if isinstance(kind, Enum) else ()
            for number in value if _is_list(value) else [value]:
                name = field.enum_type.values_by_number[number].name
                enum = f"{block.DESCRIPTOR.name}.{field.enum_type.name}"
                if name not in known and _is_foreign(registry.schema.owners(enum, name), claim):
                    return f"does not know {field.name}: {name}"
    return ""


def _is_foreign(owners: list[str], claim: Provided) -> bool:
    """Whether an option was added, and only by other distributions."""
    return bool(owners) and all(_distribution(owner) != claim.plugin.distribution for owner in owners)


def _distribution(plugin: str) -> str:
    return plugin if plugin.startswith("file:") else plugin.split(":")[0]


def _key(field: Any) -> tuple[str, str]:
    return field.containing_type.name, field.name


def _is_list(value: Any) -> bool:
    return not isinstance(value, int | str)
