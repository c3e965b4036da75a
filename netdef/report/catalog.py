"""What the registry holds, as plain data: layer types with their options, and plugins with what became of them."""

import inspect
from dataclasses import dataclass
from typing import Any

import netdef_proto

from netdef.graph.arity import spelled
from netdef.layer import Layer, Loss, Metric, Source
from netdef.merge import option_of
from netdef.options import Block
from netdef.prototxt.check import is_repeated
from netdef.registry import Plugin, Provided, Registry


@dataclass
class Option:
    """A field of an option block. `type` is a scalar's name, "enum" or a message's; default None where it has none."""

    name: str
    type: str
    repeated: bool
    default: Any
    values: list[str]
    """An enum's names."""
    doc: str
    plugin: str
    """Which plugin added it; empty for Caffe's own."""


@dataclass
class LayerType:
    """A layer type as one plugin provides it."""

    type: str
    plugin: str
    version: str
    bottoms: str
    tops: str
    in_place: bool
    onnx: str
    """"yes", "no", or "left out": no part of an exported model."""
    summary: str


@dataclass
class LayerDetails(LayerType):
    """The same with everything that its class and its option block say."""

    doc: str
    aliases: list[str]
    loss: bool
    block: str
    """The option block's name in a layer; empty where there is none."""
    options: dict[str, list[Option]]
    """By message, the block's own first, then those that its fields are made of, then those of `also`."""
    also: dict[str, str]
    """Blocks beside its own that it reads, by message."""


@dataclass
class PluginState:
    """A plugin found, and what became of it: "loaded", "denied", "failed" (nothing came of it) or "in part"."""

    name: str
    distribution: str
    version: str
    module: str
    state: str
    ms: float
    """What loading it took; what several plugins import counts for the first of them."""
    provides: dict[str, list[str]]
    shared: dict[str, list[str]]
    """Layer types that other plugins provide too, and which."""
    error: str


def layers(registry: Registry) -> list[LayerType]:
    """Every type once for each plugin that claims it, by name."""
    return [_layer(name, c) for name in registry.names("layers") for c in registry.claims("layers", name)]


def layer(registry: Registry, name: str) -> list[LayerDetails]:
    """One type, once for each plugin that claims it. Raises PluginError with the nearest name for none."""
    claims = registry.claims("layers", name) or [registry.find("layers", name)]
    return [_details(registry, name, c) for c in claims]


def plugins(registry: Registry) -> list[PluginState]:
    """What became of each, by name."""
    _ = registry.schema  # a plugin whose options do not fit in fails here
    return [
        PluginState(
            p.name,
            p.distribution,
            p.version,
            p.module,
            _state(p),
            round(p.ms, 1),
            p.provides,
            _shared(registry, p),
            p.error,
        )
        for p in sorted(registry.plugins, key=lambda p: p.name)
    ]


def _shared(registry: Registry, plugin: Plugin) -> dict[str, list[str]]:
    types = plugin.provides.get("layers", [])
    others = {t: [c.plugin.name for c in registry.claims("layers", t) if c.plugin is not plugin] for t in types}
    return {t: names for t, names in others.items() if names}


def _state(plugin: Plugin) -> str:
    if plugin.denied:
        return "denied"
    if not plugin.error:
        return "loaded"
    return "in part" if plugin.provides else "failed"


def _layer(name: str, claim: Provided) -> LayerType:
    cls, plugin = claim.thing, claim.plugin
    doc = inspect.cleandoc(cls.__doc__ or "")
    return LayerType(
        name,
        plugin.name,
        plugin.version,
        spelled(cls.bottoms),
        spelled(cls.tops),
        cls.in_place,
        _onnx(cls),
        " ".join(doc.split("\n\n")[0].split()),
    )


def _onnx(cls: Any) -> str:
    if issubclass(cls, Loss | Metric | Source) and cls.role != "input":
        return "left out"
    return "no" if cls.to_onnx is Layer.to_onnx and not cls.role else "yes"


def _details(registry: Registry, name: str, claim: Provided) -> LayerDetails:
    cls = claim.thing
    names = [n for n in (cls.type, *cls.aliases) if n != name]
    block = cls.options.name if isinstance(cls.options, Block) else cls.options or ""
    options = _messages(registry, cls.options) if cls.options else {}
    for other in cls.also:
        options |= _messages(registry, other)
    also = {registry.schema.declared_type(other).name: other for other in cls.also}
    doc = inspect.cleandoc(cls.__doc__ or "")
    return LayerDetails(
        **vars(_layer(name, claim)), doc=doc, aliases=names, loss=cls.is_loss, block=block, options=options, also=also
    )


def _messages(registry: Registry, options: str | Block) -> dict[str, list[Option]]:
    found: dict[str, list[Option]] = {}
    left = [registry.schema.declared_type(options)]
    while left:
        message = left.pop(0)
        if message.name not in found:
            # what holds several values of an option is no option itself
            fields = [field for field in message.fields if option_of(field) == field.name]
            found[message.name] = [_option(registry, message, field) for field in fields]
            left += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def _option(registry: Registry, message: Any, field: Any) -> Option:
    schema = registry.schema
    doc = schema.doc(message.name, field.name) or _comments().get(f"{schema.composed(message.name)}.{field.name}", "")
    values = [value.name for value in field.enum_type.values] if field.enum_type is not None else []
    default = field.default_value if field.has_default_value else None
    if values and default is not None:
        default = field.enum_type.values_by_number[default].name
    owner = schema.owner(message.name, field.name) or ""
    return Option(field.name, _type(field), is_repeated(field), default, values, doc, owner)


def _type(field: Any) -> str:
    """A scalar's name as a schema spells it, "enum", or a message's own name."""
    if field.message_type is not None:
        return str(field.message_type.name)
    names = {getattr(field, name): name for name in dir(field) if name.startswith("TYPE_")}
    return names[field.type].removeprefix("TYPE_").lower()


def _comments() -> dict[str, str]:
    comments = getattr(netdef_proto, "comments", dict)
    return comments()
