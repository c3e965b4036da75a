"""netdef predict: what a net, or its ONNX model, says of images or arrays."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdef.cli import flags
from netdef.cli.export import add_prepare, build, prepare

if TYPE_CHECKING:
    from netdef.predict import Prediction

HELP = """\
Images are read by OpenCV (pip install "netdef-nn[images]"), as BGR like Caffe's, resized and prepared by --mean and
--scale. Arrays (.npy) are blobs as the net takes them, one item or several. An ONNX model that prepares images itself
needs neither.

examples:
  netdef predict deploy.prototxt --weights W.caffemodel --labels words.txt --mean 104,117,123 cat.jpg dog.jpg
  netdef predict deploy.prototxt --weights W.caffemodel --mean mean.binaryproto --oversample cat.jpg
  netdef predict net.onnx --labels words.txt cat.jpg --json
"""


def add(subparsers: Any) -> None:
    parser = flags.command(
        subparsers, "predict", run, "NET --weights W FILE...", "say what a net sees in images or arrays", HELP
    )
    parser.add_argument("path", metavar="NET", help="a deploy net and its --weights, or an ONNX model")
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, or arrays (.npy)")
    flags.add_weights(parser)
    parser.add_argument("--labels", metavar="FILE", help="the name of each output, a line for each")
    parser.add_argument("--top", type=flags.count, default=5, metavar="K", help="how many to show; default 5")
    parser.add_argument("--blob", metavar="BLOB", help="which output, if there are several")
    parser.add_argument(
        "--resize",
        type=flags.count,
        metavar="N",
        help="make images N x N before the crop; default: the input's size, or 256",
    )
    parser.add_argument("--oversample", action="store_true", help="the mean over ten crops: corners, centre, mirrored")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_prepare(parser, "what the net was trained on; bgr, as Caffe reads images, unless you know better")
    parser.set_defaults(shape=[])


def run(args: argparse.Namespace) -> None:
    from netdef import predict
    from netdef.report.tables import show_json
    from netdef.report.terminal import steps

    model = _model(args)
    labels = Path(args.labels).read_text(errors="replace").splitlines() if args.labels else []
    images = predict.Images(prepare(args), args.resize, args.oversample)
    found = []
    with steps("looking", len(args.files)) as step:
        for file in args.files:
            found.append(predict.predict(model, file, images, labels, args.top, args.blob))
            step()
    if args.json:
        show_json(found)
    else:
        _show(found)


def _model(args: argparse.Namespace) -> Any:
    from netdef import predict
    from netdef.cli import nets

    if args.path.endswith(".onnx"):
        if args.weights:
            raise flags.UsageError("an ONNX model has its weights; leave --weights away")
        return predict.OnnxModel(args.path)
    args.weights = nets.weights_for(args.path, args.weights)
    return predict.NetModel(build(args.path, args))


def _show(found: "list[Prediction]") -> None:
    from netdef.report.tables import show

    rows = [
        (one.file if rank == 0 else "", str(index), one.labels[rank], f"{score:.6g}")
        for one in found
        for rank, (index, score) in enumerate(zip(one.indices, one.scores, strict=True))
    ]
    show(("file", "output", "label", "score"), rows, right=("output", "score"))
