"""netdef export: a trained net as an ONNX model that was run and compared."""

import argparse
from typing import Any

from netdef.cli import flags

HELP = """\
The net is built for phase TEST, and the model is compared with it in ONNX Runtime before OUT is written.
Without --weights it takes the best model that training left beside the net (*_best.caffemodel), where there is one.

examples:
  netdef export models/digits/deploy.prototxt --weights digits.caffemodel -o digits.onnx
  netdef export --model deploy.prototxt --weights W.caffemodel --output net.onnx
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "export", run, "NET --weights W -o OUT.onnx", "write a trained net as a verified ONNX model", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt; usually a deploy net")
    parser.add_argument(
        "--weights", type=flags.words, default=(), metavar="W,W2", help="the trained weights; default: the best"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the model to write")
    parser.add_argument("--filler", action="store_true", help="export without weights, as the fillers left the net")
    flags.add_state(parser, "TEST")


def run(args: argparse.Namespace) -> None:
    from netdef import export
    from netdef.cli import nets, settings

    path = flags.either(args, "model")
    weights = args.weights or [w for w in [not args.filler and nets.best_beside(path)] if w]
    if bool(weights) == args.filler:
        raise flags.UsageError(
            "give --weights or --filler, not both"
            if args.filler
            else "no weights given; add --weights W.caffemodel, or --filler to export the net untrained"
        )
    if args.phase != "TEST":
        raise flags.UsageError("a model is made from the phase TEST; leave --phase away")
    net = nets.build(path, settings.plugins(args), 1, args.level, args.stage, seed=1)
    if weights:
        nets.load_weights(net, weights)
    _print(export.export_file(net, args.output))


def _print(done: Any) -> None:
    from netdef.limits import readable

    for what, named in (("input", done.inputs), ("output", done.outputs)):
        for name, dims in named.items():
            print(f"{what} {name}: {'x'.join(map(str, dims)) or 'scalar'}")
    parity = done.parity
    print(
        f"compared in ONNX Runtime over {parity.runs} random inputs: largest difference {parity.difference:.2g} of "
        f"the output's scale ('{parity.blob}')"
    )
    for name in parity.constant:
        print(f"output {name} was the same for every input, so little is proven of it; has the net its weights?")
    print(f"wrote {done.path}: {readable(done.size)}, opset {done.opset}")
