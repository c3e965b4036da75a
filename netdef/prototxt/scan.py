"""The places of prototxt text: a light scan into named entries that know where each name and value stands."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from netdef.errors import NetdefError, PrototxtError

# no net nests deeper than about six; the bound keeps a hostile file from exhausting the stack
MAX_DEPTH = 100

_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*+)*+(?:
      (?P<string>"(?:[^"\\\n]|\\[^\n])*+"|'(?:[^'\\\n]|\\[^\n])*+')
    | (?P<word>[\w.+-]++)
    | (?P<mark>[{}<>\[\]:,;])
    | (?P<end>\Z)
    | (?P<bad>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_CLOSER = {"{": "}", "<": ">", "[": "]"}
_SURROGATE = re.compile("[\udc80-\udcff]")


class Source:
    """Text with a name, which turns an offset into FILE:LINE:COLUMN, both counted from 1."""

    def __init__(self, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename
        self._lines = [0, *(m.end() for m in re.finditer("\n", text))]

    def line(self, offset: int) -> int:
        return bisect_right(self._lines, offset)

    def place(self, offset: int) -> str:
        line = self.line(offset)
        return f"{self.filename}:{line}:{offset - self._lines[line - 1] + 1}"

    def offset(self, line: int, column: int) -> int:
        return self._lines[min(line, len(self._lines)) - 1] + column - 1

    def error(self, offset: int, message: str) -> NetdefError:
        return PrototxtError(message).at(self.place(offset))


@dataclass(slots=True)
class Value:
    """One value, from start to end in the text; a block has its entries, a scalar has None."""

    start: int
    end: int
    entries: "list[Entry] | None" = None


@dataclass(slots=True)
class Entry:
    """`name: value`, `name { ... }` or `name: [value, ...]` with the comma that may follow."""

    name: str
    start: int
    end: int = 0
    listed: bool = False
    values: list[Value] = field(default_factory=list)


def scan(source: Source) -> list[Entry]:
    """The entries of a text, in its order.

    Only brackets, quotes and colons are judged here; names and values are for whoever knows the message.
    Raises PrototxtError at the first that does not fit.
    """
    return _Scanner(source).entries(None)


def scalars(entries: list[Entry]) -> Iterator[tuple[Entry, Value]]:
    """Every scalar value at any depth, in the order of the text."""
    for entry in entries:
        for value in entry.values:
            if value.entries is None:
                yield entry, value
            else:
                yield from scalars(value.entries)


class _Scanner:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.depth = 0
        self.end = 0
        self._next()

    def _next(self) -> None:
        self.last_end = self.end
        match = _TOKEN.match(self.text, self.end)
        assert match is not None and match.lastgroup is not None  # the last alternative takes any character
        self.kind = match.lastgroup
        self.token = match[self.kind]
        self.start, self.end = match.span(self.kind)
        if self.kind == "bad":
            raise self._bad()
        if self.kind == "string" and (broken := _SURROGATE.search(self.token)):
            raise self.source.error(self.start + broken.start(), f"byte {_byte(broken[0])} is not UTF-8")

    def _bad(self) -> NetdefError:
        if self.token in "\"'":
            return self.source.error(self.start, "text that does not end on its line: a closing quote is missing")
        shown = f"byte {_byte(self.token)}" if _SURROGATE.match(self.token) else repr(self.token)
        return self.source.error(self.start, f"unexpected character {shown}")

    def entries(self, opened: int | None) -> list[Entry]:
        """Up to the end of the text, or of the block whose bracket stands at `opened`."""
        closer = None if opened is None else _CLOSER[self.text[opened]]
        found: list[Entry] = []
        while self.token != closer or self.kind != "mark":
            if self.kind == "end":
                if opened is None:
                    return found
                raise self._unclosed(opened)
            if self.kind != "word":
                raise self.source.error(self.start, f"expected the name of a setting, got {self.token[:40]}")
            found.append(self._entry())
        return found

    def _entry(self) -> Entry:
        entry = Entry(self.token, self.start)
        self._next()
        colon = self._skip(":")
        if self.kind == "mark" and self.token == "[":
            entry.listed = True
            self._list(entry.values)
        else:
            entry.values.append(self._value(entry.name))
        if not colon and any(value.entries is None for value in entry.values):
            raise self.source.error(entry.values[0].start, f"expected ':' after {entry.name!r}")
        if not self._skip(","):
            self._skip(";")
        entry.end = self.last_end
        return entry

    def _list(self, values: list[Value]) -> None:
        opened = self.start
        self._next()
        while not self._skip("]"):
            if self.kind == "end":
                raise self._unclosed(opened)
            if values and not self._skip(","):
                raise self.source.error(self.start, f"expected ',' or ']' in the list, got {self.token[:40]!r}")
            values.append(self._value("["))

    def _value(self, name: str) -> Value:
        start = self.start
        if self.kind == "mark" and self.token in "{<":
            return self._block(start)
        if self.kind == "string":
            while self.kind == "string":  # "a" "b" is one text
                self._next()
        elif self.kind == "word":
            self._next()
        else:
            got = "the end of the file" if self.kind == "end" else repr(self.token)
            raise self.source.error(start, f"expected a value after {name!r}, got {got}")
        return Value(start, self.last_end)

    def _block(self, start: int) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.source.error(start, f"blocks nested deeper than {MAX_DEPTH}")
        self._next()
        inner = self.entries(start)
        self._next()
        self.depth -= 1
        return Value(start, self.last_end, inner)

    def _skip(self, mark: str) -> bool:
        if self.kind != "mark" or self.token != mark:
            return False
        self._next()
        return True

    def _unclosed(self, opened: int) -> NetdefError:
        line, bracket = self.source.line(opened), self.text[opened]
        return self.source.error(
            self.start, f"the file ends where '{_CLOSER[bracket]}' is missing for the '{bracket}' of line {line}"
        )


def _byte(surrogate: str) -> str:
    return f"0x{ord(surrogate) - 0xDC00:02x}"
