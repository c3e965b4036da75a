"""What is kept of a training run, for curves, reports and diagnoses: plain data, filled by an observer."""

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.layer import Source
from netdef.solver.best import Result
from netdef.solver.watch import BlobStatistics, ParameterStatistics, Statistics, data_statistics

MOST = 4000
"""Points of a curve kept; beyond, every second one goes."""
LOOKS = 400


@dataclass
class Point:
    """One training iteration; `seconds` since the run began, `epoch` None where the data's size is unknown."""

    iter: int
    loss: float
    rate: float
    seconds: float
    epoch: float | None = None


@dataclass
class Test:
    """One test of a test net: the scalar outputs by name, and the weighted loss (NaN without one)."""

    __test__ = False  # no pytest class

    iter: int
    net: int
    values: dict[str, float]
    loss: float


@dataclass
class Event:
    """Something that happened: "snapshot", "best", "recovered", "failed", "resumed", "end"."""

    iter: int
    kind: str
    text: str


@dataclass
class Run:
    """A training run as far as it has come."""

    name: str = ""
    max_iter: int = 0
    base_lr: float = 0.0
    epoch_length: float = 0.0
    classes: int = 0
    """Of the prediction that a loss compares with labels; 0 where there is none such."""
    labels: list[str] = field(default_factory=list)
    """Blobs that a loss takes as labels."""
    points: list[Point] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    looks: list[Statistics] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    data: list[BlobStatistics] = field(default_factory=list)
    """The sources' tops when last looked at."""
    reason: str = ""
    """Why it ended; "failed" with an error."""
    error: str = ""
    diverged: bool = False

    def curve(self, name: str, net: int = 0) -> list[tuple[int, float]]:
        """(iteration, value) of a test output."""
        return [(t.iter, t.values[name]) for t in self.tests if t.net == net and name in t.values]

    @property
    def outputs(self) -> list[tuple[int, str]]:
        """(test net, output) of every curve."""
        return list(dict.fromkeys((t.net, name) for t in self.tests for name in t.values))


