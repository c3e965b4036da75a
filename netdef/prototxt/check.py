"""Names and values of scanned text held against a message's descriptor."""

import difflib
from collections import Counter
from collections.abc import Container
from typing import Any

from google.protobuf import text_format

from netdef import known
from netdef.errors import NetdefError, PrototxtError
from netdef.options import several
from netdef.prototxt import harmless
from netdef.prototxt.scan import Entry, Source, Value, scalars

_WANTED = {
    "INT32": "a whole number",
    "INT64": "a whole number",
    "UINT32": "a whole number from 0 to 4294967295",
    "UINT64": "a whole number from 0",
    "FLOAT": "a number",
    "DOUBLE": "a number",
    "BOOL": "true or false",
    "STRING": "text in quotes",
}


def is_repeated(field: Any) -> bool:
    """Whether a FieldDescriptor is repeated: protobuf 7 has no `label`, protobuf 4 and 5 no `is_repeated`."""
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def wanted(field: Any) -> str:
    """What a scalar field takes, in words."""
    kinds = {getattr(field, f"CPPTYPE_{kind}"): words for kind, words in _WANTED.items()}
    return kinds.get(field.cpp_type, "another value")


class Checker:
    """Walks entries beside a descriptor; collects what is ignored, raises what is wrong."""

    def __init__(self, source: Source, strict: bool, training: bool, types: Container[str] | None) -> None:
        self.source = source
        self.strict = strict
        self.training = training
        self.types = types
        self._layer: list[Entry] = []
        self.spans: list[tuple[int, int]] = []
        self.several: list[tuple[int, str]] = []
        """Where an option has another name than it is given."""
        self._notes: dict[tuple[str, str], list[int]] = {}

    def notes(self) -> list[str]:
        """One line for each thing ignored: its first place, the reason, how often it occurs."""
        return [
            f"{self.source.place(starts[0])}: ignored {what}{f', {len(starts)} times' if starts[1:] else ''}: {reason}"
            for (what, reason), starts in self._notes.items()
        ]

    def check(self, entries: list[Entry], message: Any) -> None:
        seen: dict[str, Entry] = {}
        counts = Counter(entry.name for entry in entries)
        for entry in entries:
            field = message.fields_by_name.get(entry.name)
            if field is None:
                self._ignore(entry, self._reason(entry, message), self._unknown(entry, message))
            elif is_repeated(field) or self._several(entry, message, counts) or self._once(entry, message, seen):
                for value in entry.values:
                    self._value(entry, value, field, message)

    def _several(self, entry: Entry, message: Any, counts: Counter[str]) -> bool:
        """Whether an option of one value is given more than once and a plugin takes it, see options.several."""
        if several(entry.name) not in message.fields_by_name or not (entry.listed or counts[entry.name] > 1):
            return False
        self.several.append((entry.start, several(entry.name)))
        return True

    def _once(self, entry: Entry, message: Any, seen: dict[str, Entry]) -> bool:
        where = f"{entry.name!r} in {message.name}"
        if entry.listed:
            error = self.source.error(entry.start, f"{where} takes one value, not a list")
            self._ignore(entry, harmless.unknown_list(message.name, entry.name), error)
            return False
        first = seen.setdefault(entry.name, entry)
        if first is not entry:
            line = self.source.line(first.start)
            hint = known.of_field(message.name, several(entry.name))
            error = self.source.error(entry.start, f"{where} takes one value, but line {line} gives it already{hint}")
            raise error
        return True

    def _value(self, entry: Entry, value: Value, field: Any, message: Any) -> None:
        if field.message_type is not None:
            if value.entries is None:
                raise self._misfit(entry, value, message, "a block { }")
            outer = self._layer
            self._layer = value.entries if field.message_type.name == "LayerParameter" else outer
            self.check(value.entries, field.message_type)
            self._layer = outer
        elif value.entries is not None:
            raise self._misfit(entry, value, message, wanted(field))
        elif field.enum_type is not None:
            self._enum(entry, value, field.enum_type, message)

    def _enum(self, entry: Entry, value: Value, enum: Any, message: Any) -> None:
        text = self._text(value)
        if text in enum.values_by_name or (text.isdecimal() and int(text) in enum.values_by_number):
            return
        error = self._misfit(entry, value, message, _choice(text.strip("\"'"), list(enum.values_by_name)))
        self._ignore(entry, harmless.unknown_value(entry.name, text), error)

    def _misfit(self, entry: Entry, value: Value, message: Any, want: str) -> NetdefError:
        got = self._text(value) if value.entries is None else "a block"
        return self.source.error(value.start, f"{entry.name!r} in {message.name} takes {want}, got {got}")

    def _ignore(self, entry: Entry, reason: str | None, error: NetdefError) -> None:
        if reason is None or self.strict:
            raise error
        self.spans.append((entry.start, entry.end))
        shown = " ".join(self.source.text[entry.start : entry.end].split()).rstrip(",;")
        if any(value.entries is not None for value in entry.values):
            shown = f"{entry.name} {{ }}"
        self._notes.setdefault((shown, reason), []).append(entry.start)

    def _reason(self, entry: Entry, message: Any) -> str | None:
        """Why an unknown field may be ignored; None where it may not."""
        reason = harmless.unknown_field(message.name, entry.name)
        return reason or (None if self.training else harmless.training_field(message.name, entry.name))

    def _said(self, name: str) -> str:
        """A text that the layer at hand gives for a setting; empty where it gives none."""
        found = [self._text(e.values[0]) for e in self._layer if e.name == name and e.values]
        return found[0].strip("\"'") if found else ""

    def _unprovided(self) -> str:
        """The type of the layer at hand, where it has one that is nobody's."""
        kind = self._said("type")
        return "" if self.types is None or kind in self.types else kind

    def _unknown(self, entry: Entry, message: Any) -> NetdefError:
        known_to = known.of_field(message.name, entry.name)
        if trains := harmless.training_field(message.name, entry.name):
            hint = f"; netdef does not train by it ({trains}); take it out to train without"
            return self.source.error(entry.start, f"unknown field {entry.name!r} in {message.name}{hint}")
        if kind := "" if known_to else self._unprovided():
            layer = f"layer '{self._said('name')}' ({kind})"
            hint = known.of_type(kind) or "; no plugin provides this type"
            return self.source.error(entry.start, f"{layer}: unknown field {entry.name!r} in {message.name}{hint}")
        near = None if known_to else _nearest(entry.name, list(message.fields_by_name))
        owners = [m.name for m in message.file.message_types_by_name.values() if entry.name in m.fields_by_name]
        hint = f"; did you mean {near!r}?" if near else ""
        if known_to:
            hint = known_to
        elif owners:
            hint += f"{' It' if near else '; it'} belongs to {', '.join(owners[:4])}"
        elif not near and entry.name.endswith("_param"):
            hint = "; no plugin here declares it"
        return self.source.error(entry.start, f"unknown field {entry.name!r} in {message.name}{hint}")

    def _text(self, value: Value) -> str:
        return self.source.text[value.start : value.end][:80]


