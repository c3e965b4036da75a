"""Curves as CSV, a row for every training point and every test."""

import csv
import math
from pathlib import Path
from typing import Any

from netdef.errors import NetdefError
from netdef.files import replacing
from netdef.report.record import Run


def write_csv(run: Run, path: Path | str) -> None:
    """Columns iteration, epoch, seconds, rate, loss, then testN_OUTPUT for every scalar output of test net N."""
    columns = [(net, name) for net, name in run.outputs]
    rows: dict[int, dict[str, Any]] = {}
    for point in run.points:
        rows[point.iter] = {
            "iteration": point.iter,
            "epoch": "" if point.epoch is None else f"{point.epoch:.6g}",
            "seconds": f"{point.seconds:.3f}",
            "rate": f"{point.rate:g}",
            "loss": _number(point.loss),
        }
    for test in run.tests:
        row = rows.setdefault(test.iter, {"iteration": test.iter})
        row |= {f"test{test.net}_{name}": _number(value) for name, value in test.values.items()}
    names = ["iteration", "epoch", "seconds", "rate", "loss", *(f"test{net}_{name}" for net, name in columns)]
    try:
        with replacing(path, "w") as f:
            writer = csv.DictWriter(f, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[i] for i in sorted(rows))
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e


def _number(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else str(value)
