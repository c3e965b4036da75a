"""Cases: small nets in prototxt, each with a line that says what to feed it and what it promises."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import PrototxtError
from netdef.layer import TEST, TRAIN

HEADER = re.compile(r"^# case:[ \t]*(.*)$", re.MULTILINE)
RANGES = {"int": 2, "uniform": 2, "gaussian": 2, "begin": 0}
WANT = (
    "want phase=TRAIN|TEST, gradient=no, onnx=no:REASON, refused=TEXT, or for a blob BLOB=int:LO:HI, "
    "BLOB=uniform:LO:HI, BLOB=gaussian:MEAN:STD, BLOB=begin"
)


@dataclass(frozen=True)
class Range:
    """What an input holds: "int" (low <= x < high), "uniform" (low, high), "gaussian" (mean, std), or "begin"."""

    kind: str = "gaussian"
    a: float = 0.0
    b: float = 1.0

    @property
    def smooth(self) -> bool:
        """Whether a gradient with respect to it means anything."""
        return self.kind in ("uniform", "gaussian")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """float32 numbers, so that nets of either precision see the same; "begin" is 0 in row 0, then 0 or 1."""
        if self.kind == "uniform":
            return np.asarray(rng.uniform(self.a, self.b, shape), np.float32)
        if self.kind == "gaussian":
            return np.asarray(rng.normal(self.a, self.b, shape), np.float32)
        low, high = (0, 2) if self.kind == "begin" else (int(self.a), int(self.b))
        x = np.asarray(rng.integers(low, high, shape), np.float32)
        if self.kind == "begin":
            x[:1] = 0
        return x


@dataclass(frozen=True)
class Case:
    """A net and what it promises; `check_layer` and `check_gradient` take one wherever they take text."""

    name: str
    text: str
    phase: int = TRAIN
    ranges: dict[str, Range] = field(default_factory=dict)
    """By name of input; standard normal where none is given."""
    gradient: bool = True
    onnx: bool | str = True
    """False, or the reason why there is no ONNX form: to_onnx must then refuse."""
    refused: str = ""
    """What the message says of a net that must be refused; nothing else is then proven of it."""
    file: str = "<case>"
    """Where the text is from; files that the net names are looked for beside it."""

    @property
    def base(self) -> Path | None:
        return Path(self.file).parent if Path(self.file).is_file() else None

    def __str__(self) -> str:
        return self.name


def load_cases(path: Path | str) -> list[Case]:
    """The cases of a file, in order.

    A case begins with `# case: NAME` and settings, and ends where the next begins; onnx=no:REASON or refused=TEXT comes
    last and runs to the end of the line. Raises PrototxtError for a file without a case, and for a setting unknown.
    """
    text = Path(path).read_text()
    found = list(HEADER.finditer(text))
    if not found:
        raise PrototxtError(f"{path}: no case in this file; want a line '# case: NAME'")
    ends = [m.start() for m in found[1:]] + [len(text)]
    return [_case(m, text, end, str(path)) for m, end in zip(found, ends, strict=True)]


def _case(match: re.Match[str], text: str, end: int, file: str) -> Case:
    line = text.count("\n", 0, match.start())
    head, _, refused = match[1].partition("refused=")
    head, no, reason = head.partition("onnx=no:")
    name, *settings = head.split() or [""]
    known: dict[str, Any] = {"ranges": {}, "onnx": reason.strip() or not no, "refused": refused.strip()}
    for setting in settings:
        key, _, value = setting.partition("=")
        try:
            known |= _setting(key, value, known["ranges"])
        except (KeyError, ValueError):
            raise PrototxtError(f"{file}:{line + 1}: case '{name}': setting '{setting}'; {WANT}") from None
    if not name or "=" in name:
        raise PrototxtError(f"{file}:{line + 1}: a case without a name; want '# case: NAME'")
    above = "\n" * line  # so that complaints give the file's own lines
    return Case(name, above + text[match.start() : end], file=file, **known)


def _setting(key: str, value: str, ranges: dict[str, Range]) -> dict[str, Any]:
    if key == "phase":
        return {"phase": {"TRAIN": TRAIN, "TEST": TEST}[value]}
    if key in ("gradient", "onnx"):
        return {key: {"no": False, "yes": True}[value]}
    ranges[key] = as_range(value)
    return {}


def as_range(value: str) -> Range:
    """ "int:0:5" as a Range. Raises ValueError for what is none."""
    kind, *numbers = value.split(":")
    if RANGES.get(kind) != len(numbers):
        raise ValueError(f"no range: '{value}'; {WANT}")
    return Range(kind, *map(float, numbers))
