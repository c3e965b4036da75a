"""Curves and histograms as SVG, which any browser draws without a script or a network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLORS = ("#2f6fb3", "#d1692a", "#2f8f5b", "#8657b8", "#b03a5b", "#5f6b76")
POINTS = 600
WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 58, 24, 12, 34


@dataclass
class Curve:
    """`faint` draws it thin and pale: raw values behind their mean."""

    label: str
    points: Sequence[tuple[float, float]]
    faint: bool = False


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of them, finite, the last one always."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    step = max(1, math.ceil(len(finite) / POINTS))
    kept = finite[::step]
    return kept + finite[-1:] if finite and kept[-1] != finite[-1] else kept


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean over a window of about a fiftieth of the curve, behind each point."""
    window = max(1, len(points) // 50)
    out, total = [], 0.0
    for i, (x, y) in enumerate(points):
        total += y - (points[i - window][1] if i >= window else 0.0)
        out.append((x, total / min(i + 1, window)))
    return out


@dataclass
class _Axes:
    """What the plane shows: x0 to x1 and y0 to y1, y in decades where `log`."""

    x0: float
    x1: float
    y0: float
    y1: float
    y_ticks: list[float]
    log: bool

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], log: bool) -> "_Axes":
        xs, ys = [x for x, _ in points], [math.log10(y) if log else y for _, y in points]
        x0, x1 = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
        ticks = _decades(min(ys), max(ys)) if log else _ticks(min(ys), max(ys))
        return cls(x0, x1, min([*ys, ticks[0]]), max([*ys, ticks[-1]]), ticks, log)

    def across(self, x: float) -> float:
        return LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def place(self, x: float, y: float) -> tuple[float, float]:
        return self.across(x), self.down(math.log10(y) if self.log else y)

    def down(self, y: float) -> float:
        return HEIGHT - BOTTOM - (y - self.y0) / ((self.y1 - self.y0) or 1) * (HEIGHT - TOP - BOTTOM)

    def drawn(self, x_label: str) -> str:
        """The grid and the numbers beside it."""
        parts = []
        for tick in self.y_ticks:
            y, text = self.down(tick), f"{10**tick:g}" if self.log else f"{tick:.4g}"
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        bottom = HEIGHT - BOTTOM + 16
        for tick in _ticks(self.x0, self.x1):
            if self.x0 <= tick <= self.x1:
                parts.append(f'<text x="{self.across(tick):.1f}" y="{bottom}" text-anchor="middle">{tick:g}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        return "".join(parts) + f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>'


def chart(curves: Sequence[Curve], x_label: str, y_label: str, log: bool = False, mark: float | None = None) -> str:
    """Curves over one pair of axes; `mark` is an x that deserves a line. Empty where there is nothing to draw."""
    drawn = [(c, [p for p in thinned(c.points) if p[1] > 0 or not log]) for c in curves]
    drawn = [(c, points) for c, points in drawn if points]
    if not drawn:
        return ""
    axes = _Axes.around([p for _, points in drawn for p in points], log)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)} over {escape(x_label)}">']
    parts.append(axes.drawn(x_label))
    if mark is not None and axes.x0 <= mark <= axes.x1:
        line = f"M{axes.across(mark):.1f} {TOP}V{HEIGHT - BOTTOM}"
        parts.append(f'<path class="mark" d="{line}"><title>best at {mark:g}</title></path>')
    for (curve, points), color in zip(drawn, _colors([c for c, _ in drawn]), strict=True):
        parts.append(_line(curve, [axes.place(*p) for p in points], color))
    return "".join(parts) + "</svg>" + _legend([c for c, _ in drawn])


def _line(curve: Curve, places: Sequence[tuple[float, float]], color: str) -> str:
    style = 'stroke-width="1" opacity="0.35"' if curve.faint else 'stroke-width="2"'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    line = f'<polyline points="{points}" stroke="{color}" {style}><title>{escape(curve.label)}</title></polyline>'
    if len(places) > 1:
        return line
    x, y = places[0]
    return f'{line}<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'


def _colors(curves: Sequence[Curve]) -> list[str]:
    """A faint curve has the colour of the one after it."""
    order = list(dict.fromkeys(c.label for c in curves if not c.faint))
    named = {label: COLORS[i % len(COLORS)] for i, label in enumerate(order)}
    return [named.get(c.label, COLORS[0]) for c in curves]


def _legend(curves: Sequence[Curve]) -> str:
    keys = [
        f'<span><i style="background:{color}"></i>{escape(c.label)}</span>'
        for c, color in zip(curves, _colors(curves), strict=True)
        if not c.faint
    ]
    return f'<p class="legend">{"".join(keys)}</p>'


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that span the range."""
    span = (high - low) or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (step * m) <= 5)
    first = math.floor(low / step)
    return [round((first + k) * step, 12) for k in range(math.ceil(high / step) - first + 1)]


def _decades(low: float, high: float) -> list[float]:
    return [float(k) for k in range(math.floor(low), max(math.ceil(high), math.floor(low) + 1) + 1)]


def bars(counts: Sequence[int], span: tuple[float, float], label: str) -> str:
    """A small histogram over a range."""
    if not counts:
        return '<span class="none">not finite</span>'
    width, height, most = 180, 54, max(counts) or 1
    step = width / len(counts)
    rects = "".join(
        f'<rect x="{i * step:.2f}" y="{height - c / most * height:.2f}" width="{max(step - 0.4, 0.4):.2f}" '
        f'height="{c / most * height:.2f}"/>'
        for i, c in enumerate(counts)
        if c
    )
    ends = f'<text x="0" y="{height + 13}">{span[0]:.3g}</text>'
    ends += f'<text x="{width}" y="{height + 13}" text-anchor="end">{span[1]:.3g}</text>'
    view = f'viewBox="0 0 {width} {height + 16}" role="img" aria-label="{escape(label)}"'
    return f'<svg class="bars" {view}>{rects}{ends}</svg>'
