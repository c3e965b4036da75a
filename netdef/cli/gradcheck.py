"""netdef gradcheck: are the gradients of a whole net right, layer by layer."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
The net is built in double precision and run once on its own data; then every layer is moved alone along a random
direction, and what its backward and update say is compared with how its forward moves. Inputs that a user would
fill hold random numbers. Exit status 1 where a gradient is wrong.

examples:
  netdef gradcheck models/digits/train_val.prototxt
  netdef gradcheck --model train_val.prototxt --plugin mylayer.py
"""


def add(subparsers: Any) -> None:
    summary = "check the gradients of a net numerically, layer by layer"
    parser = flags.command(subparsers, "gradcheck", run, "NET [flags]", summary, HELP)
    flags.add_file(parser, "model", "NET", "the net, a prototxt")
    parser.add_argument("--weights", type=flags.words, default=(), metavar="W,W2", help="at these weights")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of fillers and directions; default 1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags.add_state(parser, "TRAIN")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from netdef.cli import nets, settings
    from netdef.report.gradcheck import check
    from netdef.report.tables import show, show_json
    from netdef.report.terminal import steps

    path = flags.either(args, "model")
    registry = settings.plugins(args)
    net = nets.build(path, registry, flags.phase(args), args.level, args.stage, seed=args.seed, dtype=np.float64)
    if args.weights:
        nets.load_weights(net, args.weights)
    rng = np.random.default_rng(args.seed)
    for name in net.inputs:
        net.blobs[name].data[...] = rng.standard_normal(net.blobs[name].shape)
    with steps("checking", len(net.layers)) as step:
        found = check(net, args.seed, step)
    wrong = [c for c in found if c.verdict == "wrong"]
    if args.json:
        show_json({"file": path, "net": net.name, "checks": found})
        return int(bool(wrong))
    columns = ("layer", "type", "gradient of", "layer says", "forward moves", "off by", "verdict")
    rows = [(c.layer, c.type, c.what, f"{c.said:.7g}", f"{c.moved:.7g}", f"{c.error:.1e}", c.verdict) for c in found]
    show(columns, rows, right=columns[3:6])
    kinks = sum(c.verdict == "kink" for c in found)
    print(f"{len(found) - len(wrong) - kinks} right, {len(wrong)} wrong, {kinks} too near a kink to say")
    return int(bool(wrong))
