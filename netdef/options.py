"""How a plugin declares options: a named block of typed fields that joins the prototxt schema at start."""

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

SCALARS = ("int32", "int64", "uint32", "uint64", "float", "double", "bool", "string", "bytes")


@dataclass(frozen=True)
class Enum:
    """Named values, numbered from 0 in the order given."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One option. `type`: a scalar's name, an Enum, a nested Block, or the name of a message ("FillerParameter")."""

    name: str
    type: "str | Enum | Block"
    default: Any = None
    repeated: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Block:
    """A group of options: `permute_param { order: 0 order: 2 }` is Block("permute_param", [Field("order", ...)]).

    Where the schema already has a block of this name, the fields are added to it. `message` is the message's own
    name, by default made from the block's ("PermuteParameter"); it matters where two blocks share one message, and
    where there is no block at all: Block(message="SolverParameter", fields=...) adds fields to a message by its name.
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
