"""netdef export: a trained net as an ONNX model that was run and compared."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdef.cli import flags
from netdef.cli.check import shape

if TYPE_CHECKING:
    from netdef.net import Net

HELP = """\
The net is built for phase TEST without its losses, metrics and data files. The model is compared with it in ONNX
Runtime, every blob on random and extreme inputs, before OUT is written. Without --weights it takes the best model that
training left beside the net (*_best.caffemodel), where there is exactly one.

examples:
  netdef export models/digits/deploy.prototxt --weights digits.caffemodel -o digits.onnx
  netdef export train_val.prototxt --weights W.caffemodel --shape data=1,3,227,227 -o net.onnx
  netdef export det1.prototxt --weights det1.caffemodel --dynamic batch,image -o det1.onnx
  netdef export deploy.prototxt --weights W.caffemodel --mean 104,117,123 --channel-order rgb --uint8 -o net.onnx
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "export", run, "NET --weights W -o OUT.onnx", "write a trained net as a verified ONNX model", HELP
    )
    flags.add_file(parser, "model", "NET", "the net, a prototxt: a deploy or a train_val net")
    flags.add_weights(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the model to write")
    parser.add_argument("--filler", action="store_true", help="export without weights, as the fillers left the net")
    parser.add_argument(
        "--blobs", type=flags.words, default=(), metavar="A,B", help="the outputs, if not the net's own"
    )
    parser.add_argument("--opset", type=flags.count, metavar="N", help="version of ONNX's operations; default 18")
    group = parser.add_argument_group("sizes")
    group.add_argument(
        "--shape",
        action="append",
        type=shape,
        default=[],
        metavar="BLOB=1,3,224,224",
        help="the shape of an input, or of what a data layer would read",
    )
    group.add_argument(
        "--dynamic", type=flags.words, default=(), metavar="batch,image", help="sizes that the model leaves open"
    )
    add_prepare(parser, "of what comes in; nets want BGR, as Caffe reads images, so that rgb is turned round")
    group = parser.add_argument_group("what the model takes")
    group.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw", help="channels first or last")
    group.add_argument("--uint8", action="store_true", help="bytes in place of floats")
    flags.add_state(parser, "TEST")


def add_prepare(parser: flags.Parser, order: str) -> None:
    """--mean, --scale and --channel-order: what Caffe does to an image before a net sees it."""
    group = parser.add_argument_group("images: (x - mean) * scale")
    group.add_argument(
        "--mean", metavar="104,117,123|FILE", help="values in the net's order of channels, a binaryproto or .npy"
    )
    group.add_argument("--scale", type=float, default=1.0, metavar="S", help="a factor, after the mean is subtracted")
    group.add_argument(
        "--channel-order",
        choices=("bgr", "rgb"),
        help=order,
    )


def run(args: argparse.Namespace) -> None:
    from netdef import export
    from netdef.cli import nets
    from netdef.report.terminal import watched

    path = flags.either(args, "model")
    if args.weights and args.filler:
        raise flags.UsageError("give --weights or --filler, not both")
    if not args.filler:
        args.weights = nets.weights_for(path, args.weights, ", or --filler to export the net untrained")
    if args.phase != "TEST":
        raise flags.UsageError("a model is made from the phase TEST; leave --phase away")
    net = build(path, args, plan=True)
    with watched("comparing") as watch:
        done = export.export_file(
            net,
            args.output,
            outputs=args.blobs or None,
            metadata=_metadata([path, *args.weights]) | ({"channels": "rgb"} if args.channel_order == "rgb" else {}),
            every=True,
            dynamic=args.dynamic,
            prepare=prepare(args),
            opset=args.opset or export.OPSET,
            watch=watch,
        )
    _print(done)


def build(path: str, args: argparse.Namespace, plan: bool = False) -> "Net":
    """The net for TEST, as far as it is exported, with the weights given; for `plan` see Net."""
    from netdef.cli import nets, settings
    from netdef.errors import SourceError
    from netdef.export.strip import strip
    from netdef.net import Net

    registry = settings.plugins(args)
    level, stages = getattr(args, "level", 0), tuple(getattr(args, "stage", ()))
    param = strip(nets.read_net(path, registry), registry, dict(args.shape), level, stages)
    try:
        net = Net(param, 1, level, stages, registry=registry, base=Path(path).parent, seed=1, plan=plan)
    except SourceError as e:
        raise SourceError(f"{e}; without the file, give the shape of what it holds: --shape data=1,3,224,224") from e
    if args.weights:
        nets.load_weights(net, args.weights)
    return net


def prepare(args: argparse.Namespace) -> Any:
    """What the flags say of images; None where they say nothing."""
    from netdef.export.preprocess import Preprocess, mean_of

    found = Preprocess(
        mean_of(args.mean) if args.mean else None,
        args.scale,
        args.channel_order == "rgb",
        getattr(args, "layout", "nchw") == "nhwc",
        getattr(args, "uint8", False),
    )
    return found or None


def _metadata(files: list[str]) -> dict[str, str]:
    """Which files a model was made from: names and SHA-256."""
    found = {}
    for what, file in zip(["net", *(f"weights.{i}" for i in range(1, len(files)))], files, strict=True):
        with open(file, "rb") as f:
            found[what] = Path(file).name
            found[f"{what}.sha256"] = hashlib.file_digest(f, "sha256").hexdigest()
    return found


def _print(done: Any) -> None:
    from netdef.limits import readable

    for what, named in (("input", done.inputs), ("output", done.outputs)):
        for name, dims in named.items():
            print(f"{what} {name}: {'x'.join(map(str, dims)) or 'scalar'}")
    parity = done.parity
    print(
        f"compared in ONNX Runtime over {parity.runs} random inputs: largest difference {parity.difference:.2g} of "
        f"the blob's scale ('{parity.blob}')"
    )
    for name in parity.constant:
        print(f"output {name} was the same for every input, so little is proven of it; has the net its weights?")
    print(f"wrote {done.path}: {readable(done.size)}, opset {done.opset}")