class Record:
    """An observer that keeps a Run; with a path also as JSON lines, taken up again where a run resumes."""

    def __init__(self, path: Path | None = None):
        self.run, self.path = Run(), path
        self._file: Any = None
        self._stride, self._every, self._began = 1, 1, 0.0

    def start(self, solver: Any) -> None:
        param, net = solver.param, solver.net
        self.run = Run(net.name, param.max_iter, param.base_lr, solver.epoch_length)
        self.run.classes, self.run.labels = labels(net)
        self._began = time.monotonic()
        self._every = max(1, param.max_iter // MOST)
        if self.path is not None:
            earlier = read(self.path, solver.iter) if solver.iter and self.path.exists() else []
            take_up(self.run, earlier)
            self._began -= self.run.points[-1].seconds if self.run.points else 0.0
            try:
                self._file = self.path.open("w")
            except OSError as e:
                raise NetdefError(f"cannot write {self.path}: {e.strerror or e}") from e
            for row in earlier:
                self._file.write(json.dumps(_plain(row), allow_nan=False) + "\n")
        if solver.iter:
            self._event(solver, "resumed", "")

    def iteration(self, solver: Any, loss: float) -> None:
        if solver.iter % self._every or solver.iter >= solver.param.max_iter:
            return
        epoch = solver.epoch if solver.epoch_length else None
        seconds = round(time.monotonic() - self._began, 3)
        point = Point(solver.iter, float(solver.smoothed_loss), solver.rate, seconds, epoch)
        self._write("train", asdict(point))
        if solver.iter % (self._every * self._stride) == 0:
            self.run.points.append(point)
        if len(self.run.points) > MOST:
            self._stride *= 2
            self.run.points = self.run.points[::2]

    def test(self, solver: Any, index: int, results: Iterable[Result]) -> None:
        found = list(results)
        values = {name: float(np.mean(value)) for name, value, _ in found if np.size(value) == 1}
        losses = [float(np.sum(value)) * weight for _, value, weight in found if weight]
        test = Test(solver.iter, index, values, sum(losses) if losses else math.nan)
        self.run.tests.append(test)
        self._write("test", asdict(test))

    def statistics(self, solver: Any, found: Statistics) -> None:
        self.run.looks.append(found)
        self.run.data = [blob for blob in found.blobs if blob.is_data]
        if len(self.run.looks) > LOOKS:
            self.run.looks = [self.run.looks[0], *self.run.looks[2::2]]
        self._write("statistics", asdict(found))

    def snapshot(self, solver: Any, paths: Sequence[Any]) -> None:
        self._event(solver, "snapshot", ", ".join(map(str, paths)))

    def best(self, solver: Any, path: Path) -> None:
        self._event(solver, "best", f"{solver.judge}: {path}")

    def recovered(self, solver: Any, why: str) -> None:
        self._event(solver, "recovered", why)

    def failed(self, solver: Any, error: BaseException) -> None:
        from netdef.solver.divergence import DivergenceError

        self.run.data = data_statistics(solver.net)
        self.run.diverged = isinstance(error, DivergenceError)
        self.run.error, self.run.reason = str(error) or type(error).__name__, "failed"
        self._event(solver, "failed", self.run.error)

    def end(self, solver: Any, reason: str) -> None:
        self.run.reason = reason
        self._event(solver, "end", reason)

    def _event(self, solver: Any, kind: str, text: str) -> None:
        event = Event(solver.iter, kind, text)
        self.run.events.append(event)
        self._write("event", asdict(event))

    def _write(self, kind: str, row: dict[str, Any]) -> None:
        """A line; a full disk ends the file, not the run."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(_plain({"row": kind, **row}), allow_nan=False) + "\n")
            self._file.flush()
        except OSError:
            self._file = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read(path: Path, before: int | None = None) -> list[dict[str, Any]]:
    """The rows of a record before an iteration, or all; a line that was cut off by a kill is left out."""
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and (before is None or row.get("iter", 0) < before):
            rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    """JSON has no NaN: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _value(name: str, value: Any) -> Any:
    """And null a NaN again, but for an epoch that is not known."""
    if isinstance(value, dict):
        return {key: _value(key, v) for key, v in value.items()}
    if isinstance(value, list):
        return [_value(name, v) for v in value]
    return math.nan if value is None and name != "epoch" else value


def take_up(run: Run, rows: Iterable[dict[str, Any]]) -> None:
    """Add the rows of an earlier part to a run."""
    for row in rows:
        values = {name: _value(name, value) for name, value in row.items() if name != "row"}
        if row.get("row") == "train":
            run.points.append(Point(**values))
        elif row.get("row") == "test":
            run.tests.append(Test(**values))
        elif row.get("row") == "event":
            run.events.append(Event(**values))
        elif row.get("row") == "statistics":
            blobs = [BlobStatistics(**b) for b in values["blobs"]]
            parameters = [ParameterStatistics(**p) for p in values["parameters"]]
            run.looks.append(Statistics(values["iter"], blobs, parameters))


def labels(net: Any) -> tuple[int, list[str]]:
    """The classes of the first loss that compares a prediction with labels, and the blobs that losses take as labels.

    A label is a bottom that can have no gradient; its classes are the prediction's axis 1.
    """
    behind = {
        top: layer.layer_param.bottom[0]
        for layer in net.layers
        if layer.role == "split"
        for top in layer.layer_param.top
    }
    sources = {top for layer in net.layers if isinstance(layer, Source) for top in layer.layer_param.top}
    classes, found = 0, []
    for i, layer in enumerate(net.layers):
        if not any(net.loss_weights[i]) or layer.no_gradient == "all" or 1 not in layer.no_gradient:
            continue
        name = layer.layer_param.bottom[1]
        name = behind.get(name, name)
        if name in sources:
            found.append(name)
            shape, others = net.bottoms[i][0].shape, net.bottoms[i][1]
            if not classes and len(shape) > 1 and others.count * shape[1] == net.bottoms[i][0].count:
                classes = shape[1]
    return classes, found
