"""Caffe's log lines, to the letter, so that people's log parsers keep working."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Any

import numpy as np

from netdef.report.outputs import Result, outputs

# where BVLC Caffe 1.0 prints each kind of line; some parsers look for it
_PLACES = {"iteration": "solver.cpp:218", "train": "solver.cpp:237", "testing": "solver.cpp:330"}
_PLACES |= {"test": "solver.cpp:397", "rate": "sgd_solver.cpp:105", "solving": "solver.cpp:272"}
_PLACES |= {"policy": "solver.cpp:273", "weights": "solver.cpp:447", "state": "sgd_solver.cpp:273"}
_PLACES |= {"last": "solver.cpp:310", "done": "solver.cpp:315", "stopped": "solver.cpp:295"}
_PLACES |= {"debug": "net.cpp:593", "test loss": "solver.cpp:382"}
_PLACES |= {"running": "caffe.cpp:285", "batch": "caffe.cpp:308", "loss": "caffe.cpp:313", "mean": "caffe.cpp:325"}


def prefix(kind: str, now: datetime | None = None, pid: int | None = None) -> str:
    """glog's: severity, month and day, time, process, place: "I1123 08:30:00.123456 12345 solver.cpp:218] "."""
    stamp = f"{now or datetime.now():%m%d %H:%M:%S.%f}"
    return f"I{stamp} {os.getpid() if pid is None else pid:5d} {_PLACES[kind]}] "


def iteration_line(iteration: int, rate: float, seconds: float, display: int, loss: float) -> str:
    """`rate` in iterations a second over the `seconds` since the last such line."""
    return f"Iteration {iteration} ({rate:g} iter/s, {seconds:g}s/{display} iters), loss = {loss:g}"


def output_lines(phase: str, results: Iterable[Result]) -> list[str]:
    """A line for each element of each output, numbered through; `phase` is "Train" or "Test"."""
    named = [(name, value, weight) for name, values, weight in results for value in np.ravel(values)]
    return [
        f"    {phase} net output #{i}: {name} = {value:g}{share(value, weight)}"
        for i, (name, value, weight) in enumerate(named)
    ]


def share(value: float, weight: float) -> str:
    """What an output adds to the loss: " (* 2 = 0.5 loss)"; empty for one that is no loss."""
    return f" (* {weight:g} = {value * weight:g} loss)" if weight else ""


def value_lines(results: Iterable[Result], start: str = "", weighed: bool = True) -> list[str]:
    """`accuracy = 0.97`, a line for each element of each output."""
    return [
        f"{start}{name} = {value:g}{share(value, weight) if weighed else ''}"
        for name, values, weight in results
        for value in np.ravel(values)
    ]


class Log:
    """Writes the lines of a run to a stream; an observer of training."""

    def __init__(self, stream: IO[str]):
        self._stream: IO[str] | None = stream
        self._since = (0, 0.0)

    def write(self, kind: str, *lines: str) -> None:
        """Lines of one kind. A stream that can take no more (a full disk) ends the log, not the run."""
        if self._stream is None:
            return
        try:
            self._stream.writelines(f"{prefix(kind)}{line}\n" for line in lines)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            self._stream = None
            print(f"netdef: warning: the log ends here: {e.strerror or e}", file=sys.stderr)

    def start(self, solver: Any) -> None:
        self._since = (solver.iter, time.monotonic())
        self.write("solving", f"Solving {solver.net.name}")
        self.write("policy", f"Learning Rate Policy: {solver.param.lr_policy}")

    def iteration(self, solver: Any, loss: float) -> None:
        display = solver.param.display
        if not display or solver.iter % display:
            return
        if solver.iter >= solver.param.max_iter:  # the look after the last update
            self.write("last", f"Iteration {solver.iter}, loss = {loss:g}")
            return
        (last, then), now = self._since, time.monotonic()
        self._since = (solver.iter, now)
        rate = (solver.iter - last) / (now - then or 1)
        self.write("iteration", iteration_line(solver.iter, rate, now - then, display, solver.smoothed_loss))
        self.write("train", *output_lines("Train", outputs(solver.net)))
        self.write("rate", f"Iteration {solver.iter}, lr = {solver.rate:g}")

    def test(self, solver: Any, index: int, results: Iterable[Result]) -> None:
        found = list(results)
        self.write("testing", f"Iteration {solver.iter}, Testing net (#{index})")
        if solver.param.test_compute_loss:
            self.write("test loss", f"Test loss: {sum(np.sum(values) * weight for _, values, weight in found):g}")
        self.write("test", *output_lines("Test", found))

    def snapshot(self, solver: Any, paths: Sequence[Any]) -> None:
        for path in map(str, paths):
            form = "HDF5" if path.endswith(".h5") else "binary proto"
            if "solverstate" in path:
                self.write("state", f"Snapshotting solver state to {form} file {path}")
            else:
                self.write("weights", f"Snapshotting to {form} file {path}")

    def end(self, solver: Any, reason: str) -> None:
        if reason != "done":
            self.write("stopped", "Optimization stopped early.")
        self.write("done", "Optimization Done.")
