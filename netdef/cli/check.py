"""netdef check: does a net hold together, and what does it cost."""

import argparse
from typing import Any

from netdef.cli import flags
from netdef.cli.failure import say

HELP = """\
Nothing is computed and no parameter takes memory: shapes are enough.
Where a data layer's file is not here, shapes are taken from the prototxt (crop_size, new_height and new_width), or
from --shape for what it does not say.

examples:
  netdef check models/digits/train_val.prototxt --phase TRAIN
  netdef check train_val.prototxt --shape data=1,3,224,224 --shape label=1
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "check", run, "NET [flags]", "show the layers of a net: shapes, parameters, cost, memory", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    flags.add_state(parser, "TEST")
    parser.add_argument(
        "--shape",
        action="append",
        type=shape,
        default=[],
        metavar="BLOB=1,3,224,224",
        help="feed this blob instead of the layer that makes it",
    )
    parser.add_argument("--strict", action="store_true", help="settings of other Caffe builds are errors, not ignored")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    from netdef.cli import settings
    from netdef.report.cost import cost
    from netdef.report.tables import show_json

    path = flags.either(args, "model")
    ignored: list[str] = []
    net, old = _build(path, args, settings.plugins(args), ignored)
    found = cost(net)
    if args.json:
        state = {"phase": args.phase, "level": args.level, "stages": args.stage}
        show_json({"file": path, **state, "upgraded": old, "ignored": ignored, **vars(found), "memory": found.memory})
        return
    for note in ignored:
        say(f"warning: {note}")
    for reason in old:
        say(f"note: upgraded: {reason} (to write that down: netdef upgrade {path} NEW)")
    _print(found, args.phase)


def _build(path: str, args: argparse.Namespace, registry: Any, ignored: list[str]) -> tuple[Any, list[str]]:
    """The net without its parameters' memory, and what was old about its text."""
    from pathlib import Path

    from netdef.cli import nets
    from netdef.cli.shapes import declared, feed
    from netdef.errors import AbsentError
    from netdef.net import Net
    from netdef.upgrade import needs_upgrade, upgrade_net

    written = nets.read_net(path, registry, ignored, args.strict)
    param, phase = upgrade_net(written), flags.phase(args)
    said = declared(param, registry, Path(path).parent, phase, args.level, args.stage)
    assumed = [name for name in said if name not in dict(args.shape)]
    if assumed:
        say(f"note: no data here; shapes of {', '.join(assumed)} are as the prototxt declares them")
    if said or args.shape:
        param = feed(param, said | dict(args.shape), registry.role("input"), phase, args.level, args.stage)
    try:
        net = Net(param, phase, args.level, args.stage, registry=registry, base=Path(path).parent, fill=False)
    except AbsentError as e:
        raise AbsentError(f"{e}; to check without it, give its blobs' shapes: --shape BLOB=1,3,224,224") from e
    _check_fillers(net)
    return net, needs_upgrade(written)


def _check_fillers(net: Any) -> None:
    """Whether there are the fillers that layers name: nothing is filled here. Raises as a net does that fills."""
    from netdef.errors import NetdefError
    from netdef.graph.filter import place

    for layer in net.layers:
        for filler in filter(None, layer.fillers):
            try:
                net.registry.find("fillers", filler.type)
            except NetdefError as e:
                raise type(e)(f"{place(layer.layer_param)}: {e}") from e


def _print(found: Any, phase: str) -> None:
    from netdef.limits import readable
    from netdef.report.tables import show

    columns = ("layer", "type", "tops", "shapes", "parameters", "multiply-adds", "memory")
    rows = [
        (
            layer.name,
            layer.type,
            ",".join(layer.tops),
            ",".join(map(spelled, layer.shapes)),
            f"{layer.parameters:,}",
            f"{layer.multiply_adds:,}",
            readable(layer.memory),
        )
        for layer in found.layers
    ]
    total = (
        "total",
        f"{len(rows)} layers",
        "",
        "",
        f"{found.parameters:,}",
        f"{found.multiply_adds:,}",
        readable(found.data),
    )
    show(columns, rows, right=("parameters", "multiply-adds", "memory"), total=total)
    print(f"net '{found.net}', phase {phase}: inputs {_names(found.inputs)}, outputs {_names(found.outputs)}")
    learnt = " with their gradients" if phase == "TRAIN" else ""
    print(
        f"memory: {readable(found.memory)}: parameters{learnt} {readable(found.weights)}, blobs "
        f"{readable(found.planned)} (without sharing {readable(found.one_by_one)})"
    )


def _names(names: list[str]) -> str:
    return ", ".join(names) or "none"


def spelled(dims: tuple[int, ...]) -> str:
    """1x3x224x224; a blob without axes holds one number."""
    return "x".join(map(str, dims)) or "scalar"


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """BLOB=1,3,224,224 (or 1x3x224x224)."""
    name, _, dims = text.rpartition("=")
    sizes = dims.replace("x", ",").split(",")
    if not name or not all(size.strip().isdecimal() for size in sizes):
        raise argparse.ArgumentTypeError(f"want BLOB=1,3,224,224, got '{text}'")
    return name, tuple(int(size) for size in sizes)
