"""Progress on a terminal: a bar with loss, rate, speed and time left; a line for each test and snapshot above it."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from netdef.layer import Source
from netdef.report.outputs import Result

INTERVAL = 0.1  # seconds between two drawings


class Speed(ProgressColumn):
    """Iterations a second; images a second where the task says how many an iteration has."""

    def render(self, task: Task) -> Text:
        speed, images = task.finished_speed or task.speed, task.fields.get("images", 0)
        if not speed:
            return Text("")
        if images:
            return Text(f"{speed * images:,.0f} img/s")
        return Text(f"{speed:,.0f} it/s" if speed >= 100 else f"{speed:.3g} it/s")


class Pace:
    """Says whether it is time to draw again, so that drawing costs short iterations nothing."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        return True


def bar(*columns: str) -> Progress:
    """A progress bar on stderr, with more columns of text after the count."""
    extra = [TextColumn(column, markup=False) for column in columns]
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        *extra,
        Speed(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,  # a thread that draws would take turns with the one that trains
    )


@contextlib.contextmanager
def watched(description: str) -> Iterator[Any]:
    """A bar; call what it yields with (steps done, steps in all, what comes next)."""
    with bar("{task.fields[what]}") as progress:
        task, pace = progress.add_task(description, total=None, what=""), Pace()

        def watch(done: int, total: int, what: str = "") -> None:
            if done == total or pace.due():
                progress.update(task, completed=done, total=total, what=what, refresh=True)

        yield watch


class Training:
    """An observer of training that shows it."""

    def __init__(self) -> None:
        self._bar = bar("{task.fields[figures]}")
        self._task: TaskID | None = None
        self._pace = Pace()

    def start(self, solver: Any) -> None:
        self._bar.start()
        name = f"training {solver.net.name}".rstrip()
        total, done = solver.param.max_iter, solver.iter
        self._task = self._bar.add_task(Text(name).markup, total=total, completed=done, figures="")
        self._bar.update(self._task, images=_images(solver))

    def iteration(self, solver: Any, loss: float) -> None:
        done = min(solver.iter + 1, solver.param.max_iter)
        if self._task is not None and (done == solver.param.max_iter or self._pace.due()):
            figures = f"loss {solver.smoothed_loss:.4g} lr {solver.rate:.3g}"
            self._bar.update(self._task, completed=done, figures=figures, refresh=True)

    def test(self, solver: Any, index: int, results: Iterable[Result]) -> None:
        self._line(solver, f"test #{index}", test_line(results))

    def snapshot(self, solver: Any, paths: Sequence[Any]) -> None:
        self._line(solver, "saved", ", ".join(map(str, paths)))

    def recovered(self, solver: Any, why: str) -> None:
        self._line(solver, "recovered", f"rate {solver.rate:.3g}")

    def end(self, solver: Any, reason: str) -> None:
        self._bar.stop()
        self._line(solver, reason, "")

    def close(self) -> None:
        """Give the terminal back; needed where training ended by an error."""
        self._bar.stop()

    def _line(self, solver: Any, what: str, text: str) -> None:
        self._bar.console.print(Text(f"iteration {solver.iter}  {what}  {text}".rstrip()), soft_wrap=True)


def _images(solver: Any) -> int:
    """Records in an iteration; 0 where no source tells."""
    net = solver.net
    tops = (t for layer, tops in zip(net.layers, net.tops, strict=True) if isinstance(layer, Source) for t in tops)
    shape = next((top.shape for top in tops), ())
    return int(shape[0]) * solver.param.iter_size if shape else 0


def test_line(results: Iterable[Result]) -> str:
    """ "accuracy 0.9712, loss 0.0943"; of an output with many values, the first few."""
    return ", ".join(f"{name} {_values(np.ravel(values))}" for name, values, _ in results)


def _values(values: np.ndarray) -> str:
    shown = " ".join(f"{value:.4g}" for value in values[:4])
    return f"{shown} ... ({len(values)} values)" if len(values) > 4 else shown
