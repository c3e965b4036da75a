"""netdef time: how long each layer takes, forward, update and backward; alone or beside another program."""

import argparse
from typing import TYPE_CHECKING, Any

from netdef.cli import flags

if TYPE_CHECKING:
    from netdef.report.timing import LayerTime, Timing

HELP = """\
Times are milliseconds, the median over the iterations after a warm-up.
A layer runs backward only where training needs it.

--sgemm adds the GFLOP/s of layers that multiply matrices, and what share that is of this machine's own sgemm rate
(NumPy's BLAS on square matrices, in the same run). Algorithms that need fewer operations than the definition, such as
Winograd's, can exceed 100%.

--against NAME runs the same net, weights and data in another program in turns with ours, on as many threads; "torch"
is PyTorch, if it is installed. Both must give the same first; layers that the other lacks are named and left out.
Ratios are ours to its: below 1, ours is faster.

examples:
  netdef time models/digits/train_val.prototxt
  netdef time --model deploy.prototxt --phase TEST --iterations 20 --sgemm
  netdef time models/digits/train_val.prototxt --against torch
"""
STEPS = ("forward", "update", "backward")


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "time", run, "NET [flags]", "time each layer of a net: forward, update, backward", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    parser.add_argument("--iterations", type=flags.count, default=50, metavar="N", help="how often; default 50")
    parser.add_argument("--sgemm", action="store_true", help="GFLOP/s, and the share of this machine's sgemm rate")
    parser.add_argument("--against", metavar="NAME", help="the same in another program, in turns: torch")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags.add_state(parser, "TRAIN")
    flags.add_gpu(parser)


def run(args: argparse.Namespace) -> None:
    from netdef.cli import nets, settings
    from netdef.report.tables import show_json
    from netdef.report.timing import sgemm_gflops, timing

    path = flags.either(args, "model")
    if args.against and args.sgemm:
        raise flags.UsageError("give --against or --sgemm, not both")
    registry = settings.plugins(args)

    def build(plan: bool) -> Any:
        return nets.build(path, registry, flags.phase(args), args.level, args.stage, seed=1, plan=plan)

    if args.against:
        from netdef.cli.time.against import compare

        return compare(args, path, build, registry.get("peers", args.against))
    net = build(True)
    before = sgemm_gflops() if args.sgemm else 0.0
    found = timing(net, args.iterations)
    peak = max(before, sgemm_gflops()) if args.sgemm else 0.0
    if args.json:
        about = {"file": path, "net": net.name, "phase": args.phase, **found.summary()}
        show_json(about | ({"sgemm_gflops": peak, "rates": _rates(found, peak)} if peak else {}))
    else:
        _print(found)
        if peak:
            _print_rates(found, peak)


def _print(found: "Timing") -> None:
    from netdef.report.tables import show

    columns = ("layer", "type", "forward ms", "update ms", "backward ms", "sum ms", "share")
    whole = sum(layer.total for layer in found.layers)
    rows = [
        (x.name, x.type, *map(_ms, (x.forward, x.update, x.backward, x.total)), f"{x.total / (whole or 1):.1%}")
        for x in found.layers
    ]
    sums = [sum(getattr(x, what) for x in found.layers) for what in STEPS]
    show(columns, rows, right=columns[2:], total=("total", f"{len(rows)} layers", *map(_ms, (*sums, whole)), "100.0%"))
    print(f"Average Forward pass: {found.forward:g} ms.")
    print(f"Average Backward pass: {found.backward:g} ms.")
    print(f"Average Forward-Backward: {found.forward_backward:g} ms.")
    print(f"Total Time: {found.total:g} ms.")


def _ms(value: float) -> str:
    return f"{value:.3f}"


def _rates(found: "Timing", peak: float) -> list[dict[str, Any]]:
    """GFLOP/s of each step of the layers that have multiply-adds, and its share of the peak."""

    def rate(layer: "LayerTime", step: str) -> dict[str, float] | None:
        gflops = layer.gflops(step)
        return None if gflops is None else {"gflops": gflops, "share": gflops / peak}

    return [{"name": x.name, "type": x.type, **{step: rate(x, step) for step in STEPS}} for x in found.layers if x.flop]


def _print_rates(found: "Timing", peak: float) -> None:
    from netdef.report.tables import show

    columns = ("layer", "type", *(f"{step} {what}" for step in STEPS for what in ("GFLOP/s", "share")))
    rows = [(x["name"], x["type"], *(c for step in STEPS for c in _cells(x[step]))) for x in _rates(found, peak)]
    print(f"\nsgemm: {peak:.0f} GFLOP/s")
    show(columns, rows, right=columns[2:])


def _cells(rate: dict[str, float] | None) -> tuple[str, str]:
    return (f"{rate['gflops']:.0f}", f"{rate['share']:.0%}") if rate else ("", "")
