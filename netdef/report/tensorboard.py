"""TensorBoard event files, written by its own library."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from netdef.errors import NetdefError


class TensorBoard:
    """An observer: scalars for losses, rates, tests and statistics, histograms of weights and gradients."""

    def __init__(self, folder: Path | str):
        """Raises NetdefError without the library, naming the extra."""
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as e:
            raise NetdefError('event files need TensorBoard: pip install "netdef-nn[tensorboard]"') from e
        self._event, self._summary, self._histogram = Event, Summary, HistogramProto
        try:
            self._writer = EventFileWriter(str(folder))
        except OSError as e:
            raise NetdefError(f"cannot write into {folder}: {e.strerror or e}") from e

    def iteration(self, solver: Any, loss: float) -> None:
        if solver.param.display and solver.iter % solver.param.display:
            return
        self._scalars(solver.iter, {"train/loss": solver.smoothed_loss, "train/rate": solver.rate})

    def test(self, solver: Any, index: int, results: Iterable[Any]) -> None:
        found = {f"test{index}/{name}": float(np.mean(values)) for name, values, _ in results}
        self._scalars(solver.iter, found)

    def statistics(self, solver: Any, found: Any) -> None:
        scalars = {f"activation/{b.layer}/{b.blob}": b.mean_abs for b in found.blobs}
        values = []
        for p in found.parameters:
            at = f"{p.layer}/{p.index}"
            scalars |= {f"weights/{at}": p.mean_abs, f"gradient_norm/{at}": p.gradient, f"step_ratio/{at}": p.ratio}
            values.append(self._bins(f"weights/{at}", p.weights_bins, p.weights_range))
            values.append(self._bins(f"gradients/{at}", p.gradient_bins, p.gradient_range))
        self._scalars(found.iter, scalars)
        self._add(found.iter, [value for value in values if value is not None])

    def end(self, solver: Any, reason: str) -> None:
        self._writer.close()

    def failed(self, solver: Any, error: BaseException) -> None:
        self._writer.close()

    def _scalars(self, step: int, scalars: dict[str, float]) -> None:
        self._add(step, [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()])

    def _bins(self, tag: str, counts: list[int], span: tuple[float, float]) -> Any:
        if not counts:
            return None
        edges = np.linspace(*span, len(counts) + 1)
        middle = (edges[1:] + edges[:-1]) / 2
        total = float(np.dot(counts, middle))
        histo = self._histogram(
            min=span[0], max=span[1], num=sum(counts), sum=total, sum_squares=float(np.dot(counts, middle**2)),
            bucket_limit=edges[1:].tolist(), bucket=counts,
        )  # fmt: skip
        return self._summary.Value(tag=tag, histo=histo)

    def _add(self, step: int, values: list[Any]) -> None:
        kept = [v for v in values if v.HasField("histo") or math.isfinite(v.simple_value)]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=kept)))
