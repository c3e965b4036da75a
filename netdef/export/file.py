"""Build, write, check, compare; only a model that passed all of it gets the name it was asked for."""

import glob
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from netdef.export.graph import OPSET
from netdef.export.model import build
from netdef.export.opset import convert
from netdef.export.parity import TOLERANCE, Parity, Watch, verify
from netdef.export.preprocess import Preprocess
from netdef.files import replacing_path
from netdef.net import Net

LARGEST = (2 << 30) - (16 << 20)  # protobuf ends at 2 GiB; the rest is for what is no weight


@dataclass
class Result:
    """What was exported, for a command to print."""

    path: Path
    parity: Parity
    inputs: dict[str, tuple[int | str, ...]]
    """Sizes, and the names of those that stay open."""
    outputs: dict[str, tuple[int | str, ...]]
    size: int
    """Bytes on disk, external data included."""
    opset: int = OPSET


def export_file(
    net: Net,
    path: Path | str,
    *,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    feeds: Iterable[Mapping[str, Any]] | None = None,
    every: bool = False,
    tolerance: float = TOLERANCE,
    threads: int = 2,
    dynamic: Collection[str] = (),
    prepare: Preprocess | None = None,
    opset: int = OPSET,
    watch: Watch = lambda done, total, what: None,
) -> Result:
    """Write a net built for TEST as an ONNX model that was compared with it; see `build` and `verify`.

    An opset other than 18 is made by ONNX's converter before the model is compared.

    Weights over 2 GB go into a file of their own beside it, as ONNX wants. Raises ExportError or NetdefError, and then
    nothing new is left behind and what was there before is unchanged.
    """
    path = Path(path)
    exported = build(net, outputs, metadata, dynamic=dynamic, prepare=prepare)
    convert(exported, opset)
    data = path.with_name(f"{path.name}.{secrets.token_hex(4)}.data")
    try:
        with replacing_path(path) as part:
            _write(exported.model, part, data)
            parity = verify(
                net, exported, part, feeds=feeds, every=every, tolerance=tolerance, threads=threads, watch=watch
            )
            size = sum(f.stat().st_size for f in (part, data) if f.exists())
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    _remove_older(path, data)
    inputs, outs = (_sizes(infos) for infos in (exported.model.graph.input, exported.model.graph.output))
    return Result(path, parity, inputs, outs, size, opset)


def _remove_older(path: Path, data: Path) -> None:
    """The weights of models that the new one took the place of."""
    for old in path.parent.glob(f"{glob.escape(path.name)}.????????.data"):
        if old != data:
            old.unlink()


def _write(model: onnx.ModelProto, part: Path, data: Path) -> None:
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST:
        # a name of its own, because the model that is still there may have external data too
        onnx.save(model, part, save_as_external_data=True, location=data.name)
    else:
        part.write_bytes(model.SerializeToString())


def _sizes(infos: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int | str, ...]]:
    return {v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim) for v in infos}
