"""Prototxt text to messages and back, with FILE:LINE:COLUMN in every complaint."""

import logging
import os
import re
import stat
from collections.abc import Container
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from netdef.errors import PrototxtError
from netdef.merge import option_of
from netdef.prototxt.check import Checker, reworded
from netdef.prototxt.origin import clear_origins, set_origins
from netdef.prototxt.scan import Source, scan

__all__ = ["MAX_BYTES", "parse", "read", "write"]

M = TypeVar("M", bound=Message)

# a net with its weights as text stays below; what is larger is no prototxt, and reading it would take minutes
MAX_BYTES = 64 << 20

_log = logging.getLogger(__name__)


def read(
    path: str | os.PathLike[str],
    message_class: type[M],
    *,
    strict: bool = False,
    ignored: list[str] | None = None,
    training: bool = True,
    types: Container[str] | None = None,
) -> M:
    """The message in a prototxt file; see parse.

    UTF-8, where comments may hold any bytes. Raises PrototxtError for a file that is missing, empty, binary or larger
    than MAX_BYTES.
    """
    filename = os.fspath(path)
    text = _decode(_load(filename), filename)
    message = parse(text, message_class, filename, strict=strict, ignored=ignored, training=training, types=types)
    if not message.ListFields():
        raise PrototxtError(f"{filename}: no setting in this file; want a {message.DESCRIPTOR.name}")
    return message


def parse(
    text: str,
    message_class: type[M],
    filename: str = "<text>",
    *,
    strict: bool = False,
    ignored: list[str] | None = None,
    training: bool = True,
    types: Container[str] | None = None,
) -> M:
    """The message that a prototxt text spells, every layer with its netdef_origin.

    A setting of another Caffe build that cannot change a result is left out, and a note about it appended to `ignored`
    (logged as a warning without one); with `strict` it is an error like any other unknown setting. So is one that
    changes what is learnt and nothing else, unless the net is read for other things than `training`.
    `types` are the layer types that there are: an unknown setting of a layer of no such type is told with the layer.
    Raises PrototxtError.
    """
    source = Source(text.removeprefix("\ufeff"), filename)
    entries = scan(source)
    message = message_class()
    checker = Checker(source, strict, training, types)
    checker.check(entries, message.DESCRIPTOR)
    try:
        text_format.Parse(_renamed(_blank(source.text, checker.spans), checker.several), message)
    except Exception as error:  # protobuf documents ParseError alone, yet lets others through for odd escapes
        raise reworded(error, source, entries, message.DESCRIPTOR) from None
    set_origins(message, entries, source)
    _require(message, filename)
    _tell(checker.notes(), ignored)
    return message


def write(message: Message) -> str:
    """The text of a message, in the schema's field order and without netdef_origin; it parses to an equal message."""
    copy = type(message)()
    copy.CopyFrom(message)
    clear_origins(copy)
    text = text_format.MessageToString(copy, as_utf8=True, use_index_order=True)
    fields = (f for m in message.DESCRIPTOR.file.message_types_by_name.values() for f in m.fields)
    names = "|".join({f.name for f in fields if option_of(f) != f.name})
    return (
        re.sub(rf"^ *(?:{names})(?=[ :])", lambda found: found[0].lower(), text, flags=re.MULTILINE) if names else text
    )


def _load(filename: str) -> bytes:
    try:
        with open(filename, "rb") as file:
            status = os.fstat(file.fileno())
            # a pipe has no size, so what is read is bounded as well
            too_large = stat.S_ISREG(status.st_mode) and status.st_size > MAX_BYTES
            data = b"" if too_large else file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PrototxtError(f"{filename}: {error.strerror or error}") from None
    if too_large or len(data) > MAX_BYTES:
        raise PrototxtError(f"{filename}: larger than {MAX_BYTES >> 20} MiB; is this a prototxt?")
    return data


def _decode(data: bytes, filename: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise PrototxtError(f"{filename}: UTF-16 text; save it as UTF-8")
    if control := re.search(rb"[\0-\x08\x0e-\x19\x1c-\x1f]", data):
        raise PrototxtError(
            f"{filename}: binary (byte 0x{control[0][0]:02x} at {control.start()}), want prototxt text; "
            "weights and means are binary, nets and solvers are text"
        )
    return data.decode("utf-8", "surrogateescape")


def _blank(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with spaces for what is ignored, so that every place stays what it was."""
    parts, position = [], 0
    for start, end in sorted(spans):
        parts += [text[position:start], re.sub(r"[^\n]", " ", text[start:end])]
        position = end
    return "".join([*parts, text[position:]])


def _renamed(text: str, names: list[tuple[int, str]]) -> str:
    """The text with other names, of the same length, at some places."""
    parts, position = [], 0
    for start, name in sorted(names):
        parts += [text[position:start], name]
        position = start + len(name)
    return "".join([*parts, text[position:]])


def _require(message: Any, filename: str) -> None:
    missing = message.FindInitializationErrors()
    if not missing:
        return
    path = missing[0]  # such as layer[3].clip_param.min
    index = re.match(r"(layers?)\[(\d+)\]\.", path)
    place = getattr(message, index[1])[int(index[2])].netdef_origin if index else filename
    raise PrototxtError(f"{place}: {path.rpartition('.')[2]!r} is missing: {path} must be given")


def _tell(notes: list[str], ignored: list[str] | None) -> None:
    if ignored is not None:
        ignored += notes
        return
    for note in notes:
        _log.warning("%s", note)
