"""The report of a training run: one HTML file that needs nothing else."""

import math
import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from netdef import prototxt
from netdef.errors import NetdefError
from netdef.files import replacing
from netdef.limits import readable
from netdef.report.cost import cost
from netdef.report.diagnosis import diagnose
from netdef.report.record import Run
from netdef.report.svg import Curve, bars, chart, smoothed

STYLE = """
:root { color-scheme: light dark; --ink: #1d2429; --soft: #5c6870; --line: #d8dee3; --page: #fff; --card: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebef; --soft: #9aa7b0; --line: #36414a; --page: #14191d; --card: #1c2329; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p.sub, .legend, td.soft, .none { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
dl div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem; overflow-wrap: anywhere; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--soft); }
svg polyline { fill: none; stroke-linejoin: round; } .grid { stroke: var(--line); }
.mark { stroke: var(--soft); stroke-dasharray: 3 3; }
svg.bars { width: 11rem; } svg.bars rect { fill: #2f6fb3; }
.legend { font-size: .85rem; margin: .2rem 0 1rem; } .legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8rem; height: .2rem; margin-right: .4rem; vertical-align: middle; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.finding { border-left: 4px solid #d1692a; background: var(--card); padding: .6rem .9rem; margin: .6rem 0; }
.well { border-color: #2f8f5b; }
pre { background: var(--card); padding: .8rem; overflow-x: auto; border-radius: .5rem; }
"""


def write_page(solver: Any, run: Run, path: Path | str) -> None:
    """Raises NetdefError where the file cannot be written."""
    text = page(solver, run)
    try:
        with replacing(path, "w") as f:
            f.write(text)
    except OSError as e:
        raise NetdefError(f"cannot write {path}: {e.strerror or e}") from e


def page(solver: Any, run: Run) -> str:
    name = escape(run.name or "net")
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}: training report</title><style>{STYLE}</style></head><body>",
        f'<h1>{name}</h1><p class="sub">Training report, {time.strftime("%Y-%m-%d %H:%M")}; {_ended(run)}</p>',
        _figures(solver, run),
        _section("Diagnosis", _diagnosis(run)),
        _section("Curves", _curves(solver, run)),
        _section("Weights and gradients", _histograms(run)),
        _section("Activations", _activations(run)),
        _section("Layers", _layers(solver.net)),
        _section("Events", _events(run)),
        _section("Settings", f"<pre>{escape(_settings(solver))}</pre>"),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _ended(run: Run) -> str:
    return escape({"done": "ran to the end", "failed": "ended with an error"}.get(run.reason, run.reason))


def _figures(solver: Any, run: Run) -> str:
    done = f"{solver.iter:,} of {run.max_iter:,}"
    figures = [("iterations", done)]
    if run.epoch_length:
        figures.append(("epochs", f"{solver.iter / run.epoch_length:.4g}"))
    if run.points:
        seconds = run.points[-1].seconds
        figures += [("training time", _duration(seconds)), ("final training loss", f"{run.points[-1].loss:.4g}")]
    last = {(test.net, name): value for test in run.tests for name, value in test.values.items()}
    figures += [(f"final test {name}" + f" #{net}" * bool(net), f"{value:.4g}") for (net, name), value in last.items()]
    if solver.judge is not None and solver.judge.best.iter >= 0:
        best = solver.judge.best
        figures.append((f"best test {solver.judge.name}", f"{best.value:.4g} at {best.iter:,}"))
    figures.append(("learning rate now", f"{solver.rate:.3g}"))
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in figures) + "</dl>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _diagnosis(run: Run) -> str:
    error = f'<div class="finding"><b>error</b>: {escape(run.error)}</div>' if run.error and not run.diverged else ""
    found = "".join(
        f'<div class="finding"><b>{escape(f.name)}</b>: {escape(f.seen)}.<br>Try {escape(f.tries)}.</div>'
        for f in diagnose(run)
    )
    return error + found or '<div class="finding well">Nothing out of the ordinary.</div>'


