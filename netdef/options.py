"""How a plugin declares options: a named block of typed fields that joins the prototxt schema at start."""

import re
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from netdef.errors import PluginError
from netdef.names import nearest

INTEGERS = {
    "int32": (-(1 << 31), 1 << 31),
    "int64": (-(1 << 63), 1 << 63),
    "uint32": (0, 1 << 32),
    "uint64": (0, 1 << 64),
}
"""Kinds of whole numbers, each with its range (the end excluded)."""
SCALARS = (*INTEGERS, "float", "double", "bool", "string", "bytes")


@dataclass(frozen=True)
class Enum:
    """Named values, numbered in the order given; `first` is the first one's number, as prototxts may give numbers."""

    name: str
    values: tuple[str, ...]
    first: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        for name in (self.name, *self.values):
            _check_name(name, "an enum or a value of one")
        if not self.values:
            raise PluginError(f"enum '{self.name}' has no values")

    @property
    def numbers(self) -> dict[str, int]:
        """Each value's number."""
        return {value: self.first + k for k, value in enumerate(self.values)}


@dataclass(frozen=True)
class Field:
    """One option. `type`: a scalar's name, an Enum, a nested Block, or the name of a message ("FillerParameter").

    `default` is what a prototxt that leaves it out means: None for 0, false, "" or an enum's first value. Raises
    PluginError for a name or a default that no prototxt could hold.
    """

    name: str
    type: "str | Enum | Block"
    default: Any = None
    repeated: bool = False
    doc: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name, "an option")
        want = "" if self.default is None else self._wanted()
        if want:
            raise PluginError(f"option '{self.name}' has default {self.default!r}; want {want}")

    def _wanted(self) -> str:
        """What the default should have been; empty where it is right."""
        kind, x = self.type, self.default
        if self.repeated:
            return "none: a repeated option is empty where it is not given"
        if isinstance(kind, Enum):
            return "" if x in kind.values else f"one of {', '.join(kind.values)}"
        if kind in INTEGERS:
            low, high = INTEGERS[str(kind)]
            fits = isinstance(x, int) and not isinstance(x, bool) and low <= x < high
            return "" if fits else f"a whole number that fits {kind}"
        if isinstance(kind, Block) or not scalar(kind):
            return "none: a block has its own fields' defaults"
        number: tuple[type, ...] = (int, float)
        kinds = {"float": number, "double": number, "bool": (bool,), "string": (str,), "bytes": (str,)}
        fits = isinstance(x, kinds[str(kind)]) and (kind == "bool" or not isinstance(x, bool))
        return "" if fits else f"a value of type {kind}"


@dataclass(frozen=True)
class Block:
    """A group of options: `permute_param { order: 0 order: 2 }` is Block("permute_param", [Field("order", ...)]).

    Where the schema already has a block of this name, the fields are added to it. `message` is the message's own
    name, by default made from the block's ("PermuteParameter"); it matters where two blocks share one message, and
    where there is no block at all: Block(message="SolverParameter", fields=...) adds fields to a message by its name.

    Blocks of one name from several plugins are read as one that holds the fields of all. A class that names its own
    Block in `options` still gets its own defaults and types, whatever the others declare; see netdef.schema.

    A class may also take several values of an option of which Caffe's schema has one: then a prototxt may give it more
    than once, and only classes that say so make such a layer. `claims` sees those values in capitals, see `several`.
    """

    name: str = ""
    fields: tuple[Field, ...] = attribute(default=())
    message: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))
        if not self.message:
            stem = self.name.removesuffix("_param")
            object.__setattr__(self, "message", "".join(w.capitalize() for w in stem.split("_")) + "Parameter")
        for name in filter(None, (self.name, self.message)):
            _check_name(name, "a block or message")
        names = [field.name for field in self.fields]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise PluginError(f"{self.name or self.message} declares option '{twice}' twice")


def several(name: str) -> str:
    """The field that holds an option given more than once, where Caffe's schema has one value: KERNEL_SIZE.

    The option itself stays as it was, so that scripts may still set it. Of the same length, so places in texts stay.
    """
    return name.upper()


def scalar(name: str) -> bool:
    """Whether it names a scalar. Raises PluginError for what looks like one misspelt."""
    if name not in SCALARS and name == name.lower():
        raise PluginError(
            f"unknown type '{name}'{nearest(name, SCALARS)}; want {', '.join(SCALARS)} or a message's name"
        )
    return name in SCALARS


def _check_name(name: str, what: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise PluginError(f"'{name}' cannot name {what}; want letters, digits and underscores, not a digit first")