def _nearest(name: str, names: list[str]) -> str | None:
    """The name most like it; of two option blocks only what stands before _param is compared."""
    cut = "_param" if name.endswith("_param") else ""
    stems = [other.removesuffix(cut) for other in names if other.endswith(cut)]
    near = difflib.get_close_matches(name.removesuffix(cut), stems, 1, 0.8 if cut else 0.75)
    return near[0] + cut if near else None


def _choice(text: str, names: list[str]) -> str:
    near = difflib.get_close_matches(text.upper(), names, 1, 0.6)
    listed = ", ".join(names) if len(names) <= 8 else f"one of {len(names)} names"
    return listed + (f" (did you mean {near[0]}?)" if near else "")


def reworded(error: Exception, source: Source, entries: list[Entry], message: Any) -> NetdefError:
    """Our complaint about the scalar at the place where protobuf gave up."""
    line = error.GetLine() if isinstance(error, text_format.ParseError) else None
    if line is None:
        return PrototxtError(f"{source.filename}: {error}")
    assert isinstance(error, text_format.ParseError)
    at = source.offset(line, error.GetColumn() or 1)
    near = [pair for pair in scalars(entries) if pair[1].start <= at]
    if not near:
        return source.error(at, str(error).split(" : ", 1)[-1])
    entry, value = near[-1]
    field, owner = _field_at(entries, value.start, message)
    if field is None:
        return source.error(at, str(error).split(" : ", 1)[-1])
    shown = source.text[value.start : value.end][:80]
    return source.error(value.start, f"{entry.name!r} in {owner.name} takes {wanted(field)}, got {shown}")


def _field_at(entries: list[Entry], at: int, message: Any) -> tuple[Any, Any]:
    for entry in entries:
        for value in entry.values:
            if value.start <= at < value.end:
                field = message.fields_by_name.get(entry.name)
                if value.entries is None or field is None:
                    return field, message
                return _field_at(value.entries, at, field.message_type)
    return None, message
