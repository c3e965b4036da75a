"""What netdef time --against prints."""

import argparse
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdef.net import Net
    from netdef.report.against import Comparison, LayerPair


def compare(args: argparse.Namespace, path: str, build: "Callable[[bool], Net]", peer: Any) -> None:
    from netdef.report import against
    from netdef.report.tables import show_json

    found = against.compare(build, peer, args.iterations)
    if args.json:
        show_json({"file": path, "phase": args.phase, **summary(found)})
    else:
        _print(found, path, args)


def summary(found: "Comparison") -> dict[str, Any]:
    """Plain data: all layouts' times, ratios to the better one, and what was left out."""
    best = found.layout
    layers = [
        {
            "name": x.name,
            "type": x.type,
            "forward": x.forward,
            "backward": x.backward,
            "peer": {name: {"forward": t[0], "backward": t[1]} for name, t in x.peer.items()},
            "ratio": _ratio(x.forward + x.backward, sum(x.peer[best])),
        }
        for x in found.layers
    ]
    told = {"peer": found.peer, "threads": found.threads, "difference": found.difference, "layout": best}
    whole = {}
    if found.steps:
        steps = {name or "ours": statistics.median(times) for name, times in found.steps.items()}
        whole = {"step": steps, "ratios": found.ratios, "ratio": statistics.median(found.ratios)}
    return {**told, "left_out": found.left_out, "layers": layers, "whole": whole or None}


def _print(found: "Comparison", path: str, args: argparse.Namespace) -> None:
    from netdef.report.tables import show

    print(f"{path}, phase {args.phase}, {found.threads} threads: ours beside {found.peer}, {found.layout}.")
    print(f"Checked: the same weights and data give the same; largest difference {found.difference:.1e} of an array's.")
    for name, why in found.left_out.items():
        print(f"Left out on both sides: {name}: {why}.")
    columns = ("layer", "type", "forward ms", "theirs", "ratio", "backward ms", "theirs", "ratio", "sum ratio")
    rows = [(x.name, x.type, *_cells(x, found.layout)) for x in found.layers]
    sums = _total(found)
    show(columns, rows, right=columns[2:], total=("total", f"{len(rows)} layers", *_cells(sums, found.layout)))
    if not found.steps:
        print("No ratio for the net: it has layers that only one side can run.")
        return
    ratios = found.ratios
    for name in (name for name in found.steps if name):
        print(f"{found.peer}, {name}: {statistics.median(found.steps[name]):.2f} ms a step.")
    print(f"Ours: {statistics.median(found.steps['']):.2f} ms a step.")
    turns = f"median of {len(ratios)} turns, {min(ratios):.2f} to {max(ratios):.2f}"
    print(f"Ratio: {statistics.median(ratios):.2f} ({turns}).")


def _total(found: "Comparison") -> "LayerPair":
    from netdef.report.against import LayerPair

    def both(times: list[tuple[float, float]]) -> tuple[float, float]:
        return sum(t[0] for t in times), sum(t[1] for t in times)

    ours = both([(x.forward, x.backward) for x in found.layers])
    layouts = found.layers[0].peer if found.layers else (found.layout,)
    return LayerPair("", "", *ours, {name: both([x.peer[name] for x in found.layers]) for name in layouts})


def _cells(x: "LayerPair", layout: str) -> list[str]:
    forward, backward = x.peer[layout]
    pairs = ((x.forward, forward), (x.backward, backward))
    cells = [cell for a, b in pairs for cell in (f"{a:.3f}", f"{b:.3f}", _times(_ratio(a, b)))]
    return [*cells, _times(_ratio(x.forward + x.backward, forward + backward))]


def _ratio(ours: float, theirs: float) -> float | None:
    return ours / theirs if theirs else None


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
