"""Learning curves as a PNG picture, drawn by matplotlib."""

from pathlib import Path
from typing import Any

from netdef.errors import NetdefError
from netdef.report.record import Run
from netdef.report.svg import smoothed


def write_png(run: Run, path: Path | str) -> None:
    """Losses above, every other test output below. Raises NetdefError without matplotlib, naming the extra."""
    figure = _figure()
    others = [(net, name) for net, name in run.outputs if not name.lower().endswith("loss")]
    axes = figure.subplots(1 + bool(others), 1, sharex=True, squeeze=False)[:, 0]
    raw = [(float(p.iter), p.loss) for p in run.points]
    if raw:
        axes[0].plot(*zip(*raw, strict=True), alpha=0.3, linewidth=0.8, color="C0")
        axes[0].plot(*zip(*smoothed(raw), strict=True), color="C0", label="training loss")
    for net in sorted({t.net for t in run.tests}):
        points = [(t.iter, t.loss) for t in run.tests if t.net == net]
        axes[0].plot(*zip(*points, strict=True), marker=".", label=f"test loss #{net}")
    axes[0].set_ylabel("loss")
    for net, name in others:
        axes[-1].plot(*zip(*run.curve(name, net), strict=True), marker=".", label=f"test {name} #{net}")
    for axis in axes:
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend()
    axes[-1].set_xlabel("iteration")
    axes[0].set_title(run.name)
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as e:
        raise NetdefError('a picture needs matplotlib: pip install "netdef-nn[plots]"; --report needs nothing') from e
    return Figure(figsize=(8, 6), layout="constrained")


def write_scatter(points: dict[str, list[tuple[Any, float]]], label: str, path: Path | str) -> None:
    """One panel for each name, its values across, the result up; numbers far apart on a log axis."""
    figure = _figure()
    for axis, (name, pairs) in zip(figure.subplots(1, len(points), sharey=True, squeeze=False)[0], points.items()):
        xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
        numbers = [x for x in xs if isinstance(x, int | float)]
        if len(numbers) == len(xs) and numbers and min(numbers) > 0 and max(numbers) > 20 * min(numbers):
            axis.set_xscale("log")
        axis.scatter(xs if len(numbers) == len(xs) else [str(x) for x in xs], ys)
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel(label)
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e