def _curves(solver: Any, run: Run) -> str:
    best = solver.judge.best.iter if solver.judge is not None and solver.judge.best.iter >= 0 else None
    raw = [(float(p.iter), p.loss) for p in run.points if math.isfinite(p.loss)]
    losses = [Curve("training loss", raw, faint=True), Curve("training loss", smoothed(raw))]
    tests: dict[int, list[tuple[float, float]]] = {}
    for test in run.tests:
        if math.isfinite(test.loss):
            tests.setdefault(test.net, []).append((float(test.iter), test.loss))
    losses += [Curve(f"test loss #{net}", points) for net, points in tests.items()]
    values = [y for curve in losses for _, y in curve.points]
    log = bool(values) and min(values) > 0 and max(values) > 30 * min(values)
    parts = [chart(losses, _across(run), "loss", log, best)]
    weighed = {(k, name) for k, net in enumerate(solver.test_nets) for name in net.outputs if net.loss_weight(name)}
    for net, name in run.outputs:
        if (net, name) not in weighed:
            curve = Curve(f"test {name} #{net}", [(float(i), y) for i, y in run.curve(name, net)])
            parts.append(chart([curve], _across(run), name, mark=best))
    parts.append(chart([Curve("learning rate", [(float(p.iter), p.rate) for p in run.points])], _across(run), "rate"))
    return "".join(parts)


def _across(run: Run) -> str:
    return f"iteration ({run.epoch_length:.4g} an epoch)" if run.epoch_length else "iteration"


def _histograms(run: Run) -> str:
    if not run.looks:
        return ""
    look = run.looks[-1]
    rows = [
        (
            f"{p.layer} [{p.index}]",
            _Raw(bars(p.weights_bins, p.weights_range, f"weights of {p.layer}")),
            _Raw(bars(p.gradient_bins, p.gradient_range, f"gradient of {p.layer}") if p.gradient else "frozen"),
            f"{p.mean_abs:.3g}",
            f"{p.gradient:.3g}",
            f"{p.ratio:.2g}",
        )
        for p in look.parameters
    ]
    head = ("parameter", "weights", "gradient", "mean |w|", "gradient norm", "step / weights")
    return f'<p class="sub">At iteration {look.iter:,}.</p>' + _table(head, rows, (3, 4, 5))


def _activations(run: Run) -> str:
    if not run.looks:
        return ""
    rows = [
        (b.layer, b.type, b.blob, *(f"{v:.3g}" for v in (b.mean_abs, b.low, b.high)), f"{b.zeros:.0%}", f"{b.dead:.0%}",
         f"{b.gradient:.2g}" if b.gradient else "")
        for b in run.looks[-1].blobs
    ]  # fmt: skip
    head = ("layer", "type", "blob", "mean |x|", "least", "most", "zeros", "dead channels", "mean |gradient|")
    return _table(head, rows, range(3, 9))


def _layers(net: Any) -> str:
    found = cost(net)
    rows = [
        (x.name, x.type, ", ".join(x.tops), ", ".join("x".join(map(str, s)) for s in x.shapes), f"{x.parameters:,}",
         f"{x.multiply_adds:,}")
        for x in found.layers
    ]  # fmt: skip
    rows.append(("total", f"{len(rows)} layers", "", "", f"{found.parameters:,}", f"{found.multiply_adds:,}"))
    note = f'<p class="sub">Memory for training, planned: {readable(found.memory)}.</p>'
    return note + _table(("layer", "type", "tops", "shapes", "parameters", "multiply-adds"), rows, (4, 5))


def _events(run: Run) -> str:
    shown = [e for e in run.events if e.kind != "best"] + [e for e in run.events if e.kind == "best"][-1:]
    rows = [(f"{e.iter:,}", e.kind, e.text) for e in sorted(shown, key=lambda e: e.iter)]
    return _table(("iteration", "what", ""), rows, (0,)) if rows else ""


def _settings(solver: Any) -> str:
    param = type(solver.param)()
    param.CopyFrom(solver.param)
    for name in ("net_param", "train_net_param", "test_net_param"):
        param.ClearField(name)
    return prototxt.write(param)


class _Raw(str):
    """Text that is HTML already."""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    numbers = set(right)

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numbers else ''}>{c if isinstance(c, _Raw) else escape(c)}</{tag}>"
            for i, c in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells(head, "th")}</tr>{body}</table></div>'
