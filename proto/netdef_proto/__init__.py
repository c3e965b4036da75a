"""The protobuf schema of nets, solvers and snapshots, wire-compatible with BVLC Caffe's."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_OPEN = re.compile(r"(?:message|enum) (\w+) \{")
_ENTRY = re.compile(r"(?:(?:optional|required|repeated) [\w.]+ )?(\w+) = \d+")


@cache
def comments() -> Mapping[str, str]:
    """What netdef.proto says about each message, enum, field and value: {"LRNParameter.k": "What is added ..."}.

    Names are without the package; one that is not in the mapping has no comment.
    """
    found: dict[str, str] = {}
    inside: list[str] = []
    said: list[str] = []
    for line in map(str.strip, resources.files(__name__).joinpath("netdef.proto").read_text("utf-8").splitlines()):
        if line.startswith("//"):
            said.append(line.removeprefix("//").strip())
            continue
        opened = _OPEN.match(line)
        name = opened or _ENTRY.match(line)
        if name and said:
            found[".".join([*inside, name[1]])] = " ".join(said)
        if opened:
            inside.append(opened[1])
        elif line == "}":
            inside.pop()
        said = []
    return MappingProxyType(found)
