"""Tables: drawn on a terminal; elsewhere plain columns, nothing cut, two or more spaces between them."""

import json
import sys
from collections.abc import Container, Sequence
from dataclasses import asdict, is_dataclass
from typing import IO, Any

from netdef.report.terminal import is_terminal

Rows = Sequence[Sequence[str]]


def show(
    columns: Sequence[str],
    rows: Rows,
    right: Container[str] = (),
    total: Sequence[str] = (),
    file: IO[str] | None = None,
) -> None:
    """Print a table; `right` names the columns of numbers, `total` is a last row set apart."""
    file = sys.stdout if file is None else file
    if is_terminal(file):
        _drawn(columns, rows, right, total, file)
    else:
        file.write(plain(columns, [*rows, total] if total else rows, right))


def show_json(value: Any, file: IO[str] | None = None) -> None:
    """Print plain data, in which dataclasses may be, as JSON."""
    print(json.dumps(value, indent=2, default=_as_data), file=file or sys.stdout)


def _as_data(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def plain(columns: Sequence[str], rows: Rows, right: Container[str] = ()) -> str:
    """The table as text, one row a line, the columns' names first; an empty cell is "-"."""
    cells = [[cell or "-" for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    flush = [str.rjust if name in right else str.ljust for name in columns]
    lines = ("  ".join(flush[i](cell, widths[i]) for i, cell in enumerate(row)) for row in cells)
    return "".join(line.rstrip() + "\n" for line in lines)


def _drawn(columns: Sequence[str], rows: Rows, right: Container[str], total: Sequence[str], file: IO[Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=bool(total))
    for i, name in enumerate(columns):
        justify: Any = "right" if name in right else "left"
        foot = Text(total[i]) if total else ""
        table.add_column(name, foot, justify=justify, overflow="fold", no_wrap=justify == "right")
    for row in rows:
        table.add_row(*map(Text, row))  # a layer's name may hold [brackets], which are markup to rich
    Console(file=file).print(table)
